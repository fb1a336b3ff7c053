"""A photo or a scan of a digit → its ink. SciPy finds what hangs together in it."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from sae_core.pictures.marks import Box, islands, longest
from sae_core.pictures.prepare import EDGE, FAINT, EmptyPicture, said_of

CUT = "The digit reaches the picture's border: what is beyond it is missing. Leave paper all round the digit."
LINES = "The lines of the paper were left out."
THROUGH = "Lines run through the digit to the picture's border and cannot be told from it. Use plain paper, or crop it."
REACHES_IN = "What reaches in from the picture's border was left out."
_LARGE, _PART, _AWAY = 0.25, 0.08, 0.03
"""Of the picture's shorter side: what is as long as a digit, what may be a part of one, what is away from it."""
_LINE = 4
"""Half of the thickest line of squared paper that is taken away, in pixels of the working size."""
_WORKING_SIDE = 280  # uploads are reduced to this: 20 pixels need no more, and a photo's noise averages out


def flat(luminance: Image.Image, opacity: Image.Image) -> np.ndarray:
    """Luminance [H, W] in [0, 1], reduced to the working size; what is transparent becomes paper."""
    factor = max(1.0, max(luminance.size) / _WORKING_SIDE)
    size = max(1, round(luminance.width / factor)), max(1, round(luminance.height / factor))
    grey, alpha = (np.asarray(c.resize(size, Image.Resampling.BOX)) / 255 for c in (luminance, opacity))
    if alpha.min() == 1:
        return grey
    if not (alpha > 0.5).any():
        raise EmptyPicture("There is nothing to see in this picture: it is transparent all over.")
    border = border_of(*grey.shape)
    edge = grey[border & (alpha > 0.5)]
    if 2 * edge.size >= border.sum():  # the paper itself is opaque: transparent corners become paper
        paper = float(np.median(edge))
    else:  # ink on nothing: dark ink wants white paper, light ink wants black
        paper = 1.0 if np.average(grey, weights=alpha) < 0.5 else 0.0
    return alpha * grey + (1 - alpha) * paper


def border_of(height: int, width: int) -> np.ndarray:
    """[H, W] mask of a frame 1/28 of the shorter side thick: MNIST's pictures, too, are empty there."""
    thick = max(1, min(height, width) // 28)
    mask = np.ones((height, width), dtype=bool)
    mask[thick:-thick, thick:-thick] = False
    return mask


def find_ink(grey: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Luminance [H, W] → ink [H, W] in [0, 1]: polarity from the border, uneven paper taken away."""
    border = border_of(*grey.shape)

    # The ink is on the side of the border's level that reaches further: right also for a badly lit, grey paper.
    level = np.median(grey[border])
    low, high = np.percentile(grey, (0.1, 99.9))
    dark_ink = bool(level - low >= high - level)
    depth = (level - grey if dark_ink else grey - level).ravel()
    nothing = EmptyPicture("There is nothing drawn in this picture, or too faintly to tell from the paper.")
    if depth.max() < FAINT:
        raise nothing

    # A photo's paper is darker in one corner: fit a smooth surface through what is not ink, from the border on.
    y, x = (np.linspace(-1, 1, n) for n in grey.shape)
    yy, xx = (a.ravel() for a in np.meshgrid(y, x, indexing="ij"))
    basis = np.stack([np.ones_like(xx), xx, yy, xx * xx, xx * yy, yy * yy], axis=1)
    is_paper = border.ravel() & (depth < 0.5 * depth.max())
    for _ in range(4):
        here = basis[is_paper]
        surface = basis @ np.linalg.lstsq(here.T @ here, here.T @ depth[is_paper], rcond=None)[0]
        ink = depth - surface
        if dark_ink:
            # It takes away a share of the light, so divide by the paper; but amplify no noise in a dark corner.
            ink /= np.maximum(level - surface, 0.5 * level)
        noise = 1.4826 * float(np.median(np.abs(ink[is_paper])))  # standard deviation, robustly
        strongest = float(np.percentile(ink, 99.9))
        if strongest < FAINT:
            raise nothing
        is_paper = ink < max(0.25 * strongest, 3 * noise)

    # Paper noise goes to 0, the middle of a stroke to 1; a clean picture has no noise and keeps its soft rims.
    full = float(np.percentile(ink[ink >= 0.5 * strongest], 90))
    if full < 5 * noise:
        raise nothing
    picture = np.clip((ink - 4 * noise) / (full - 4 * noise), 0, 1).reshape(grey.shape)

    # Dust would stretch the digit's box: drop islands of less than a fiftieth of the largest one's ink.
    picture, said = _isolated(picture)
    labels, _, mass, peaks = islands(picture)
    dust = mass < mass.max() / 50
    specks = int((dust & (peaks >= EDGE)).sum())
    return np.where(np.concatenate([[False], ~dust])[labels], picture, 0.0), (
        *said,
        *([said_of(specks)] if specks else []),
    )


def _isolated(picture: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """The digit without what reaches in from the picture's border, and sentences on that.

    A thumb or a shadow is left out where a digit stands in the middle, away from it; the lines of squared paper, which
    leave the picture in several places on opposite sides, where thicker strokes remain without them. What only touches
    the border stays: the digit itself may be cut.
    """
    labels, boxes, mass, strongest = islands(picture)
    side = min(picture.shape)
    inked = [i for i in range(len(boxes)) if strongest[i] >= EDGE]
    outer = [i for i in inked if _touches(boxes[i], picture.shape)]
    if not outer:
        return picture, ()
    inner = [i for i in inked if i not in outer and longest(boxes[i]) >= _LARGE * side]
    if inner:
        distance = ndimage.distance_transform_edt(~np.isin(labels, np.array(inner) + 1))
        away = [i + 1 for i in outer if distance[labels == i + 1].min() > _AWAY * side]
        return np.where(np.isin(labels, away), 0.0, picture), ((REACHES_IN,) if away else ())
    largest = max(outer, key=lambda i: mass[i])
    if not _leaves_as_lines(labels == largest + 1):
        return picture, (CUT,)
    for r in range(1, _LINE + 1):
        disk = np.hypot(*np.mgrid[-r : r + 1, -r : r + 1]) <= r + 0.5
        core, count = ndimage.label(ndimage.binary_opening(picture >= EDGE, disk), structure=np.ones((3, 3)))
        found = [(s[0].start, s[1].start, s[0].stop, s[1].stop) for s in ndimage.find_objects(core)]
        kept = [
            i + 1 for i in range(count) if not _touches(found[i], picture.shape) and longest(found[i]) >= _PART * side
        ]
        if any(longest(found[i - 1]) >= _LARGE * side for i in kept):
            whole = ndimage.binary_dilation(np.isin(core, kept), disk)  # the soft rims, and stubs of the lines
            return np.where(whole, picture, 0.0), (LINES,)
    return picture, (THROUGH,)


def _touches(box: Box, shape: tuple[int, ...]) -> bool:
    return box[0] == 0 or box[1] == 0 or box[2] == shape[0] or box[3] == shape[1]


def _leaves_as_lines(mask: np.ndarray) -> bool:
    """Whether something crosses two opposite sides of the picture in three places each or more: no digit does."""
    runs = [
        int(edge[0]) + int((np.diff(edge.astype(int)) > 0).sum())
        for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1])
    ]
    return min(runs[:2]) >= 3 or min(runs[2:]) >= 3
