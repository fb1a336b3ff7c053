"""The autoencoder of experiment 3, whose penalty is on each latent's mean activation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sae_core.models.configs import SAEConfig
from sae_core.models.forms import Selection
from sae_core.models.registry import register
from sae_core.models.sae import SAE
from sae_core.options import option


@dataclass(frozen=True)
class KLConfig(SAEConfig):
    """Shape and penalty of `kl`."""

    d_in: int = option(49, "inputs: units of the hidden layer it reads", low=1, high=1_000_000)
    d_sae: int = option(98, "latents: the size of the dictionary", low=1, high=1_000_000)
    rho: float = option(
        0.1, "target of each latent's mean activation: small is sparse, near 1 dense", low=1e-6, high=1.0
    )
    kl_weight: float = option(1e-4, "weight of that penalty", low=0.0, high=1_000.0)
    eps: float = option(1e-7, "mean activations are clamped to [eps, 1 − eps]", low=1e-12, high=0.1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rho >= 1:
            raise ValueError(f"rho must be below 1, not {self.rho!r}")


@register
class KL(SAE):
    """Pre-bias shared with the decoder's bias, ReLU, and a target for each latent's mean activation.

    ```
    acts  = ReLU((x − b_dec) @ W_enc + b_enc)
    x_hat = acts @ W_dec + b_dec
    loss  = mean (x_hat − x)²  +  kl_weight · Σ_f KL(ρ ‖ m_f),     m_f = mean of acts[:, f] over the batch
    KL(ρ ‖ m) = ρ ln(ρ / m) + (1 − ρ) ln((1 − ρ) / (1 − m)),       m clamped to [eps, 1 − eps]
    ```

    The weights start Kaiming-uniform, the biases at zero. ρ is a mean activation, not a sparsity: 0.1 asks for a
    sparse code, 0.999 for a dense one. Above 1 − eps the clamp has no gradient.

    Source: document 004, phase 2.
    """

    variant = "kl"
    Config = KLConfig
    recipe: ClassVar[dict[str, Any]] = {"epochs": 10, "batch_size": 64, "lr": 1e-4}
    # So many of those steps that the embedded digits give are too few to learn anything.
    recipe_few: ClassVar[dict[str, Any]] = {"epochs": 40, "batch_size": 16, "lr": 1e-3}
    config: KLConfig
    pre_bias = True

    def __init__(self, config: KLConfig) -> None:
        super().__init__(config)
        # kaiming_uniform_ takes a matrix as [outputs, inputs].
        self.W_enc = nn.Parameter(nn.init.kaiming_uniform_(torch.empty(config.d_sae, config.d_in)).t().contiguous())
        self.b_enc = nn.Parameter(torch.zeros(config.d_sae))
        self.W_dec = nn.Parameter(nn.init.kaiming_uniform_(torch.empty(config.d_in, config.d_sae)).t().contiguous())
        self.b_dec = nn.Parameter(torch.zeros(config.d_in))

    def selection(self) -> Selection:
        return Selection("all", relu=True)

    def penalties(self, pre_acts: Tensor, acts: Tensor) -> dict[str, Tensor]:
        return {"kl": self.penalty(self.ranks.mean(acts.mean(0))).sum()}

    def penalty(self, mean: Tensor) -> Tensor:
        """kl_weight · KL(ρ ‖ m) of each mean activation, elementwise."""
        rho, eps = self.config.rho, self.config.eps
        m = mean.clamp(eps, 1 - eps)
        return self.config.kl_weight * (rho * (rho / m).log() + (1 - rho) * ((1 - rho) / (1 - m)).log())
