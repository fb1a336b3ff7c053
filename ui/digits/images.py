"""The images of a class, and the worst reconstructed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import streamlit as st

from sae_core.datasets import dataset_info, default_data_dir, load_dataset
from sae_core.measure.batchwise import Batchwise
from ui.base import chosen, models, shell, state, words
from ui.base.cache import read_only, shared
from ui.base.url import belongs
from ui.base.widgets import kept, number, reached, waiting
from ui.digits.codes import _ink
from ui.live import stepper
from ui.live.tiles import Tile, levels, picked, tiles

belongs("Digits", "images_split", "images_order", "page-*")
PAGE, WORST = 24, 12
"""images on a page: in order, and with their reconstructions"""
ORDERS = {"order": "in order", "worst": "worst reconstructed first"}


class Quality(NamedTuple):
    """How well a model reconstructs each image of one class."""

    pearson: np.ndarray
    """[n] between what it reads of the image and its reconstruction"""
    mse: np.ndarray
    """[n] mean squared error per pixel, or per unit of the hidden layer that it reads"""


@st.fragment
def images(choice: state.Choice, c: int) -> None:
    """The images of class c: only this part runs when a page is turned or an image taken."""
    info = dataset_info(choice.data)
    what = info.class_names[c]
    st.subheader(f"Images of the {what}", anchor=False)
    with words.explained():
        _ = choice.picture  # says in words what an address asks for and cannot be had
        with st.container(horizontal=True, vertical_alignment="center"):
            split = kept("images_split", "Split", info.splits, "test" if "test" in info.splits else None)
            by = kept("images_order", "Order", ORDERS)
        found = choice.images(split)
        where = np.flatnonzero(found.labels == c)
        quality = None
        if by == "worst":
            made = _quality(choice.model, choice.data, split, c, default_data_dir())
            n = len(where)
            quality = waiting(made.fill, lambda share: f"Reconstructing {round(share * n):,} of {n:,} images")
            order = np.argsort(quality.pearson, kind="stable")
            where, quality = where[order], Quality(quality.pearson[order], quality.mse[order])
        if not len(where):
            st.caption(f"There is no {what} in {choice.data}/{split}.")
            return
        start, stop = _pages(f"{choice.data}-{split}-{c}-{by}", len(where), PAGE if quality is None else WORST)
        on = f"{choice.data}/{split}"
        shown = []
        for j in range(start, stop):
            i = int(where[j])
            said, label = str(i), f"Image {i} of {on}, a {what}"
            if quality is not None:
                said, label = f"{quality.pearson[j]:.3f}", f"{label}: Pearson {quality.pearson[j]:.3f}"
                label += f", MSE {quality.mse[j]:.4f}"
            ref = f"{choice.data}-{split}-{i}"
            taken = chosen.get("image")
            shown.append(Tile(said, label, levels=levels(found.x[i]), value=ref, chosen=ref == taken))
        tiles("digit-images", choice.model, shown, _take_image, label=f"Images of the {what}", size=60)
        if quality is not None:
            _reconstructions(choice, found.x[where[start:stop]], shown)
        _taken(choice, shown, quality, f"{on}, n = {len(where):,} {what}s")


def _pages(key: str, n: int, size: int) -> tuple[int, int]:
    """Which of n images are shown, as a range, with arrows that turn the page; each list keeps its own place."""
    pages = -(-n // size)

    def go(of: str, value: int | None, _: int) -> None:
        if of == key and value is not None:
            reached(f"page-{key}", value + 1)

    stepper.take("images-page", go)
    at = number(f"page-{key}", "page of images", pages, default=1, least=1) - 1
    stepper.stepper(
        "images-page",
        key,
        at,
        pages - 1,
        "Page of images",
        kind="pages",
        titles=("The images before", "The next images"),
        pages=(size, n),
    )
    return at * size, min(n, (at + 1) * size)


def _taken(choice: state.Choice, shown: list[Tile], quality: Quality | None, on: str) -> None:
    """What is below the images: the ways on from the one that was taken, or what the numbers are."""
    taken = next((t for t in shown if t.chosen), None)
    if taken is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(taken.label, width="stretch")
            shell.link("pages/1_Draw.py", "Draw", icon=":material/draw:", help="See its code")
            shell.link("pages/3_Steer.py", "Steer", icon=":material/tune:", help="Change it")
        return
    go_on = "Click one to take it to Draw or Steer."
    if quality is None:
        st.caption(f"{on}. Below each: its number in the split. {go_on}")
        return
    over = "image and reconstruction, over all pixels"
    if choice.model.sae.reader is not None:
        over = f"h and ĥ, over the {choice.model.sae.config.d_in} units of the hidden layer that the model reads"
    st.caption(
        f"{on}. Below each image: Pearson between {over}; of all of them the mean is {quality.pearson.mean():.4f}, the "
        f"worst {quality.pearson.min():.4f}. {go_on}"
    )


def _reconstructions(choice: state.Choice, x: np.ndarray, shown: list[Tile]) -> None:
    """The model's pictures of x [n, 784], in the order of the tiles above."""
    import torch

    sae = choice.model.sae
    with torch.no_grad():
        pictures = sae.picture(sae(sae.read(torch.from_numpy(x))).x_hat).numpy()
    st.caption("Their reconstructions, in the same order")
    made = [Tile("", f"Reconstruction of: {t.label}", levels=_ink(p)) for t, p in zip(shown, pictures, strict=True)]
    tiles("digit-reconstructions", choice.model, made, label="Reconstructions", size=60)


@shared(32)
def _quality(model: models.Model, data: str, split: str, c: int, folder: Path) -> Batchwise[Quality, Quality]:
    """How well each image of class c is reconstructed, in the split's order."""
    import torch

    from sae_core.measure.metrics import mse, pearson

    images, sae = load_dataset(data, split, folder), model.sae
    where = np.flatnonzero(images.labels == c)

    def part(start: int, stop: int) -> Quality:
        with torch.no_grad():
            read = sae.read(torch.from_numpy(images.x[where[start:stop]]))
            x_hat = sae(read).x_hat
            return Quality(pearson(read, x_hat).numpy(), mse(read, x_hat).numpy())

    def whole(parts: list[Quality]) -> Quality:
        if not parts:
            return Quality(np.zeros(0), np.zeros(0))
        return read_only(Quality(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True))))

    return Batchwise(len(where), 250, part, whole)


def _take_image() -> None:
    value = picked("digit-images")
    if value is not None:
        state.choose(image=value)


def _at(options: Sequence[str], wanted: str) -> int:
    return options.index(wanted) if wanted in options else 0
