"""The first sparse autoencoder of the field: ReLU, and a penalty on the L1 norm of the code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from sae_core.models.configs import RevivalConfig
from sae_core.models.forms import Selection
from sae_core.models.registry import register
from sae_core.models.untied import Untied
from sae_core.options import option


@dataclass(frozen=True)
class ReluL1Config(RevivalConfig):
    """Shape and penalty of `relu_l1`."""

    l1_coefficient: float = option(0.5, "weight of the code's L1 norm: larger is sparser", low=0.0, high=1_000.0)
    unit_norm: bool = option(True, "hold decoder rows at unit length, so that small codes cannot cheat the penalty")


@register
class ReluL1(Untied):
    """Untied, both biases, ReLU, sparse by an L1 penalty.

    ```
    acts  = ReLU(x @ W_enc + b_enc)
    x_hat = acts @ W_dec + b_dec,   ‖W_dec[f]‖ = 1
    loss  = mean over the batch of ( Σ over inputs (x_hat − x)²  +  l1_coefficient · Σ_f |acts[f]| )
    ```

    Without the unit rows the code could be made as small as one likes and the decoder as large.

    Source: document 003, which sums the L1 over the batch and averages the error: both are averaged here, so that the
    coefficient means the same at every batch size (Bricken et al. 2023).
    """

    variant = "relu_l1"
    Config = ReluL1Config
    recipe: ClassVar[dict[str, Any]] = {"epochs": 5, "batch_size": 128, "lr": 3e-3, "warmup": 0.03, "decay_from": 0.5}
    # By the recipe above nearly all latents die on the embedded digits: too few, too large steps.
    recipe_few: ClassVar[dict[str, Any]] = {"epochs": 20, "batch_size": 16, "lr": 1e-3}
    config: ReluL1Config

    def start(self, x: Tensor) -> None:
        super().start(x)
        with torch.no_grad():  # x is near its mean: without this, half of all would be active
            self.b_enc.copy_(-self.b_dec @ self.W_enc)

    def selection(self) -> Selection:
        return Selection("all", relu=True)

    def error(self, x_hat: Tensor, x: Tensor) -> Tensor:
        return (x_hat - x).pow(2).sum(-1).mean()

    def penalties(self, pre_acts: Tensor, acts: Tensor) -> dict[str, Tensor]:
        return {"l1": self.config.l1_coefficient * acts.sum(-1).mean()}

    def after_step(self, step: int, lr: float) -> None:
        if self.config.unit_norm:
            super().after_step(step, lr)
