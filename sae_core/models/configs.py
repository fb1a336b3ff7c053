"""What changes an SAE's shape or its inference, and what brings dead latents back."""

from __future__ import annotations

from dataclasses import dataclass

from sae_core import options
from sae_core.options import option

PIXELS = "pixels"


@dataclass(frozen=True)
class SAEConfig:
    """What changes a model's shape or its inference. The device is in no config."""

    d_in: int = option(784, "inputs: the pixels of a 28×28 picture", low=1, high=1_000_000)
    d_sae: int = option(1024, "latents: the size of the dictionary", low=1, high=1_000_000)
    reads: str = option(PIXELS, "what it reads: pixels, or the name of the classifier whose hidden layer it reads")
    shows: str = option(PIXELS, "how that becomes a picture: pixels (as it is), or the name of an image generator")

    def __post_init__(self) -> None:
        options.check(self)


@dataclass(frozen=True)
class RevivalConfig(SAEConfig):
    """What the ways of bringing dead latents back need; which of them is used is an option of the training."""

    aux_weight: float = option(0.25, "weight of the auxiliary loss that revives dead latents", low=0.0, high=10.0)
    aux_k: int = option(256, "dead latents that share the residual in that loss", low=1, high=100_000)
    dead_after: int = option(4_000, "training images without activity after which a latent is dead", low=1)


@dataclass(frozen=True)
class KConfig(RevivalConfig):
    """Shape and sparsity of an SAE that keeps k latents."""

    k: int = option(50, "active latents per example", low=1, high=100_000)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k > self.d_sae:
            raise ValueError(f"k must be at most d_sae = {self.d_sae}, not {self.k}")
