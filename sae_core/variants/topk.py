"""The TopK sparse autoencoder of Gao et al. 2024, the better default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from sae_core.models.configs import KConfig
from sae_core.models.forms import Selection
from sae_core.models.registry import register
from sae_core.models.untied import Untied
from sae_core.options import option


@dataclass(frozen=True)
class TopKConfig(KConfig):
    """Shape and sparsity of `topk`, and how its dead latents come back."""

    shrink: float = option(1e-7, "weight of the squared encoder weights in the loss", low=0.0, high=1.0)


@register
class TopK(Untied):
    """Untied, pre-bias, unit-norm decoder rows, top-k and ReLU.

    ```
    pre_acts = (x − b_dec) @ W_enc + b_enc
    acts     = ReLU(the k largest of pre_acts), the rest 0
    x_hat    = acts @ W_dec + b_dec,   ‖W_dec[f]‖ = 1
    loss     = mean (x_hat − x)²  +  aux_weight · mean (e_hat − e)²  +  shrink / 2 · ‖W_enc‖²
    ```

    e = x − x_hat is the residual (taken as given) and e_hat what the `aux_k` strongest dead latents make of it, without
    the decoder bias, which would otherwise be learned twice.

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
    pre_bias = True

    def selection(self) -> Selection:
        return Selection("topk", relu=True, k=self.config.k)

    @property
    def decays(self) -> dict[str, float]:
        return {"W_enc": self.config.shrink}
