"""A drawing, or the ink of an upload → a 28×28 picture as MNIST makes them.

MNIST's recipe (LeCun et al. 1998, http://yann.lecun.com/exdb/mnist/): the digit is resized with anti-aliasing
so that its longest side is 20 pixels, then moved in a 28×28 frame until its centre of mass is in the middle.
`prepare` is that recipe as one float algorithm; `ui/draw/prepare.js` repeats it number for number.
Files and photos are `upload.py`'s and `photo.py`'s.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from sae_core.pictures.marks import Box, without_specks

SIDE = 28
"""Side of MNIST's pictures, in pixels."""
LONGEST = 20
"""Longest side of the digit inside one of them, in pixels; of pictures of another size as large a share."""
EDGE = 0.4
"""Ink of at least this share of the strongest ink bounds the digit. MNIST enlarged ×10, ×4 and ×2 and
prepared again comes back best between 0.35 and 0.45 (measured). Weaker ink, a stroke's soft rim, is kept."""
FAINT = 0.1
"""A picture whose strongest ink is below this is empty (ink 0 to 1)."""
THIN, THICK = 1.0, 1.09
"""Strokes thinner than a pixel of the frame become full; those thicker than the second stay as they are, as MNIST's do:
its 70,000 digits have 1.16 pixels and more, but for one with 1.094 (measured as `_stroke` does)."""
# Added before rounding and comparing: a value on the boundary, common in drawings (half-covered pixels,
# symmetric shapes), then goes up whatever the order of summation, so JavaScript agrees with NumPy.
_TIE = 1e-9


class PictureError(ValueError):
    """A picture that cannot be used; the message is a sentence for the person who sent it."""


class EmptyPicture(PictureError):
    """There is no ink in the picture."""

    def __init__(self, message: str = "There is nothing drawn yet. Draw a digit, or choose a picture.") -> None:
        super().__init__(message)


def levels_of(values: np.ndarray) -> np.ndarray:
    """Round values in [0, 1] to MNIST's 256 levels k/255, as float32 (the nearest float32 to k/255)."""
    return np.floor(values * 255 + 0.5 + _TIE).astype(np.float32) / np.float32(255)


def _area(n: int, first: float, step: float, frame: int) -> np.ndarray:
    """[frame, n] weights: row i averages n pixels over [first + i·step, first + (i+1)·step]; outside is 0."""
    edges = first + step * np.arange(frame + 1)
    pixel = np.arange(n)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return np.clip(overlap, 0, None) / step


def longest_of(frame: int) -> int:
    """Longest side of the digit in a picture of that side: 20 of 28 pixels, and as large a share of others."""
    return max(1, math.floor(frame * LONGEST / SIDE + 0.5))


def place(picture: np.ndarray, top: int, left: int, height: int, width: int, frame: int = SIDE) -> np.ndarray:
    """Fit the given box of `picture` to 20 pixels of 28 and move the centre of mass to index (14, 14).

    The move is by whole pixels, as in MNIST itself, whose centres of mass are spread evenly over 14 ± 0.5. A
    bilinear sub-pixel move blurs, and was measured 2 to 5 times further from the originals. The move is
    limited so that the box stays in the frame.

    Args:
        picture: [H, W] ink in [0, 1] on 0; ink outside the box is kept where the frame reaches it.
        top, left, height, width: the box, in pixels of `picture`.
        frame: side of what is made.

    Returns:
        [frame²] float32, each value one of the levels k/255.
    """
    return levels_of(_placed(picture, (top, left, top + height, left + width), frame)).ravel()


def _placed(picture: np.ndarray, box: Box, frame: int) -> np.ndarray:
    """What `place` makes, [frame, frame] before it is rounded."""
    weights, longest = [], longest_of(frame)
    top, left, height, width = box[0], box[1], box[2] - box[0], box[3] - box[1]
    for axis, first, side in ((0, top, height), (1, left, width)):
        n = picture.shape[axis]
        cells = max(1, math.floor(side * longest / max(height, width) + 0.5))
        step = side / cells
        profile = picture.sum(axis=1 - axis)
        middle = float(profile @ (np.arange(n) + 0.5) / profile.sum())
        start = math.floor(frame // 2 + 0.5 - (middle - first) / step + 0.5 + _TIE)
        start = min(max(start, 0), frame - cells)
        weights.append(_area(n, first - start * step, step, frame))
    return weights[0] @ picture @ weights[1].T


def _stroke(picture: np.ndarray) -> float:
    """Mean width of the strokes, in pixels: twice their ink over the length of their edges (the sum of the slopes)."""
    padded = np.pad(picture, 1)
    here = padded[:-1, :-1]
    down, across = padded[1:, :-1] - here, padded[:-1, 1:] - here
    return 2 * float(picture.sum()) / float(np.sqrt(down * down + across * across).sum())


def _inked(placed: np.ndarray, peak: float, w: float) -> np.ndarray:
    """Strokes that are thinner than a pixel, with a pixel of full ink across them.

    A stroke of a width w < 1 pixel covers at least w/2 of a pixel where it is shared by two: 2/w times the ink is full
    everywhere along it.
    """
    share = min(max((THICK - w) / (THICK - THIN), 0.0), 1.0)
    return placed if share == 0 else np.minimum(placed * (1 + (2 / w - 1) * share), peak)


class Prepared(NamedTuple):
    """What was made of a picture, and what is to be said of that."""

    x: np.ndarray
    """[frame²] float32, each value one of the levels k/255"""
    said: tuple[str, ...] = ()
    """sentences for the person whose picture it is"""


def prepare(picture: np.ndarray, frame: int = SIDE) -> np.ndarray:
    """A picture of one digit → the 28×28 picture MNIST would have made of it, as `look` does."""
    return look(picture, frame).x


def look(picture: np.ndarray, frame: int = SIDE) -> Prepared:
    """A picture of one digit → the 28×28 picture MNIST would have made of it, and what was in its way.

    A speck beside the digit is left out, for it would move the whole frame.

    Args:
        picture: [H, W], any size, ink in [0, 1] bright on a background of 0.
        frame: side of another data set's pictures; the digit fills as large a share of it.

    Raises:
        EmptyPicture: no ink of at least `FAINT`.
        PictureError: not two-dimensional, not finite, or outside [0, 1].
    """
    picture = np.asarray(picture, dtype=np.float64)
    if picture.ndim != 2 or picture.size == 0:
        raise PictureError(f"A picture must have a height and a width; this one has shape {picture.shape}.")
    peak = float(picture.max())
    if not (picture.min() >= 0 and peak <= 1):  # also catches NaN, which compares false
        raise PictureError("A picture's values must be numbers between 0 (background) and 1 (ink).")
    if peak < FAINT:
        raise EmptyPicture
    picture, specks, beside = without_specks(picture, EDGE * peak)
    # The strongest ink may have been a speck's.
    peak = float(picture.max()) if specks else peak
    rows = np.flatnonzero(picture.max(axis=1) >= EDGE * peak - _TIE)
    columns = np.flatnonzero(picture.max(axis=0) >= EDGE * peak - _TIE)
    box = int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
    width = _stroke(picture) * longest_of(frame) / max(box[2] - box[0], box[3] - box[1])
    x = levels_of(_inked(_placed(picture, box, frame), peak, width)).ravel()
    return Prepared(x, (*((said_of(specks),) if specks else ()), *((BESIDE,) if beside else ())))


BESIDE = "Two marks stand side by side. They are read as one picture, and the models know single digits only."


def said_of(specks: int) -> str:
    """A sentence on specks that were left out."""
    return (
        "A speck beside the digit was left out." if specks == 1 else f"{specks} specks beside the digit were left out."
    )
