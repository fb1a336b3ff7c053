"""The drawing pad and all that is live with it; Python gets the drawing when the pointer is released."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import streamlit as st

from sae_core import reference
from sae_core.datasets import DataError
from sae_core.pictures.prepare import SIDE, EmptyPicture, PictureError, Prepared, look
from sae_core.pictures.sides import side_of
from sae_core.pictures.upload import look_pixels, look_upload
from ui.base import likeness, state, words
from ui.live import link
from ui.live.classifier import LiveClassifier
from ui.live.component import component

_draw = component("draw/pad")
KEY = "draw"
_RASTER = 224
"""pixels of the side of what is drawn on"""
_DROPPED_SIDE = 560


def take_drawing() -> None:
    """Before a page is set up: make what was just drawn, or dropped onto the pad, the chosen picture.

    The picture is prepared here, by Python, from the pad's or the file's own pixels; what the browser showed is not
    used.
    """
    if problem := link.take(KEY, drawing=_take_drawn, dropped=_take_dropped):
        st.warning(
            f"The drawing could not be read, so the picture before it stays: {words.plain(problem)}",
            icon=":material/warning:",
        )


def _take_drawn(message: link.Message) -> None:
    st.session_state["draw_emptied"] = False
    try:
        x, said = _prepared(message)
    except EmptyPicture:
        # Nothing is chosen now: the other pages show their example, the pad stays empty until another is chosen.
        ref, said = None, ()
        st.session_state["draw_emptied"] = True
    else:
        ref = _named(message, x) or reference.drawn(x, "your drawing").ref
    state.say_of(ref, said)
    state.choose(image=ref)
    _note(ref, message["seq"])


def _take_dropped(message: link.Message) -> None:
    try:
        x, said = _dropped(message)
    except PictureError as e:
        raise link.Refused(str(e)) from e
    ref = reference.drawn(x, "your upload").ref
    state.say_of(ref, said)
    state.choose(image=ref)  # the pad does not have this picture yet: `draw` says so


def _note(key: str | None, message: int | None, push: int | None = None) -> None:
    """Keep which picture the pad has, and where from; `key` None: it is empty."""
    before = st.session_state.get("draw_pad", {})
    st.session_state["draw_pad"] = {"key": key, "from": message, "push": push or before.get("push")}


def _dropped(value: dict[str, Any]) -> Prepared:
    """The picture that an upload of the file, or of the same pixels, would become."""
    if "file" in value:
        return look_upload(base64.b64decode(value["file"], validate=True), _frame(value))
    width, height = int(value["width"]), int(value["height"])
    if not (1 <= width <= _DROPPED_SIDE and 1 <= height <= _DROPPED_SIDE):
        raise ValueError(f"a dropped picture has at most {_DROPPED_SIDE} pixels a side")
    pixels = np.frombuffer(base64.b64decode(value["px"], validate=True), np.uint8)
    grey, alpha = pixels.reshape(2, height, width)
    return look_pixels(grey, alpha, _frame(value))


def _frame(value: dict[str, Any]) -> int:
    """The side of the picture that is wanted: that of the model whose pad it was."""
    return side_of(int(value.get("frame", SIDE)) ** 2)


def _named(value: dict[str, Any], x: np.ndarray) -> str | None:
    """The reference that came with the pixels, where it stands for exactly these."""
    ref = value.get("ref")
    if not isinstance(ref, str):
        return None
    try:
        return ref if np.array_equal(np.round(reference.find_picture(ref).x * 255), np.round(x * 255)) else None
    except (ValueError, DataError):
        return None


def _prepared(value: dict[str, Any]) -> Prepared:
    if value.get("empty"):
        raise EmptyPicture
    side, frame = value["side"], _frame(value)
    if side not in (_RASTER, frame):
        raise ValueError(f"a pad has {_RASTER} × {_RASTER} pixels, not {side}")
    pixels = np.frombuffer(base64.b64decode(value["px"], validate=True), np.uint8)
    if len(pixels) != side * side:
        raise ValueError(f"{len(pixels)} pixels came instead of {side * side}")
    if side == frame:  # a picture that was loaded and not drawn on: MNIST's own pixels stay as they are
        return Prepared(pixels.astype(np.float32) / np.float32(255))
    return look(pixels.reshape(side, side) / 255, frame)


def is_empty() -> bool:
    """Whether the pad was cleared and no other picture chosen since."""
    return bool(st.session_state.get("draw_emptied")) and st.session_state.get("chosen_image") is None


def draw(choice: state.Choice, classifier: LiveClassifier | None = None) -> None:
    """Mount the pad with the chosen picture and model, and the bars of the classifier that is asked."""
    picture, empty = choice.picture, is_empty()
    key = None if empty else picture.ref
    if "draw_pad" not in st.session_state:
        _note(key, None)
    elif st.session_state["draw_pad"]["key"] != key:  # another was chosen than the pad has
        with link.push(KEY) as made:
            _note(key, None, made)
    data: dict[str, Any] = {
        "id": KEY,
        **link.answer(KEY),
        "model": choice.model.id,
        "side": choice.model.side,
        "said": [] if empty else [*state.said_of(picture.ref), *likeness.unusual(choice)],
        "picture": {**st.session_state["draw_pad"], "levels": "" if empty else picture.levels},
        "classifier": None if classifier is None else classifier.data(),
    }
    if (stats := choice.statistics) is not None:
        data["frequency"] = np.round(stats.frequency, 4).tolist()
        data["where"] = f"{stats.dataset}/{stats.split} (n = {stats.n:,})"
    _draw(key=KEY, data=data, on_drawing_change=_nothing, on_dropped_change=_nothing, on_feature_change=_nothing)


def _nothing() -> None:
    """Streamlit keeps a component's state by this name only where there is something to call."""
