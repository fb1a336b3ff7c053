"""Pure edits of a code: set some features to other values and see which picture that gives.

An edit is a dict {feature: value}; a feature that it does not name keeps its activation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sae_core.sae import SAE

if TYPE_CHECKING:
    from sae_core.features import FeatureStats

Edits = Mapping[int, float]

ERROR_PRESERVING, PLAIN = "error-preserving", "plain"
MODES = (ERROR_PRESERVING, PLAIN)
_LARGEST = float(np.finfo(np.float32).max)


class Steered(NamedTuple):
    """Pictures before and after an edit; none of them is clipped."""

    x_hat: Tensor
    """reconstruction from the untouched code [N, 784]"""
    steered: Tensor
    """picture from the edited code [N, 784], as the mode says"""
    acts: Tensor
    """untouched code [N, d_sae]"""
    edited: Tensor
    """edited code [N, d_sae]"""


def edit_code(acts: Tensor, edits: Edits) -> Tensor:
    """A copy of acts [.., d_sae] in which every edited feature has its new value, in every row.

    ValueError names a feature that does not exist or a value that is not a finite number.
    """
    edited = acts.clone()
    for feature, value in checked(edits, acts.shape[-1]).items():
        edited[..., feature] = value
    return edited


def checked(edits: Edits, d_sae: int) -> dict[int, float]:
    """The edits as plain numbers, when an SAE of d_sae latents can take them; else a ValueError in words."""
    for feature, value in edits.items():
        if isinstance(feature, bool) or not isinstance(feature, int | np.integer) or not 0 <= feature < d_sae:
            raise ValueError(f"there is no feature {feature!r}: this SAE has 0 to {d_sae - 1}")
        if not abs(value) <= _LARGEST:  # not true of NaN either
            raise ValueError(f"feature {feature} cannot be set to {value}: it takes a finite number")
    return {int(feature): float(value) for feature, value in edits.items()}


@torch.no_grad()
def steer(sae: SAE, x: Tensor, edits: Edits, mode: str = ERROR_PRESERVING) -> Steered:
    """Edit the codes of pictures x [N, 784].

    ```
    error-preserving:  steered = x + (decode(edited) − decode(acts))
    plain:             steered = decode(edited)
    ```

    The bracket matters: with nothing edited it is exactly 0, so the error-preserving picture is x bit by bit,
    and what the SAE cannot reconstruct stays as it was. For an SAE that reads something else than pixels both
    formulas hold for what it reads, and `sae.picture` shows the result.
    """
    if mode not in MODES:
        raise ValueError(f"the mode must be one of {', '.join(MODES)}, not {mode!r}")
    h = sae.read(x)
    out = sae(h)
    edited = edit_code(out.acts, edits)
    changed = sae.decode(edited)
    steered = h + (changed - sae.decode(out.acts)) if mode == ERROR_PRESERVING else changed
    return Steered(sae.picture(out.x_hat), sae.picture(steered), out.acts, edited)


def slider_bounds(stats: FeatureStats) -> tuple[np.ndarray, np.ndarray]:
    """How far each feature went on a split: (low [d_sae], at most 0; high [d_sae], at least 0).

    A feature that was never active gets the median of the others' maxima as its high: it can be tried too.
    """
    low, high = np.minimum(stats.minimum, 0.0), np.maximum(stats.maximum, 0.0)
    living = high[high > 0]
    never = (low == 0) & (high == 0)
    return low, np.where(never, np.median(living) if len(living) else 1.0, high)


def slider_range(stats: FeatureStats | None, feature: int, now: float) -> tuple[float, float]:
    """From which to which value a slider moves a feature whose activation is `now`: 0 is always within.

    The split's smallest and largest activation, or `now` where that goes further (about one image in a
    hundred exceeds the training maximum). Without statistics: twice the activation of
    now, or 1 where that is 0.
    """
    if stats is None:
        low, high = min(0.0, 2 * now), max(0.0, 2 * now)
    else:
        lows, highs = slider_bounds(stats)
        low, high = min(float(lows[feature]), now), max(float(highs[feature]), now)
    return (low, high) if low < high else (low, low + 1.0)
