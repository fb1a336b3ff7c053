"""A picture file that somebody uploads or drops → a 28×28 picture as MNIST makes them. Pillow opens the files."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from PIL.ImageFile import ImageFile

from sae_core.pictures.photo import border_of, find_ink, flat
from sae_core.pictures.prepare import FAINT, SIDE, EmptyPicture, PictureError, Prepared, levels_of, look

IN_FULL = 40_000_000
"""Pixels (width × height) above which an upload is reduced as it is read."""
MAX_PIXELS = {"JPEG": 110_000_000, "progressive": 64_000_000, "PNG": 64_000_000, "BMP": 64_000_000, "GIF": 64_000_000}
"""Largest upload that is opened, by its kind; of others `IN_FULL`. Cameras of 108 million pixels are sold. Measured at
50 million, it takes 18 MB more of a JPEG, 145 of a progressive one, 382 of a PNG with transparency; a WebP would take
764."""
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
"""The only file formats that are tried."""
SUFFIXES = ("png", "jpg", "jpeg", "jfif", "jpe", "webp", "gif", "bmp")
"""How their files' names end, in small letters."""
_ENOUGH = 560
"""Side to which a picture that is too large is reduced at least."""


def open_picture(data: bytes | str | Path) -> np.ndarray:
    """Open an upload (PNG, JPEG, WebP, GIF or BMP; the first frame) and find the ink.

    Any size, either polarity, with or without transparency, lit unevenly. The paper is what the border shows.

    Returns:
        [H, W] float64 in [0, 1], ink bright on 0, the longest side at most 280 pixels.

    Raises:
        EmptyPicture: nothing stands out from the paper.
        PictureError: not a picture of these formats, damaged, or larger than `MAX_PIXELS`.
    """
    return find_ink(flat(*_channels(_open(data))))[0]


def prepare_upload(data: bytes | str | Path, frame: int = SIDE) -> np.ndarray:
    """An upload → [frame²] float32; a dataset's own image (28×28, grey, bright on dark) comes back bit for bit.

    Raises:
        PictureError: as `open_picture` and `prepare`.
    """
    return look_upload(data, frame).x


def look_upload(data: bytes | str | Path, frame: int = SIDE) -> Prepared:
    """The same, with what was in the way of the digit.

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
    return _look_channels(grey, alpha, as_it_is, frame)


def look_pixels(grey: np.ndarray, alpha: np.ndarray, frame: int = SIDE) -> Prepared:
    """The same of an upload that was decoded elsewhere: luminance and opacity, each [H, W] uint8.

    Raises:
        PictureError: as `open_picture` and `prepare`.
    """
    return _look_channels(Image.fromarray(grey), Image.fromarray(alpha), True, frame)


def _look_channels(grey: Image.Image, alpha: Image.Image, as_it_is: bool, frame: int) -> Prepared:
    """`as_it_is`: whether as many pixels as are wanted, bright on dark and opaque, stay what they are."""
    if as_it_is and grey.size == (frame, frame) and np.asarray(alpha).min() == 255:
        levels = np.asarray(grey)
        if np.median(levels[border_of(frame, frame)]) < 128:
            if levels.max() < FAINT * 255:
                raise EmptyPicture
            return Prepared(levels_of(levels.ravel() / 255))
    ink, said = find_ink(flat(grey, alpha))
    made = look(ink, frame)
    return Prepared(made.x, (*said, *(sentence for sentence in made.said if sentence not in said)))


def _open(data: bytes | str | Path) -> Image.Image:
    """Decode the first frame, upright; everything that can go wrong becomes a PictureError."""
    try:
        with warnings.catch_warnings():  # Pillow's own limit is told below, by ours
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data) if isinstance(data, bytes) else data, formats=FORMATS)
        # Only the header has been read so far: refuse before memory is spent on the pixels.
        most = MAX_PIXELS.get("progressive" if "progressive" in image.info else f"{image.format}", IN_FULL)
        if image.width * image.height > most:
            raise PictureError(
                f"This picture is too large: {image.width} × {image.height} pixels, and at most "
                f"{most // 1_000_000} million are read of such a file. Make it smaller and try again."
            )
        small = _reduced(image) if image.width * image.height > IN_FULL else image
        small.load()
        return ImageOps.exif_transpose(small)
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


def _reduced(image: ImageFile) -> Image.Image:
    """A picture that is too large to be copied, made smaller: a JPEG as it is decoded, another once it is."""
    if image.format == "JPEG":
        image.draft("L" if image.mode in ("L", "RGB") else image.mode, (_ENOUGH, _ENOUGH))
    image.load()
    factor = max(image.size) // _ENOUGH
    if factor < 2:
        return image
    if image.mode.startswith("I"):
        height, width = (side // factor for side in (image.height, image.width))
        blocks = np.asarray(image)[: height * factor, : width * factor].reshape(height, factor, width, factor)
        smaller = Image.fromarray(blocks.mean((1, 3)).astype(np.uint16))
        smaller.info.update(image.info)  # how the camera was held
        return smaller
    if image.mode not in ("P", "1"):
        return image.reduce(factor)
    return image.convert("RGBA" if "transparency" in image.info else "RGB").reduce(factor)


def _channels(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Luminance and opacity, 8 bits each."""
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow's own conversion to 8 bits would clip
        levels = np.asarray(image, dtype=np.float64) / 257
        image = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    rgba = image.convert("RGBA")
    return rgba.convert("RGB").convert("L"), rgba.getchannel("A")
