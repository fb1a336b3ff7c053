"""How a picture is named: DATASET-SPLIT-INDEX, or px- and its packed pixels."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from sae_core.datasets import dataset_info, dataset_names, load_dataset
from sae_core.options import short
from sae_core.pictures.sides import MOST_SIDE, side_of

if TYPE_CHECKING:
    from torch import Tensor


_PICTURE = 2000
"""characters of a picture's reference at most"""
INDEXED = re.compile(r"([a-z0-9_]{1,50})-([a-z]{1,20})-([0-9]{1,7})")
PACKED = re.compile(r"px-([A-Za-z0-9_-]+)")


def check_reference(picture: Any) -> None:
    if isinstance(picture, str) and len(picture) <= _PICTURE:
        if INDEXED.fullmatch(picture):
            return
        if match := PACKED.fullmatch(picture):
            pixels = len(inflate(match[1], MOST_SIDE**2))
            with suppress(ValueError):
                side_of(pixels)
                return
    raise ValueError(f"{short(picture)} names no picture")


def inflate(packed: str, most: int) -> bytes:
    """What base64url of zlib holds, at most `most` bytes. ValueError for more, for less than all, or for damage."""
    try:
        if not re.fullmatch(r"[A-Za-z0-9_-]*", packed):
            raise ValueError
        inflater = zlib.decompressobj()
        found = inflater.decompress(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)), most + 1)
    except (binascii.Error, zlib.error, ValueError):
        raise ValueError("this is damaged, or was not packed here") from None
    if len(found) > most:
        raise ValueError("this is far too large")
    if not inflater.eof or inflater.unused_data:
        raise ValueError("this is damaged, or was not packed here")
    return found


@dataclass(frozen=True, eq=False)
class Picture:
    """The image that a person looks at."""

    x: np.ndarray
    """[side²] float32 in [0, 1], in 8-bit levels"""
    ref: str
    """how the URL says it: DATASET-SPLIT-INDEX, or px- and the packed pixels of a drawing or an upload"""
    what: str
    """in words"""
    label: int | None
    """its class, where a data set says it"""

    @property
    def levels(self) -> str:
        """Its 8-bit levels as base64: what components are given."""
        return base64.b64encode(np.round(self.x * 255).astype(np.uint8).tobytes()).decode()

    @property
    def batch(self) -> Tensor:
        """A copy of it as a network takes it: [1, side²] float32."""
        import torch

        return torch.from_numpy(np.array(self.x))[None]


def drawn(x: np.ndarray, what: str) -> Picture:
    """A picture [side²] that a person made, with the reference that brings it back from a URL."""
    levels = np.round(x * 255).astype(np.uint8).tobytes()
    packed = base64.urlsafe_b64encode(zlib.compress(levels, 9)).decode().rstrip("=")
    return Picture(x.astype(np.float32), f"px-{packed}", what, None)


@lru_cache(maxsize=64)
def find_picture(ref: str) -> Picture:
    """The picture of a reference. ValueError or DataError in words for one that means nothing here."""
    if ref.startswith("px-"):
        try:
            packed = base64.urlsafe_b64decode(ref[3:] + "=" * (-len(ref[3:]) % 4))
            levels = zlib.decompressobj().decompress(packed, MOST_SIDE**2 + 1)
        except (binascii.Error, zlib.error, ValueError):
            raise ValueError("it is damaged.") from None
        try:
            side_of(len(levels))
        except ValueError:
            raise ValueError(f"it is no square picture of at most {MOST_SIDE}×{MOST_SIDE}.") from None
        return Picture(np.frombuffer(levels, np.uint8).astype(np.float32) / 255, ref, "your picture", None)
    match = re.fullmatch(r"([a-z0-9_]+)-([a-z]+)-(\d{1,7})", ref)
    if not match or match[1] not in dataset_names():
        raise ValueError("it names no image.")
    name, split, index = match[1], match[2], int(match[3])
    images = load_dataset(name, split)
    if index >= len(images):
        raise ValueError(f"{name}/{split} has {len(images)} images, so there is no number {index}.")
    label = int(images.labels[index])
    return Picture(
        images.x[index], ref, f"{name}/{split} image {index}, a {dataset_info(name).class_names[label]}", label
    )
