"""How like the training images the chosen picture is, in a sentence: a classifier is confident of anything."""

from __future__ import annotations

import math

from sae_core.files import CheckpointError
from sae_core.measure import likeness
from sae_core.measure.likeness import Likeness
from sae_core.reference import find_picture
from ui.base import models, state
from ui.base.cache import shared

UNUSUAL, UNLIKE = 0.9, 0.99
"""Shares of the training images with a smaller error, or a code that is less unusual."""


def known(model: models.Model) -> Likeness | None:
    """How errors and codes of its training images are spread; None where that was not measured."""
    for data in model.measured:
        try:
            return _read(model, data)
        except CheckpointError:
            continue
    return None


def sentence(choice: state.Choice) -> tuple[float, str]:
    """The larger of the two shares, and what they say of the chosen picture; 0 and "" where they are not known."""
    spread = known(choice.model)
    if spread is None:
        return 0.0, ""
    try:
        error, surprise = _shares(choice.model, spread.dataset, choice.picture.ref)
    except CheckpointError:  # the weights: the page itself says so
        return 0.0, ""
    most = max(error, surprise)
    what = "unlike" if most >= UNLIKE else "unusual among" if most >= UNUSUAL else "like"
    return most, (
        f"This picture is {what} the training images: the error of its reconstruction is larger than that of "
        f"{_of(error)} of them, and its code is more unusual than that of {_of(surprise)} "
        f"({spread.dataset}/{spread.split}, the first n = {spread.n:,})."
    )


def unusual(choice: state.Choice) -> list[str]:
    """The same, of a picture that is no usual digit: to stand where it is looked at."""
    most, said = sentence(choice)
    return [said] if most >= UNUSUAL else []


def _of(share: float) -> str:
    """A share of images that is never rounded up to all."""
    return "all" if share >= 1 else f"{math.floor(100 * share)} %"


@shared(32)  # asked at several places of a page
def _shares(model: models.Model, data: str, ref: str) -> tuple[float, float]:
    reading = likeness.read_off(model.sae, model.stats(data), find_picture(ref).x[None])
    return _read(model, data).shares(reading)


@shared(16)
def _read(model: models.Model, data: str) -> Likeness:
    return likeness.read(model.path, data, "train", model.member)
