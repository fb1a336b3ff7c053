"""Choosing an image: one of the data set, or an upload. Draw and Steer share it."""

from __future__ import annotations

import re

import streamlit as st

from sae_core import reference
from sae_core.datasets import DataError, ImageSet, dataset_info, dataset_names, load_dataset
from sae_core.pictures.prepare import PictureError
from sae_core.pictures.upload import SUFFIXES, look_upload
from ui.base import chosen, likeness, state
from ui.base.url import belongs
from ui.base.widgets import given
from ui.live import link, stepper

KEY = "step-image"
"""of the stepper through the images"""
ANY = "any"
belongs("Draw", "pick_digit")
belongs("Steer", "pick_digit")


def take_step() -> None:
    """Go to the image that was asked for, before the page looks at which one is chosen."""
    stepper.take(KEY, _go)


def _go(data: str, value: int | None, presses: int) -> None:
    if chosen.get("data") not in (None, data) or data not in dataset_names():
        return
    try:
        images = load_dataset(data, "test")
    except DataError as e:
        raise link.Refused(str(e)) from e
    index = value
    for _ in range(presses):
        index = _next(images, data, index)
    if index is not None and 0 <= index < len(images):
        state.choose(image=f"{data}-test-{index}")


def _next(images: ImageSet, data: str, start: int | None) -> int | None:
    """The next image of the digit that is looked for; that of before where there is none."""
    wanted, names = chosen.get("pick_digit", ANY), dataset_info(data).class_names
    for step in range(1, len(images) + 1):
        index = ((start if start is not None else -1) + step) % len(images)
        if wanted == ANY or names[images.labels[index]] == wanted:
            return index
    return start


def pick_picture(choice: state.Choice, empty: bool = False, say: bool = True) -> None:
    """A row of controls; a choice is set in the session before the page runs again.

    `empty`: no picture is shown. `say`: under them what was found in the picture; the pad says it itself.
    """
    data, side = choice.data, choice.model.side
    try:
        images, picture = choice.images("test"), choice.picture  # a warning about the picture stands above the row
    except DataError as e:
        st.info(str(e), icon=":material/info:")
        return
    shown = None if empty else _index(choice)
    looked_for = {name: name for name in (ANY, *dataset_info(data).class_names)}
    row = st.container(horizontal=True, vertical_alignment="bottom")
    with row:
        stepper.stepper(
            KEY,
            data,
            shown,
            len(images) - 1,
            f"Image of {data}/test (0 to {len(images) - 1:,})",
            placeholder="none" if empty else picture.what,
            next_button=("Another", "The next image of this split"),
            follows=chosen.get("pick_digit", ANY) == ANY,
        )
        st.selectbox(
            "Digit",
            **given("pick_digit", "Digit", looked_for, then=lambda: _go(data, shown, 1)),
            width=90,
            help="Go to the next image of this digit; Another goes on from there",
        )
        with st.popover("Upload a picture", key="upload_open", on_change="rerun"):
            st.file_uploader(
                "A photo or scan of one digit: PNG, JPEG, WebP, GIF or BMP",
                type=list(SUFFIXES),
                key="upload",
                on_change=_take_upload,
                args=(side, picture.ref),
                help=f"It is fitted to {side}×{side} pixels as MNIST's digits were; "
                "dark ink on light paper is turned round.",
            )
    if say:
        for sentence in [*state.said_of(picture.ref), *likeness.unusual(choice)]:
            st.info(sentence, icon=":material/info:")
    if problem := st.session_state.get("upload_problem"):
        # It stays with that picture: a run may be ended before its words are sent, or followed by another.
        text, shown = problem
        if shown == picture.ref:
            st.error(f"{text} The picture before it stays.", icon=":material/warning:")
        else:
            del st.session_state["upload_problem"]


def _index(choice: state.Choice) -> int | None:
    match = re.fullmatch(rf"{choice.data}-test-(\d+)", choice.picture.ref)
    return int(match[1]) if match else None


def _take_upload(side: int, shown: str) -> None:
    st.session_state.pop("upload_problem", None)
    upload = st.session_state["upload"]
    if upload is None:
        return
    st.session_state["upload_open"] = False  # over the result, or over what is wrong with it, it would hide both
    try:
        made = look_upload(upload.getvalue(), side)
    except PictureError as e:
        st.session_state["upload_problem"] = str(e), shown
    else:
        ref = reference.drawn(made.x, "your upload").ref
        state.say_of(ref, made.said)
        state.choose(image=ref)
