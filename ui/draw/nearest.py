"""The images of a split that are nearest to the chosen picture: by their sparse codes, and by their pixels."""

from __future__ import annotations

from functools import partial

import streamlit as st

from sae_core.datasets import DataError, ImageSet, dataset_info
from sae_core.measure.neighbours import Codes, Near, nearest_pixels
from ui.base import models, state
from ui.base.cache import shared
from ui.base.widgets import waiting
from ui.live.tiles import Tile, levels, picked, tiles

SPLIT = "test"


def show_nearest(choice: state.Choice) -> None:
    """Both kinds of neighbours of the chosen picture side by side; a click chooses an image."""
    try:
        images = choice.images(SPLIT)
    except DataError as e:
        st.info(str(e), icon=":material/info:")
        return
    where = f"{choice.data}/{SPLIT}"
    st.subheader("Nearest images", anchor=False)
    st.caption(
        f"Of {where} (n = {len(images):,}), without the picture itself. A click chooses an image.",
        help="Code: the cosine between the sparse codes, Σ a·b / (‖a‖ ‖b‖). Pixels: the Euclidean distance, ‖x − y‖.",
    )
    left, right = st.columns(2)
    x = choice.picture.x
    own = choice.picture.ref.removeprefix(f"{choice.data}-{SPLIT}-")
    leave_out = int(own) if own.isdecimal() else None
    with right:
        st.markdown("**By pixels**")
        _row(choice, "nearest-pixels", nearest_pixels(images.x, x, leave_out), images, "distance")
    with left:
        st.markdown("**By code**")
        codes = _codes(choice.model, choice.data)
        waiting(codes.fill, lambda share: f"Codes of {where} …")
        _row(choice, "nearest-code", codes.nearest(x, leave_out), images, "cosine")


def _row(choice: state.Choice, key: str, near: Near, images: ImageSet, measure: str) -> None:
    names = dataset_info(choice.data).class_names
    shown = []
    for i, v in zip(near.places.tolist(), near.value.tolist(), strict=True):
        name = names[images.labels[i]]
        words = f"{choice.data}/{SPLIT} image {i}, a {name}: {measure} {v:.3f}"
        ref = f"{choice.data}-{SPLIT}-{i}"
        shown.append(Tile(f"{name}\n{v:.3f}", words, levels=levels(images.x[i]), value=ref))
    tiles(key, choice.model, shown, partial(_take, key), label=f"Nearest by {measure}")


def _take(key: str) -> None:
    ref = picked(key)
    if isinstance(ref, str):
        state.choose(image=ref)


@shared(4)  # of 10,000 images with 50 active latents: 6 MB
def _codes(model: models.Model, data: str) -> Codes:
    return Codes(model.sae, state.load_dataset(data, SPLIT))
