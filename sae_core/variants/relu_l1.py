"""The first sparse autoencoder of the field: ReLU, and a penalty on the L1 norm of the code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from sae_core.models.configs import RevivalConfig
from sae_core.models.forms import InferenceForm, Selection
from sae_core.models.registry import register
from sae_core.models.sae import SAE
from sae_core.options import option


@dataclass(frozen=True)
class ReluL1Config(RevivalConfig):
    """Shape and penalty of `relu_l1`."""

    l1_coefficient: float = option(0.5, "weight of the code's L1 norm: larger is sparser", low=0.0, high=1_000.0)
    unit_norm: bool = option(True, "hold decoder rows at unit length, so that small codes cannot cheat the penalty")


@register
class ReluL1(SAE):
    """Untied, both biases, ReLU, sparse by an L1 penalty.

    ```
    acts  = ReLU(x @ W_enc + b_enc)
    x_hat = acts @ W_dec + b_dec,   ‖W_dec[f]‖ = 1
    loss  = mean over the batch of ( Σ over inputs (x_hat − x)²  +  l1_coefficient · Σ_f |acts[f]| )
    ```

    Without the unit rows the code could be made as small as one likes and the decoder as large. b_dec starts at the
    mean image, W_dec at random unit rows, W_enc at its transpose.

    Source: document 003, which sums the L1 over the batch and averages the error: both are averaged here, so that the
    coefficient means the same at every batch size (Bricken et al. 2023).
    """

    variant = "relu_l1"
    Config = ReluL1Config
    recipe: ClassVar[dict[str, Any]] = {"epochs": 5, "batch_size": 128, "lr": 3e-3, "warmup": 0.03, "decay_from": 0.5}
    config: ReluL1Config

    def __init__(self, config: ReluL1Config) -> None:
        super().__init__(config)
        self._untied()

    def start(self, x: Tensor) -> None:
        self._start_among(x)
        with torch.no_grad():  # x is near its mean: without this, half of all would be active
            self.b_enc.copy_(-self.b_dec @ self.W_enc)

    def encode(self, x: Tensor) -> Tensor:
        return (x @ self.W_enc + self.b_enc).relu()

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        pre_acts = x @ self.W_enc + self.b_enc
        acts = pre_acts.relu()
        x_hat = self.decode(acts)
        self.watch(acts)
        return {
            "mse": (x_hat - x).pow(2).sum(-1).mean(),
            "l1": self.config.l1_coefficient * acts.sum(-1).mean(),
            **self.aux_loss(pre_acts, x - x_hat),
        }

    def after_step(self) -> None:
        if self.config.unit_norm:
            self._unit_rows()

    def inference_form(self) -> InferenceForm:
        return self._form(self.W_enc, self.b_enc, self.W_dec, self.b_dec, Selection("all", relu=True))
