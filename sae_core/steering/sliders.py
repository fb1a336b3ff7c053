"""How far a feature goes, and which belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    from sae_core.measure.features import FeatureStats
    from sae_core.measure.importance import Importance


def slider_bounds(stats: FeatureStats) -> tuple[np.ndarray, np.ndarray]:
    """How far each feature went on a split: (low [d_sae], at most 0; high [d_sae], at least 0).

    A feature that was never active gets the median of the others' maxima as its high: it can be tried too.
    """
    low, high = np.minimum(stats.minimum, 0.0), np.maximum(stats.maximum, 0.0)
    living = high[high > 0]
    never = (low == 0) & (high == 0)
    return low, np.where(never, np.median(living) if len(living) else 1.0, high)


def slider_ranges(stats: FeatureStats | None, now: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From which to which value a slider moves each feature, whose activations are `now` [d_sae]; 0 is always within.

    The split's smallest and largest activation, or twice `now` where that goes further, so that no feature stands at
    its end. Without statistics: twice the activation of now, or 1 where that is 0.
    """
    now = np.asarray(now, np.float64)
    if stats is None:
        low, high = np.minimum(0.0, 2 * now), np.maximum(0.0, 2 * now)
    else:
        lows, highs = slider_bounds(stats)
        low, high = np.minimum(lows, 2 * now), np.maximum(highs, 2 * now)
    return low, np.where(low < high, high, low + 1.0)


def slider_range(stats: FeatureStats | None, feature: int, now: float) -> tuple[float, float]:
    """`slider_ranges` of one feature whose activation is `now`."""
    of_all = np.zeros(feature + 1 if stats is None else len(stats.maximum))
    of_all[feature] = now
    low, high = slider_ranges(stats, of_all)
    return float(low[feature]), float(high[feature])


def used(acts: Tensor) -> list[int]:
    """The features that are active in one code [d_sae], the strongest (by size) first. ValueError for more codes."""
    check_row(acts)
    order = acts.abs().argsort(descending=True, stable=True)
    return order[acts[order] != 0].tolist()


def top_by_importance(importance: Importance, label: int, n: int = 30) -> list[int]:
    """The n features that matter most for images of class `label`. ValueError for a class that was not measured."""
    if label not in importance.classes:
        raise ValueError(f"importance was measured for classes {list(importance.classes)}, not {label!r}")
    return importance.top(importance.classes.index(label), n).tolist()


def check_row(acts: Tensor) -> None:
    if acts.ndim != 1:
        raise ValueError(f"one code is [d_sae], not {list(acts.shape)}")
