"""A digit taken apart: the features of its code, added one by one."""

from __future__ import annotations

from ui.base import state
from ui.live.component import component

_apart = component("start/apart")


def apart(choice: state.Choice) -> None:
    """Mount the animation for the chosen picture and model."""
    _apart(key="apart", data={"model": choice.model.id, "levels": choice.picture.levels})
