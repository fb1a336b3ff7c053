"""What every sparse autoencoder here is: the base class, its results, and the registry of variants."""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from sae_core import options
from sae_core.options import option


@dataclass(frozen=True)
class SAEConfig:
    """What changes a model's shape or its inference. The device is in no config."""

    d_in: int = option(784, "inputs: the pixels of a 28×28 picture", low=1, high=1_000_000)
    d_sae: int = option(1024, "latents: the size of the dictionary", low=1, high=1_000_000)

    def __post_init__(self) -> None:
        options.check(self)


class SAEOutput(NamedTuple):
    """One forward pass."""

    x_hat: Tensor
    """reconstruction [N, d_in], not clipped"""
    acts: Tensor
    """code [N, d_sae], dense; zero where a latent is not active"""


class SparseCode(NamedTuple):
    """A code as pairs, the largest magnitude first; m is the largest L0 of the batch."""

    indices: Tensor
    """latents [N, m], int64; 0 where the value is 0"""
    values: Tensor
    """activations [N, m]; a row with fewer than m active latents ends in zeros"""


@dataclass(frozen=True)
class InferenceForm:
    """All that inference needs, as NumPy float32 arrays: codes = select(x @ W + b), x_hat = codes @ D + c.

    The browser's engine is given exactly these numbers.
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


class SAE(nn.Module):
    """A sparse autoencoder: acts = encode(x), x_hat = acts @ W_dec + b_dec.

    A variant gives `encode`, `losses` and what else of the hooks below it needs; the trainer never asks which
    variant it has. W_enc is [d_in, d_sae], W_dec [d_sae, d_in], as the field writes them.
    """

    variant: ClassVar[str]
    """the name on the command line"""
    Config: ClassVar[type[SAEConfig]] = SAEConfig
    recipe: ClassVar[dict[str, Any]] = {}
    """the training options that suit it, where they differ from `TrainOptions`"""

    W_enc: Tensor
    b_enc: Tensor
    W_dec: Tensor
    """[d_sae, d_in]: what each latent adds to the reconstruction"""
    b_dec: Tensor
    """the reconstruction of the empty code"""

    def __init__(self, config: SAEConfig) -> None:
        super().__init__()
        self.config = config

    # ---- what a variant gives: these as parameters or properties, and the hooks

    def encode(self, x: Tensor) -> Tensor:
        """x [N, d_in] → acts [N, d_sae]; the code of an image never depends on its batch-mates."""
        raise NotImplementedError

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        """Named scalars whose sum is minimised, for a training batch x [B, d_in]."""
        raise NotImplementedError

    def inference_form(self) -> InferenceForm:
        """This model as the one formula that the browser computes."""
        raise NotImplementedError

    def start(self, x: Tensor) -> None:
        """Once before training, with all training images on the device."""

    def after_step(self) -> None:
        """After each optimiser step (for example: decoder rows back to unit norm)."""

    def finish(self, x: Tensor) -> None:
        """Once after training and rounding, with all training images (for example: an exact threshold)."""

    # ---- what is the same for all

    def decode(self, acts: Tensor) -> Tensor:
        """acts [N, d_sae] → x_hat [N, d_in] = acts @ W_dec + b_dec, not clipped."""
        return acts @ self.W_dec + self.b_dec

    def forward(self, x: Tensor) -> SAEOutput:
        """x [N, d_in] float32 → code and reconstruction. ValueError for a wrong shape or NaN."""
        self._check(x)
        acts = self.encode(x)
        return SAEOutput(self.decode(acts), acts)

    def sparse_code(self, x: Tensor) -> SparseCode:
        """x [N, d_in] → the non-zero activations as pairs, the largest magnitude first."""
        self._check(x)
        return to_sparse(self.encode(x))

    def read(self, x: Tensor) -> Tensor:
        """Pictures [N, 784] → what this SAE reads [N, d_in]; here the pixels themselves."""
        return x

    def picture(self, h: Tensor) -> Tensor:
        """What this SAE reads or reconstructs [N, d_in] → pictures [N, 784]; here the same."""
        return h

    def member(self, index: int) -> SAE:
        """The model at that place of an ensemble; a single model is its own member 0."""
        if index != 0:
            raise ValueError(f"there is no member {index}: this {self.variant} is a single model, member 0")
        return self

    @torch.no_grad()
    def round_weights(self) -> None:
        """Round every parameter to float16 and back, once, before anything is measured.

        Python and the browser then compute with the same numbers; with float32 here and float16 there, about
        one image in a hundred would get another set of active latents.
        """
        for p in self.parameters():
            if not p.abs().max() <= 65504:  # float16's largest number; NaN is not below it either
                raise ValueError("a weight is too large for float16; the training has probably diverged")
            p.copy_(p.half().float())

    def _check(self, x: Tensor) -> None:
        if not isinstance(x, Tensor):
            raise ValueError(f"this SAE reads a torch tensor, not {type(x).__name__}: torch.from_numpy(x)")
        if x.ndim != 2 or x.shape[1] != self.config.d_in:
            raise ValueError(f"this SAE reads [N, {self.config.d_in}], not {list(x.shape)}")
        if x.dtype != torch.float32:
            raise ValueError(f"this SAE reads float32 in [0, 1], not {x.dtype}; divide 8-bit pixels by 255")
        if not bool(torch.isfinite(x).all()):
            raise ValueError("the input has NaN or infinite values")


def keep_topk(pre_acts: Tensor, k: int) -> Tensor:
    """Keep the k largest values of each row [.., d_sae] and set the rest to 0."""
    top = pre_acts.topk(k, dim=-1, sorted=False)
    return torch.zeros_like(pre_acts).scatter(-1, top.indices, top.values)


def to_sparse(acts: Tensor) -> SparseCode:
    """Dense acts [N, d_sae] → pairs. Codes are kept and passed on in this form."""
    m = int((acts != 0).sum(-1).max()) if len(acts) else 0
    order = acts.abs().topk(m, dim=-1).indices
    values = acts.gather(-1, order)
    return SparseCode(torch.where(values != 0, order, 0), values)


# ---- registry

_VARIANTS: dict[str, type[SAE]] = {}
S = TypeVar("S", bound=type[SAE])


def register(cls: S) -> S:
    """Make an SAE known to the command line, the training form and the tests that run over all."""
    if cls.variant in _VARIANTS:
        raise ValueError(f"there are two SAEs called {cls.variant}")
    _VARIANTS[cls.variant] = cls
    return cls


@cache
def _import_variants() -> None:
    package = import_module("sae_core.variants")

    for found in pkgutil.iter_modules(package.__path__):
        import_module(f"{package.__name__}.{found.name}")


def registry() -> dict[str, type[SAE]]:
    """Every registered SAE by name: one file each under `variants/`."""
    _import_variants()
    return dict(sorted(_VARIANTS.items()))


def build(variant: str, config: SAEConfig | None = None, *, seed: int = 42) -> SAE:
    """A new SAE with its initial weights, which the seed alone decides (the CPU draws for every device)."""
    known = registry()
    if variant not in known:
        raise ValueError(f"there is no SAE called {variant!r}; there is {', '.join(known)}")
    cls = known[variant]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return cls(config if config is not None else cls.Config())
