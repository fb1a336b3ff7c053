"""A drawing or an uploaded picture → a 28×28 picture as MNIST makes them.

MNIST's recipe (LeCun et al. 1998, http://yann.lecun.com/exdb/mnist/): the digit is resized with anti-aliasing
so that its longest side is 20 pixels, then moved in a 28×28 frame until its centre of mass is in the middle.
`prepare` is that recipe as one float algorithm; `ui/draw/prepare.js` repeats it number for number.
Pillow is used only to open files, SciPy only to drop the dust of a photo.
"""

from __future__ import annotations

import io
import math
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from scipy import ndimage

SIDE = 28
"""Side of MNIST's pictures, in pixels."""
LONGEST = 20
"""Longest side of the digit inside one of them, in pixels; of pictures of another size as large a share."""
EDGE = 0.4
"""Ink of at least this share of the strongest ink bounds the digit. MNIST enlarged ×10, ×4 and ×2 and
prepared again comes back best between 0.35 and 0.45 (measured). Weaker ink, a stroke's soft rim, is kept."""
FAINT = 0.1
"""A picture whose strongest ink is below this is empty (ink 0 to 1)."""
MAX_PIXELS = 40_000_000
"""Largest upload that is decoded, in pixels (width × height)."""
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
"""The only file formats that are tried."""
# Added before rounding and comparing: a value on the boundary, common in drawings (half-covered pixels,
# symmetric shapes), then goes up whatever the order of summation, so JavaScript agrees with NumPy.
_TIE = 1e-9
_WORKING_SIDE = 280  # uploads are reduced to this: 20 pixels need no more, and a photo's noise averages out


class PictureError(ValueError):
    """A picture that cannot be used; the message is a sentence for the person who sent it."""


class EmptyPicture(PictureError):
    """There is no ink in the picture."""

    def __init__(self, message: str = "There is nothing drawn yet. Draw a digit, or choose a picture.") -> None:
        super().__init__(message)


def _levels(values: np.ndarray) -> np.ndarray:
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
    weights, longest = [], longest_of(frame)
    for axis, first, side in ((0, top, height), (1, left, width)):
        n = picture.shape[axis]
        cells = max(1, math.floor(side * longest / max(height, width) + 0.5))
        step = side / cells
        profile = picture.sum(axis=1 - axis)
        middle = float(profile @ (np.arange(n) + 0.5) / profile.sum())
        start = math.floor(frame // 2 + 0.5 - (middle - first) / step + 0.5 + _TIE)
        start = min(max(start, 0), frame - cells)
        weights.append(_area(n, first - start * step, step, frame))
    return _levels(weights[0] @ picture @ weights[1].T).ravel()


def prepare(picture: np.ndarray, frame: int = SIDE) -> np.ndarray:
    """A picture of one digit → the 28×28 picture MNIST would have made of it.

    Args:
        picture: [H, W], any size, ink in [0, 1] bright on a background of 0.
        frame: side of another data set's pictures; the digit fills as large a share of it.

    Returns:
        [frame²] float32, each value one of the levels k/255.

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
    rows = np.flatnonzero(picture.max(axis=1) >= EDGE * peak - _TIE)
    columns = np.flatnonzero(picture.max(axis=0) >= EDGE * peak - _TIE)
    top, left = int(rows[0]), int(columns[0])
    return place(picture, top, left, int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left, frame)


def open_picture(data: bytes | str | Path) -> np.ndarray:
    """Open an upload (PNG, JPEG, WebP, GIF or BMP; the first frame) and find the ink.

    Any size, either polarity, with or without transparency, lit unevenly. The paper is what the border shows.

    Returns:
        [H, W] float64 in [0, 1], ink bright on 0, the longest side at most 280 pixels.

    Raises:
        EmptyPicture: nothing stands out from the paper.
        PictureError: not a picture of these formats, damaged, or larger than `MAX_PIXELS`.
    """
    return _find_ink(_flat(*_channels(_open(data))))


def prepare_upload(data: bytes | str | Path, frame: int = SIDE) -> np.ndarray:
    """An upload → [frame²] float32; a dataset's own image (28×28, grey, bright on dark) comes back bit for bit.

    Raises:
        PictureError: as `open_picture` and `prepare`.
    """
    image = _open(data)
    grey, alpha = _channels(image)
    coloured = False
    if image.size == (frame, frame):
        rgb = np.asarray(image.convert("RGB"))
        coloured = not (rgb == rgb[..., :1]).all()
    as_it_is = not coloured and not image.mode.startswith("I")
    return _prepare_channels(grey, alpha, as_it_is, frame)


def prepare_pixels(grey: np.ndarray, alpha: np.ndarray, frame: int = SIDE) -> np.ndarray:
    """The same of an upload that was decoded elsewhere: luminance and opacity, each [H, W] uint8.

    Raises:
        PictureError: as `open_picture` and `prepare`.
    """
    return _prepare_channels(Image.fromarray(grey), Image.fromarray(alpha), True, frame)


def _prepare_channels(grey: Image.Image, alpha: Image.Image, as_it_is: bool, frame: int) -> np.ndarray:
    """`as_it_is`: whether as many pixels as are wanted, bright on dark and opaque, stay what they are."""
    if as_it_is and grey.size == (frame, frame) and np.asarray(alpha).min() == 255:
        levels = np.asarray(grey)
        if np.median(levels[_border(frame, frame)]) < 128:
            if levels.max() < FAINT * 255:
                raise EmptyPicture
            return _levels(levels.ravel() / 255)
    return prepare(_find_ink(_flat(grey, alpha)), frame)


def _open(data: bytes | str | Path) -> Image.Image:
    """Decode the first frame, upright; everything that can go wrong becomes a PictureError."""
    try:
        with warnings.catch_warnings():  # Pillow's own limit is told below, by ours
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data) if isinstance(data, bytes) else data, formats=FORMATS)
        # Only the header has been read so far: refuse before memory is spent on the pixels.
        if image.width * image.height > MAX_PIXELS:
            raise PictureError(
                f"This picture is too large: {image.width} × {image.height} pixels, and at most "
                f"{MAX_PIXELS // 1_000_000} million are read. Make it smaller and try again."
            )
        image.load()
        return ImageOps.exif_transpose(image)
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureError("This picture is too large. Make it smaller and try again.") from error
    except Image.UnidentifiedImageError as error:
        raise PictureError("This is not a readable picture. Use a PNG, JPEG, WebP, GIF or BMP file.") from error
    except FileNotFoundError as error:
        raise PictureError(f"There is no file {data!s}.") from error
    except Exception as error:  # decoders raise many kinds on hostile files: OSError, SyntaxError, struct.error …
        raise PictureError(f"This picture is damaged ({error}). Save it again and retry.") from error


def _channels(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Luminance and opacity, 8 bits each."""
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow's own conversion to 8 bits would clip
        levels = np.asarray(image, dtype=np.float64) / 257
        image = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    rgba = image.convert("RGBA")
    return rgba.convert("RGB").convert("L"), rgba.getchannel("A")


def _flat(luminance: Image.Image, opacity: Image.Image) -> np.ndarray:
    """Luminance [H, W] in [0, 1], reduced to the working size; what is transparent becomes paper."""
    factor = max(1.0, max(luminance.size) / _WORKING_SIDE)
    size = max(1, round(luminance.width / factor)), max(1, round(luminance.height / factor))
    grey, alpha = (np.asarray(c.resize(size, Image.Resampling.BOX)) / 255 for c in (luminance, opacity))
    if alpha.min() == 1:
        return grey
    if not (alpha > 0.5).any():
        raise EmptyPicture("There is nothing to see in this picture: it is transparent all over.")
    border = _border(*grey.shape)
    edge = grey[border & (alpha > 0.5)]
    if 2 * edge.size >= border.sum():  # the paper itself is opaque: transparent corners become paper
        paper = float(np.median(edge))
    else:  # ink on nothing: dark ink wants white paper, light ink wants black
        paper = 1.0 if np.average(grey, weights=alpha) < 0.5 else 0.0
    return alpha * grey + (1 - alpha) * paper


def _border(height: int, width: int) -> np.ndarray:
    """[H, W] mask of a frame 1/28 of the shorter side thick: MNIST's pictures, too, are empty there."""
    thick = max(1, min(height, width) // 28)
    mask = np.ones((height, width), dtype=bool)
    mask[thick:-thick, thick:-thick] = False
    return mask


def _find_ink(grey: np.ndarray) -> np.ndarray:
    """Luminance [H, W] → ink [H, W] in [0, 1]: polarity from the border, uneven paper taken away."""
    border = _border(*grey.shape)

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
    islands, count = ndimage.label(picture > 0, structure=np.ones((3, 3)))
    mass = np.concatenate([[0.0], ndimage.sum_labels(picture, islands, np.arange(1, count + 1))])
    return np.where((mass >= mass.max() / 50)[islands], picture, 0.0)
