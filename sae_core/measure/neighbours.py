"""Which rows, codes or pictures are nearest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sae_core.datasets import ImageSet
from sae_core.measure.batchwise import Batchwise
from sae_core.measure.geometry import cosines

if TYPE_CHECKING:
    from sae_core.models.sae import SAE


def nearest(rows: np.ndarray, feature: int, top: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """The other latents whose rows [d_sae, d] have the largest cosine to that feature's row.

    Returns their indices and cosines, [top] each, the largest first.
    """
    cosine = cosines(rows[[feature]], rows)[0]
    cosine[feature] = -np.inf
    order = np.argsort(-cosine, kind="stable")[: min(top, len(rows) - 1)]
    return order, cosine[order]


SHOWN = 5
_BATCH = 500


class Near(NamedTuple):
    """Images of a split, the nearest first."""

    places: np.ndarray
    """[n] where they are in the split"""
    value: np.ndarray
    """[n] the cosine of the codes, or the Euclidean distance of the pixels"""


class Codes:
    """The codes of a split as (latent, value) pairs, made batch by batch."""

    def __init__(self, sae: SAE, images: ImageSet) -> None:
        self._sae = sae
        self._made = Batchwise(len(images), _BATCH, lambda start, stop: _pairs(sae, images.x[start:stop]), _joined)
        self._whole: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def fill(self, tell: Callable[[float], None] = lambda share: None) -> None:
        """Compute what is still to be computed; `tell` hears the share that is done."""
        self._whole = self._made.fill(tell)

    def nearest(self, x: np.ndarray, leave_out: int | None = None, top: int = SHOWN) -> Near:
        """The images whose codes have the largest cosine with that of a picture [784]; 0 where a code is empty."""
        assert self._whole is not None, "fill() comes first"
        index, value, norms = self._whole
        mine, acts = _pairs(self._sae, x[None])
        query = np.zeros(self._sae.config.d_sae, np.float64)
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


def _pairs(sae: SAE, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import torch

    with torch.no_grad():
        code = sae.sparse_code(sae.read(torch.from_numpy(np.array(x))))
    return code.indices.numpy().astype(np.int32), code.values.numpy()


def _joined(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices and values of all images, and the length of each image's code."""
    m = max(part.shape[1] for part, _ in parts)
    index, value = (np.concatenate([_widened(p[i], m) for p in parts]) for i in (0, 1))
    return index, value, np.sqrt(np.square(value, dtype=np.float64).sum(1))


def _widened(pairs: np.ndarray, m: int) -> np.ndarray:
    return np.pad(pairs, ((0, 0), (0, m - pairs.shape[1])))


def _first(order: np.ndarray, value: np.ndarray, leave_out: int | None, top: int) -> Near:
    index = np.argsort(order, kind="stable")[: top + 1]
    index = index[index != leave_out][:top] if leave_out is not None else index[:top]
    return Near(index, value[index])


def _place(few: np.ndarray, index: int) -> int | None:
    at = np.flatnonzero(few == index)
    return int(at[0]) if len(at) else None
