"""The drawing pad and all that is live with it; Python gets the drawing when the pointer is released."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import numpy as np
import streamlit as st

from sae_core import reference
from sae_core.datasets import DataError
from sae_core.pictures.prepare import EmptyPicture, PictureError, prepare, prepare_pixels
from ui.base import state
from ui.live.component import component
from ui.live.judge import Judge

_draw = component("draw/pad")
KEY = "draw"
_SIDES = (28, 224)
_DROPPED_SIDE = 560


def take_drawing() -> None:
    """Before a page is set up: make what was just drawn, or dropped onto the pad, the chosen picture.

    The picture is prepared here, by Python, from the pad's or the file's own pixels; what the browser showed is not
    used.
    """
    drawing, dropped = (state.component_value(KEY, name) for name in ("drawing", "dropped"))
    value: Any = max((v for v in (drawing, dropped) if v), key=_seq, default=None)
    # Of both, what was taken already or is older: a drawing that a dropped picture replaced stays where it was sent.
    if value is None or _seq(value) <= st.session_state.get("draw_seq", 0):
        return
    refused = None
    try:
        if value is dropped:
            # No `draw_ref`: the pad does not have this picture yet.
            state.choose(image=reference.drawn(_dropped(value), "your upload").ref)
        else:
            _take_drawn(value)
    except PictureError as e:  # said beside the pad as long as this picture is there
        refused = {"seq": value["seq"], "why": str(e), "beside": st.session_state.get("chosen_image")}
    except (KeyError, TypeError, ValueError, binascii.Error) as e:
        st.warning(f"The drawing could not be read, so the picture before it stays: {e}", icon=":material/warning:")
    st.session_state["draw_refused"] = refused
    # Last, as Streamlit may end this run at any use of its state when a newer message waits: the drawing of a run that
    # came no further than this is taken, or sent, again.
    st.session_state["draw_seq"] = value["seq"]


def _seq(value: Any) -> int:
    seq = value.get("seq") if isinstance(value, dict) else None
    return seq if isinstance(seq, int) else 0


def _take_drawn(value: dict[str, Any]) -> None:
    st.session_state["draw_emptied"] = False
    try:
        x = _prepared(value)
    except EmptyPicture:
        # Nothing is chosen now: the other pages show their example, the pad stays empty until another is chosen.
        state.choose(image=None)
        st.session_state["draw_emptied"] = True
    else:
        st.session_state["draw_ref"] = _named(value, x) or reference.drawn(x, "your drawing").ref
        state.choose(image=st.session_state["draw_ref"])


def _dropped(value: dict[str, Any]) -> np.ndarray:
    """The picture [784] that an upload of the same pixels would become."""
    width, height = int(value["width"]), int(value["height"])
    if not (1 <= width <= _DROPPED_SIDE and 1 <= height <= _DROPPED_SIDE):
        raise ValueError(f"a dropped picture has at most {_DROPPED_SIDE} pixels a side")
    pixels = np.frombuffer(base64.b64decode(value["px"], validate=True), np.uint8)
    grey, alpha = pixels.reshape(2, height, width)
    return prepare_pixels(grey, alpha)


def _named(value: dict[str, Any], x: np.ndarray) -> str | None:
    """The reference that came with the pixels [784], where it stands for exactly these."""
    ref = value.get("ref")
    if not isinstance(ref, str):
        return None
    try:
        return ref if np.array_equal(np.round(reference.find_picture(ref).x * 255), np.round(x * 255)) else None
    except (ValueError, DataError):
        return None


def _prepared(value: dict[str, Any]) -> np.ndarray:
    if value.get("empty"):
        raise EmptyPicture
    side = value["side"]
    if side not in _SIDES:
        raise ValueError(f"a pad has {_SIDES[1]} × {_SIDES[1]} pixels, not {side}")
    pixels = np.frombuffer(base64.b64decode(value["px"], validate=True), np.uint8)
    if len(pixels) != side * side:
        raise ValueError(f"{len(pixels)} pixels came instead of {side * side}")
    if side == 28:  # a picture that was loaded and not drawn on: MNIST's own pixels stay as they are
        return pixels.astype(np.float32) / np.float32(255)
    return prepare(pixels.reshape(side, side) / 255)


def is_empty() -> bool:
    """Whether the pad was cleared and no other picture chosen since."""
    return bool(st.session_state.get("draw_emptied")) and st.session_state.get("chosen_image") is None


def draw(choice: state.Choice, asked: Judge | None = None) -> None:
    """Mount the pad with the chosen picture and model, and the bars of the classifier that is asked."""
    picture = choice.picture
    empty = is_empty()
    own = picture.ref == st.session_state.get("draw_ref")
    if not own:  # the pad shows another picture now; the drawing before it would have to be loaded again
        st.session_state["draw_ref"] = None
    seq = st.session_state.get("draw_seq", 0)
    data: dict[str, Any] = {
        "id": KEY,
        "seq": seq,
        "model": choice.model.id,
        # An empty pad is an answer to its own clearing: it has no picture, and none is loaded into it again.
        "picture": {
            "key": None if empty else picture.ref,
            "levels": "" if empty else picture.levels,
            "from": seq if own or empty else None,
        },
        "judge": None if asked is None else asked.data(),
    }
    refused = st.session_state.get("draw_refused")
    if refused and refused["beside"] == st.session_state.get("chosen_image"):
        data["refused"] = refused
    if (stats := choice.statistics) is not None:
        data["frequency"] = np.round(stats.frequency, 4).tolist()
        data["where"] = f"{stats.dataset}/{stats.split} (n = {stats.n:,})"
    _draw(key=KEY, data=data, on_drawing_change=_nothing, on_dropped_change=_nothing, on_feature_change=_nothing)


def _nothing() -> None:
    """Streamlit keeps a component's state by this name only where there is something to call."""
