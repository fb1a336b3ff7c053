"""The TopK sparse autoencoder of Gao et al. 2024, the better default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from sae_core.models.codes import keep_topk
from sae_core.models.configs import KConfig
from sae_core.models.forms import InferenceForm, Selection
from sae_core.models.registry import register
from sae_core.models.sae import SAE
from sae_core.options import option


@dataclass(frozen=True)
class TopKConfig(KConfig):
    """Shape and sparsity of `topk`, and how its dead latents come back."""

    shrink: float = option(1e-7, "weight of the squared encoder weights in the loss", low=0.0, high=1.0)


@register
class TopK(SAE):
    """Untied, pre-bias, unit-norm decoder rows, top-k and ReLU.

    ```
    pre_acts = (x − b_dec) @ W_enc + b_enc
    acts     = ReLU(the k largest of pre_acts), the rest 0
    x_hat    = acts @ W_dec + b_dec,   ‖W_dec[f]‖ = 1
    loss     = mean (x_hat − x)²  +  aux_weight · mean (e_hat − e)²  +  shrink / 2 · ‖W_enc‖²
    ```

    e = x − x_hat is the residual (taken as given) and e_hat what the `aux_k` strongest dead latents make of
    it, without the decoder bias, which would otherwise be learned twice. b_dec starts at the mean image,
    W_dec at random unit rows, W_enc at its transpose.

    Source: Gao et al. 2024, "Scaling and evaluating sparse autoencoders" (arXiv 2406.04093).
    """

    variant = "topk"
    Config = TopKConfig
    recipe: ClassVar[dict[str, Any]] = {
        "epochs": 25,
        "batch_size": 256,
        "lr": 3e-3,
        "warmup": 0.03,
        "decay_from": 0.5,
        "revival": "aux",
    }
    config: TopKConfig

    def __init__(self, config: TopKConfig) -> None:
        super().__init__(config)
        self._untied()

    def start(self, x: Tensor) -> None:
        self._start_among(x)

    def _pre_acts(self, x: Tensor) -> Tensor:
        return (x - self.b_dec) @ self.W_enc + self.b_enc

    def encode(self, x: Tensor) -> Tensor:
        return keep_topk(self._pre_acts(x), self.config.k).relu()

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        pre_acts = self._pre_acts(x)
        acts = keep_topk(pre_acts, self.config.k).relu()
        x_hat = self.decode(acts)
        self.watch(acts)
        return {
            "mse": (x_hat - x).pow(2).mean(),
            **self.aux_loss(pre_acts, x - x_hat),
            "shrink": self.config.shrink / 2 * self.W_enc.pow(2).sum(),
        }

    def after_step(self) -> None:
        self._unit_rows()

    def inference_form(self) -> InferenceForm:
        select = Selection("topk", relu=True, k=self.config.k)
        return self._form(self.W_enc, self._folded_bias(), self.W_dec, self.b_dec, select)
