"""The one formula that every SAE is at inference, and what may stand before and behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


class Layer(NamedTuple):
    """One layer of a network around an SAE, as NumPy float32 arrays: squash(x @ W + b). A call computes it."""

    W: np.ndarray
    """[n_in, n_out]"""
    b: np.ndarray
    """[n_out]"""
    squash: str
    """"tanh-relu": max(0, tanh(·)); "sigmoid": 1 / (1 + exp(−·))"""

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """x [N, n_in] → [N, n_out]"""
        pre = x @ self.W + self.b
        if self.squash == "sigmoid":
            return np.asarray(1 / (1 + np.exp(-pre)))
        return np.maximum(0, np.tanh(pre))


@dataclass(frozen=True)
class Selection:
    """Which latents of pre_acts [.., d_sae] are kept; the others become 0.

    ```
    "topk":       the k largest of each row, of equal ones the first
    "all":        every one
    "threshold":  f where pre_acts[f] > thresholds[f]
    relu:         max(0, ·) of those
    ```

    `on` is this in torch, and what a model encodes with; a call is the slow and readable reference in NumPy, to which
    every model and the browser are held.
    """

    by: Literal["topk", "all", "threshold"]
    relu: bool
    """negative values that were kept become 0"""
    k: int = 0
    """for "topk", else 0"""
    thresholds: np.ndarray | Tensor | None = None
    """for "threshold": one for each latent, float32 [d_sae]; else None. A model has them as a tensor, a form never"""

    def __post_init__(self) -> None:
        if self.by not in ("topk", "all", "threshold"):
            raise ValueError(f'a selection is "topk", "all" or "threshold", not {self.by!r}')
        if (self.by == "topk") != (self.k > 0):
            raise ValueError(f"a selection by {self.by} cannot have k = {self.k}")
        if (self.by == "threshold") != (self.thresholds is not None):
            raise ValueError("thresholds, one for each latent, belong to a selection by threshold and to no other")

    def __call__(self, pre_acts: np.ndarray) -> np.ndarray:
        """pre_acts [N, d_sae] → codes [N, d_sae]"""
        if self.by == "topk":
            keep = np.zeros(pre_acts.shape, bool)
            np.put_along_axis(keep, np.argsort(-pre_acts, axis=1, kind="stable")[:, : self.k], True, axis=1)
        elif self.thresholds is not None:
            keep = pre_acts > np.asarray(self.thresholds)
        else:
            keep = np.ones(pre_acts.shape, bool)
        return np.where(keep, np.maximum(pre_acts, 0) if self.relu else pre_acts, 0)

    def on(self, pre_acts: Tensor) -> Tensor:
        """pre_acts [.., d_sae] → acts [.., d_sae], with the gradient of what is kept; of equal ones top-k keeps any."""
        import torch

        from sae_core.models.codes import keep_topk

        acts = pre_acts
        if self.by == "topk":
            acts = keep_topk(pre_acts, self.k)
        elif self.thresholds is not None:
            acts = torch.where(pre_acts > torch.as_tensor(self.thresholds), pre_acts, 0.0)
        return acts.relu() if self.relu else acts


@dataclass(frozen=True)
class InferenceForm:
    """All that inference needs, as NumPy float32 arrays.

    ```
    first = step · h @ W + b,   z = select(first)
    z     = select(z + first − step · (z @ D) @ W)          passes − 1 times
    codes = z,   h_hat = codes @ D + c
    ```

    b holds what a bias that is subtracted from h adds, so that all but z is computed once, however many passes follow.
    A `pursuit` adds to the code what it selects, z + select(first − step · (z @ D) @ W), instead of selecting anew.

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
    select: Selection
    reader: Layer | None = None
    """from 784 pixels to h [d_in]; None: h is the pixels"""
    painter: Layer | None = None
    """from h to 784 pixels; None: h is a picture"""
    passes: int = 1
    """how often the encoder looks"""
    step: float = 1.0
    """how much of what it sees it adds to the code"""
    pursuit: bool = False
    """whether each pass adds to the code of those before"""

    def __post_init__(self) -> None:
        if self.passes < 1:
            raise ValueError(f"an encoder looks at least once, not {self.passes} times")
        thresholds = self.select.thresholds
        if thresholds is not None and (thresholds.shape != self.b.shape or thresholds.dtype != np.float32):
            raise ValueError(
                f"a threshold for each of {len(self.b)} latents is wanted as float32, "
                f"not {thresholds.dtype} {list(thresholds.shape)}"
            )

    def encode(self, h: np.ndarray) -> np.ndarray:
        """h [N, d_in] → codes [N, d_sae], in float64: what SAE.encode and the browser are held to."""
        W, D = self.W.astype(np.float64), self.D.astype(np.float64)
        first = self.step * (h.astype(np.float64) @ W) + self.b
        codes = self.select(first)
        for _ in range(1, self.passes):
            left = first - self.step * (codes @ D @ W)
            codes = codes + self.select(left) if self.pursuit else self.select(codes + left)
        return codes

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """codes [N, d_sae] → h_hat [N, d_in], in float64"""
        return codes.astype(np.float64) @ self.D.astype(np.float64) + self.c

    def only(self, features: list[int]) -> InferenceForm:
        """The columns of W and rows of D of these features, with what belongs to them; "topk" is among these then.

        With all that any pass activates on an image among them, its code is the same.
        """
        select = self.select
        if select.thresholds is not None:
            select = replace(select, thresholds=select.thresholds[features])
        return replace(self, W=self.W[:, features], b=self.b[features], D=self.D[features], select=select)


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
