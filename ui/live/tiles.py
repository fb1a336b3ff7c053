"""Pictures in a row with words below them, which a person may click: features, and images of a data set."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from ui.base import models, state
from ui.live.component import component

_tiles = component("live/tiles")


@dataclass(frozen=True)
class Tile:
    """One picture: a feature's row of weights, drawn from those in the page, or an image given as levels."""

    caption: str
    """below the picture, short"""
    label: str
    """what it is in words, for people who hover or do not see"""
    rows: str | None = None
    """"encoder" or "decoder": the picture is that row of `feature`"""
    feature: int | None = None
    levels: str | None = None
    """784 8-bit levels as base64 (see `levels`); neither rows nor levels: an empty place"""
    value: str | int | None = None
    """sent when it is clicked; None: it cannot be clicked"""
    chosen: bool = False


def levels(picture: np.ndarray) -> str:
    """A picture [784], uint8 or float in [0, 1], as the base64 of its 8-bit levels."""
    if picture.dtype != np.uint8:
        picture = np.round(picture * 255).astype(np.uint8)
    return base64.b64encode(picture.tobytes()).decode()


def tiles(
    key: str,
    model: models.Model,
    shown: Sequence[Tile],
    on_pick: Callable[[], None] = lambda: None,
    *,
    label: str,
    size: int = 64,
) -> None:
    """A row of pictures, at least `size` CSS pixels each, that wraps where it must.

    The whole carries data-testid=key. `on_pick` is called when one is clicked; `picked(key)` then says its
    value.
    """
    data = {"id": key, "model": model.id, "label": label, "size": size, "tiles": [asdict(t) for t in shown]}
    _tiles(key=key, data=data, on_picked_change=on_pick)


def picked(key: str) -> str | int | None:
    """The value of the picture that was just clicked; only within `on_pick`."""
    return state.component_value(key, "picked")
