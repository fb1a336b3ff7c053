"""Choosing an image: one of the data set, or an upload. Draw and Steer share it."""

from __future__ import annotations

import re

import streamlit as st

from sae_core import reference
from sae_core.datasets import DataError, dataset_info
from sae_core.pictures.prepare import PictureError
from sae_core.pictures.upload import SUFFIXES, look_upload
from ui.base import likeness, state


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
    row = st.container(horizontal=True, vertical_alignment="bottom")
    with row:
        # Another key for another picture: a widget keeps its own value otherwise.
        key = f"index-{'none' if empty else picture.ref[:60]}-{data}"
        st.number_input(
            f"Image of {data}/test (0 to {len(images) - 1:,})",
            min_value=0,
            max_value=len(images) - 1,
            value=shown,
            placeholder="none" if empty else picture.what,
            key=key,
            on_change=_pick_index,
            args=(key, data, shown),
            width=230,
        )
        st.button("Another", on_click=_pick_next, args=(choice, len(images)), help="The next image of this split")
        st.selectbox(
            "Digit",
            ["any", *dataset_info(data).class_names],
            key="pick_digit",
            width=90,
            on_change=_pick_next,
            args=(choice, len(images)),
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


def _pick_index(key: str, data: str, shown: int | None) -> None:
    value = st.session_state[key]
    # A message sent before the page was told of another picture makes Streamlit take this one's number for a new one.
    if value is not None and value != shown:
        state.choose(image=f"{data}-test-{value}")


def _pick_next(choice: state.Choice, n: int) -> None:
    wanted = st.session_state.get("pick_digit", "any")
    labels, names = choice.images("test").labels, dataset_info(choice.data).class_names
    start = _index(choice)
    for step in range(1, n + 1):
        index = ((start if start is not None else -1) + step) % n
        if wanted == "any" or names[labels[index]] == wanted:
            state.choose(image=f"{choice.data}-test-{index}")
            return


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
