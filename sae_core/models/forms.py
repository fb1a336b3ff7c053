"""The one formula that every SAE is at inference, and what may stand before and behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from torch import Tensor


class Layer(NamedTuple):
    """One layer of a network around an SAE, as NumPy float32 arrays: squash(x @ W + b)."""

    W: np.ndarray
    """[n_in, n_out]"""
    b: np.ndarray
    """[n_out]"""
    squash: str
    """"tanh-relu": max(0, tanh(·)); "sigmoid": 1 / (1 + exp(−·))"""


@dataclass(frozen=True)
class InferenceForm:
    """All that inference needs, as NumPy float32 arrays: codes = select(h @ W + b), h_hat = codes @ D + c.

    h is x itself, or `reader` of it; the picture of h_hat is h_hat itself, or `painter` of it. The browser's engine is
    given exactly these numbers.
    """

    W: np.ndarray
    """[d_in, d_sae]"""
    b: np.ndarray
    """[d_sae], a subtracted pre-bias folded in"""
    D: np.ndarray
    """[d_sae, d_in]"""
    c: np.ndarray
    """[d_in]"""
    select: str
    """"topk": the k largest of each row stay; "relu": all; "threshold": those strictly over theirs"""
    k: int
    """for "topk", else 0"""
    threshold: float
    """for "threshold", else 0"""
    relu: bool
    """negative values that were selected become 0"""
    reader: Layer | None = None
    """from 784 pixels to h [d_in]; None: h is the pixels"""
    painter: Layer | None = None
    """from h to 784 pixels; None: h is a picture"""


class Reader(Protocol):
    """What an SAE may read instead of pixels: a layer of another network."""

    def hidden(self, x: Tensor) -> Tensor:
        """pictures [N, 784] → [N, d_in]"""

    def layer(self) -> Layer:
        """the same as one formula"""


class Painter(Protocol):
    """How what such an SAE reads becomes a picture again."""

    def paint(self, h: Tensor) -> Tensor:
        """[N, d_in] → pictures [N, 784]"""

    def layer(self) -> Layer:
        """the same as one formula"""
