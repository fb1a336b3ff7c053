"""The marks that a picture is made of: which are specks beside the digit, and whether there are two digits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

TINY, SMALL = 1 / 20, 1 / 8
"""A mark of at most this share of the largest one's ink can be a speck: a tiny one when it is a little apart from the
digit, a small one when it is far from it."""
APART, FAR = 0.05, 0.2
"""What is apart and what is far: the gap between their boxes as a share of the digit's longest side."""
_TIE = 1e-9  # as in prepare: sums in another order agree


class Marks(NamedTuple):
    """A picture without its specks."""

    picture: np.ndarray
    """[H, W], the specks set to 0; the same array where there are none"""
    specks: int
    """how many were left out"""
    beside: bool
    """whether what is left are digits side by side, as far as their boxes can say"""


Box = tuple[int, int, int, int]
"""top, left, bottom, right, in pixels; the last two are outside"""


def _gap(a: Box, b: Box) -> int:
    """Pixels between two boxes, along the axis on which they are further apart; at most 0 where they overlap."""
    return max(a[0] - b[2], b[0] - a[2], a[1] - b[3], b[1] - a[3])


def _union(a: Box, b: Box) -> Box:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def longest(box: Box) -> int:
    """The longer side of a box."""
    return max(box[2] - box[0], box[3] - box[1])


def islands(picture: np.ndarray) -> tuple[np.ndarray, list[Box], np.ndarray, np.ndarray]:
    """What hangs together in a picture [H, W], also over corners: a label for each pixel (0: no ink), and of each
    island its box, the sum of its ink and its strongest ink."""
    labels, count = ndimage.label(picture > 0, structure=np.ones((3, 3)))
    index = np.arange(1, count + 1)
    boxes = [(s[0].start, s[1].start, s[0].stop, s[1].stop) for s in ndimage.find_objects(labels)]
    mass, strongest = ndimage.sum_labels(picture, labels, index), ndimage.maximum(picture, labels, index)
    return labels, boxes, np.asarray(mass, np.float64), np.asarray(strongest, np.float64)


def without_specks(picture: np.ndarray, enough: float) -> Marks:
    """Leave out what stands apart from the digit and is small beside it: it would move the whole frame.

    Marks whose strongest ink is below `enough` bound nothing and stay. The digit is the largest mark and every other
    that is not small, then, again and again, what is near enough to all that.

    Args:
        picture: [H, W] ink in [0, 1] on 0.
        enough: the ink that bounds a digit.
    """
    labels, boxes, mass, strongest = islands(picture)
    bounding = [i for i in range(len(boxes)) if strongest[i] >= enough - _TIE]
    if len(bounding) < 2:
        return Marks(picture, 0, False)
    largest = max(bounding, key=lambda i: mass[i])
    share = {i: mass[i] / mass[largest] for i in bounding}
    digit = [i for i in bounding if share[i] > SMALL + _TIE]
    box = boxes[largest]
    for i in digit:
        box = _union(box, boxes[i])
    left = [i for i in bounding if i not in digit]

    def near(i: int) -> bool:
        return _gap(boxes[i], box) <= (APART if share[i] <= TINY + _TIE else FAR) * longest(box) + _TIE

    while (joined := next((i for i in left if near(i)), None)) is not None:
        left.remove(joined)
        box = _union(box, boxes[joined])
    large = [boxes[i] for i in digit]
    if left:
        picture = np.where(np.isin(labels, np.array(left) + 1), 0.0, picture)
    return Marks(picture, len(left), _side_by_side(large))


def _side_by_side(boxes: list[Box]) -> bool:
    """Whether a column without ink parts large marks that stand at about the same height."""
    order = sorted(boxes, key=lambda box: box[1])
    for n in range(1, len(order)):
        left, right = order[0], order[n]
        for box in order[1:n]:
            left = _union(left, box)
        for box in order[n + 1 :]:
            right = _union(right, box)
        tall = [box[2] - box[0] for box in (left, right)]
        common = min(left[2], right[2]) - max(left[0], right[0])
        if right[1] >= left[3] and 2 * common >= max(tall):
            return True
    return False
