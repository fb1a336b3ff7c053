"""The images of a split that are nearest to the chosen picture: by their sparse codes, and by their pixels."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache, partial
from threading import Lock
from typing import NamedTuple

import numpy as np
import streamlit as st

from sae_core.datasets import DataError, ImageSet, dataset_info
from ui import state
from ui.components.tiles import Tile, levels, picked, tiles

SPLIT, SHOWN = "test", 5
_BATCH = 500
_PATIENCE = 1.0
"""seconds after which progress is shown"""


class Near(NamedTuple):
    """Images of a split, the nearest first."""

    places: np.ndarray
    """[n] where they are in the split"""
    value: np.ndarray
    """[n] the cosine of the codes, or the Euclidean distance of the pixels"""


class Codes:
    """The codes of a split as (latent, value) pairs, made batch by batch.

    A page that is run again in the middle goes on where the last run stopped.
    """

    def __init__(self, model: state.Model, images: ImageSet) -> None:
        self._model, self._images = model, images
        self._lock = Lock()
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []
        self._whole: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def fill(self, tell: Callable[[float], None] = lambda share: None) -> None:
        """Compute what is still to be computed; `tell` hears the share that is done."""
        n = len(self._images)
        while True:
            tell(min(1.0, len(self._parts) * _BATCH / n))  # may end the run: never while the lock is held
            with self._lock:
                start = len(self._parts) * _BATCH
                if self._whole is not None:
                    return
                if start >= n:
                    self._join()
                    return
                self._parts.append(_pairs(self._model, self._images.x[start : start + _BATCH]))

    def _join(self) -> None:
        m = max(part.shape[1] for part, _ in self._parts)
        index, value = (np.concatenate([_widened(p[i], m) for p in self._parts]) for i in (0, 1))
        self._whole = index, value, np.sqrt(np.square(value, dtype=np.float64).sum(1))

    def nearest(self, x: np.ndarray, leave_out: int | None = None, top: int = SHOWN) -> Near:
        """The images whose codes have the largest cosine with that of a picture [784]; 0 where a code is empty."""
        assert self._whole is not None, "fill() comes first"
        index, value, norms = self._whole
        mine, acts = _pairs(self._model, x[None])
        query = np.zeros(self._model.info.config["d_sae"], np.float64)
        query[mine[0][acts[0] != 0]] = acts[0][acts[0] != 0]
        scale = norms * np.linalg.norm(query)
        cosine = np.divide((query[index] * value).sum(1), scale, out=np.zeros_like(scale), where=scale > 0)
        return _first(-cosine, cosine, leave_out, top)


def nearest_pixels(images: np.ndarray, x: np.ndarray, leave_out: int | None = None, top: int = SHOWN) -> Near:
    """The images [N, 784] with the smallest Euclidean distance to a picture [784]."""
    # ‖a − b‖² = ‖a‖² − 2 a·b + ‖b‖² loses digits where they are nearly the same: it only chooses whom to measure.
    rough = np.einsum("ij,ij->i", images, images) - 2 * (images @ x)
    few = np.argpartition(rough, min(len(rough) - 1, 4 * top + 1))[: 4 * top + 2]
    few.sort()
    distance = np.linalg.norm(images[few].astype(np.float64) - x, axis=1)
    near = _first(distance, distance, None if leave_out is None else _place(few, leave_out), top)
    return Near(few[near.places], near.value)


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
        place, began = st.empty(), time.monotonic()

        def tell(share: float) -> None:
            if time.monotonic() - began > _PATIENCE and share < 1:
                place.progress(share, f"Codes of {where} …")

        codes.fill(tell)
        place.empty()
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


@lru_cache(maxsize=4)  # of 10,000 images with 50 active latents: 6 MB
def _codes(model: state.Model, data: str) -> Codes:
    return Codes(model, state.load_dataset(data, SPLIT))


def _pairs(model: state.Model, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import torch

    with torch.no_grad():
        code = model.sae.sparse_code(model.sae.read(torch.from_numpy(np.array(x))))
    return code.indices.numpy().astype(np.int32), code.values.numpy()


def _widened(pairs: np.ndarray, m: int) -> np.ndarray:
    return np.pad(pairs, ((0, 0), (0, m - pairs.shape[1])))


def _first(order: np.ndarray, value: np.ndarray, leave_out: int | None, top: int) -> Near:
    index = np.argsort(order, kind="stable")[: top + 1]
    index = index[index != leave_out][:top] if leave_out is not None else index[:top]
    return Near(index, value[index])


def _place(few: np.ndarray, index: int) -> int | None:
    at = np.flatnonzero(few == index)
    return int(at[0]) if len(at) else None
