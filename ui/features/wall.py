"""The wall: every feature of a model as a small picture, drawn in the browser from the weights it has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sae_core.datasets import dataset_info
from sae_core.measure.features import FEW, FeatureStats, class_shares
from sae_core.measure.lists import KEY_SHARE, key_features
from ui.base import models, state
from ui.base.cache import shared
from ui.base.words import percent
from ui.live.component import component

MOSTLY = 0.5
"""a feature is "mostly 7s" when at least this share of the images on which it is active are 7s"""
ORDER_HELP = (
    f"Most for a class: first the features active on at least {100 * KEY_SHARE:g} % of its images (and on at least "
    f"{FEW} of them), by lift: that share over the share of all images. Then the others, by their share of the class."
)
_wall = component("features/wall")
_mark = component("features/mark")


def orders(stats: FeatureStats) -> dict[str, np.ndarray]:
    """The features in each order that the wall offers: "frequency", and for class "0", "1", ….

    The most frequent comes first. Of a class its key features by lift come first, as on the Digits page; then the
    others, those first that most of the class's images activate; of these none the most frequent first, the dead last.
    """
    often = np.argsort(-stats.count, kind="stable")
    found = {"frequency": often}
    for c, first in enumerate(key_features(stats, "lift")):
        others = often[np.argsort(-stats.class_rates[often, c], kind="stable")]
        found[str(c)] = np.concatenate([first, others[~np.isin(others, first)]])
    return found


@shared(16)
def notes(model: models.Model, dataset: str) -> list[str]:
    """What there is to say of each feature in a few words: "active on 3.2 % · mostly 7s"."""
    stats = model.stats(dataset)
    names, where = dataset_info(dataset).class_names, f"{dataset}/{stats.split}"
    rates = stats.class_rates.astype(np.float64)
    share = class_shares(rates * stats.class_n)
    found, rare = [], stats.usage.rare
    for f, frequency in enumerate(stats.frequency):
        how = "rare: active on" if rare[f] else "active on"
        most, often = int(share[f].argmax()), int(rates[f].argmax())
        if stats.dead[f]:
            found.append(f"never active on {where}")
        elif share[f, most] >= MOSTLY:
            found.append(f"{how} {percent(frequency)} · mostly {names[most]}s")
        else:
            found.append(f"{how} {percent(frequency)} · most often on {names[often]}s")
    return found


@shared(16)
def _data(key: str, model: models.Model, dataset: str | None) -> dict[str, Any]:
    """All that the wall needs besides the weights: the same on every run, so that it is sent once."""
    data: dict[str, Any] = {
        "id": key,
        "model": model.id,
        "orders": {},
        "order_help": "",
        "classes": [],
        "notes": [],
        "dead": [],
    }
    if dataset is not None:
        stats = model.stats(dataset)
        data["orders"] = {name: order.tolist() for name, order in orders(stats).items()}
        data["order_help"] = ORDER_HELP
        data["classes"] = list(dataset_info(dataset).class_names)
        data["notes"] = notes(model, dataset)
        data["dead"] = np.flatnonzero(stats.dead).tolist()
    return data


def wall(key: str, model: models.Model, dataset: str | None, on_open: Callable[[], None]) -> None:
    """All features of a model whose weights `put_model` put into the page.

    dataset: whose statistics order, grey and describe the features; None when there are none. `on_open` is
    called when a person opens a feature; `opened(key)` then says which.
    """
    _wall(key=key, data=_data(key, model, dataset), on_opened_change=on_open)


def opened(key: str) -> int | None:
    """The feature that a person just opened; only within `on_open`."""
    return state.component_value(key, "opened")


def point_wall(key: str, feature: int | None) -> None:
    """Mark the open feature on the wall `key`, from within the column of its detail; draws nothing there.

    It is a component of its own so that the wall's data, a hundred kilobytes, stay the same and are sent once.
    """
    _mark(key=f"{key}-at", data={"wall": key, "feature": feature}, height=1)
