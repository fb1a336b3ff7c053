"""The gated SAE: whether a latent is active, and how much, are two questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sae_core.models.configs import RevivalConfig
from sae_core.models.forms import Selection
from sae_core.models.registry import register
from sae_core.models.untied import Untied
from sae_core.options import option


@dataclass(frozen=True)
class GatedConfig(RevivalConfig):
    """Shape and penalty of `gated`."""

    l1_coefficient: float = option(0.8, "weight of the gates' L1 norm: larger is sparser", low=0.0, high=1_000.0)


@register
class Gated(Untied):
    """Untied, pre-bias, unit-norm decoder rows; a gate for each latent, whose weights are the encoder's.

    ```
    seen     = (x − b_dec) @ W_enc
    pre_acts = seen + b_enc                              how much
    gate     = seen · exp(−r_mag) + b_gate               whether
    acts     = ReLU(pre_acts) where gate > 0, else 0
    x_hat    = acts @ W_dec + b_dec,   ‖W_dec[f]‖ = 1
    loss     = mean over the batch of ( Σ over inputs (x_hat − x)²  +  l1_coefficient · Σ_f ReLU(gate[f])
               +  Σ over inputs (ReLU(gate) @ W_dec + b_dec − x)² ),    W_dec and b_dec of the last taken as given
    ```

    Only the gate is penalised, so activations do not shrink; it learns by the last two terms, as "> 0" has no slope.
    The paper keeps W_gate = W_enc · exp(−r_mag) instead: the same model, W_mag = W_gate · exp(r_mag) being our W_enc.

    A gate is open where seen > −b_gate · exp(r_mag), that is where pre_acts > θ = b_enc − b_gate · exp(r_mag): in use
    it is a threshold for each latent, with ReLU.

    Source: Rajamanoharan et al. 2024, "Improving dictionary learning with gated sparse autoencoders"
    (arXiv 2404.16014).
    """

    variant = "gated"
    Config = GatedConfig
    recipe: ClassVar[dict[str, Any]] = {
        "epochs": 10,
        "batch_size": 128,
        "lr": 4e-3,
        "warmup": 0.03,
        "decay_from": 0.5,
    }
    # With few steps many gates are not closed yet.
    recipe_few: ClassVar[dict[str, Any]] = {"epochs": 20, "batch_size": 16, "lr": 1e-3}
    config: GatedConfig
    pre_bias = True

    def __init__(self, config: GatedConfig) -> None:
        super().__init__(config)
        self.r_mag = nn.Parameter(torch.zeros(config.d_sae))
        self.b_gate = nn.Parameter(torch.zeros(config.d_sae))

    def selection(self) -> Selection:
        return Selection("threshold", relu=True, thresholds=self.b_enc - self.b_gate * self.r_mag.exp())

    def error(self, x_hat: Tensor, x: Tensor) -> Tensor:
        return (x_hat - x).pow(2).sum(-1).mean()

    def gate(self, pre_acts: Tensor) -> Tensor:
        """pre_acts [B, d_sae] → how far each gate is open [B, d_sae]; closed: not above 0."""
        return (pre_acts - self.b_enc) * (-self.r_mag).exp() + self.b_gate

    def _losses(self, x: Tensor, pre_acts: Tensor, acts: Tensor, x_hat: Tensor) -> dict[str, Tensor]:
        open_by = self.gate(pre_acts).relu()
        by_gate = open_by @ self.W_dec.detach() + self.b_dec.detach()
        return {
            **super()._losses(x, pre_acts, acts, x_hat),
            "l1": self.config.l1_coefficient * open_by.sum(-1).mean(),
            "gate": self.error(by_gate, x),
        }

    def _start_anew(self, which: Tensor, residual: Tensor, generator: torch.Generator) -> None:
        super()._start_anew(which, residual, generator)
        self.r_mag.masked_fill_(which, 0)
        self.b_gate.masked_fill_(which, 0)
