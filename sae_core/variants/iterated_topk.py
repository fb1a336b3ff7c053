"""TopK whose encoder looks more than once: iterative hard thresholding, trained through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sae_core.models.configs import KConfig
from sae_core.models.forms import Selection
from sae_core.models.registry import register
from sae_core.models.sae import SAE
from sae_core.models.untied import normalise_rows
from sae_core.options import option


@dataclass(frozen=True)
class IteratedTopKConfig(KConfig):
    """Shape, sparsity and passes of `iterated_topk`."""

    k: int = option(20, "active latents per example", low=1, high=100_000)
    passes: int = option(3, "how often the encoder looks: from the second on at what is left over", low=1, high=100)
    step: float = option(1.0, "how much of what it sees it adds to the code", low=1e-3, high=10.0)
    tied: bool = option(True, "one matrix: the decoder's rows are the encoder's")
    aux_weight: float = option(1 / 32, "weight of the auxiliary loss that revives dead latents", low=0.0, high=10.0)
    dead_after: int = option(10_000, "training images without activity after which a latent is dead", low=1)


@register
class IteratedTopK(SAE):
    """Tied or not, pre-bias, unit rows, top-k and ReLU, in several passes over what is left to explain.

    ```
    z    = 0 before the first pass; then `passes` times
    z    = ReLU(the k largest of  z + step · (x − b_dec − z @ W_dec) @ W_enc + b_enc),  the rest 0
    acts = z,   x_hat = acts @ W_dec + b_dec,   ‖W_dec[f]‖ = 1,   tied: W_enc = W_decᵀ
    loss = mean (x_hat − x)²  +  aux (see `topk`)
    ```

    The gradient goes through all passes. One pass is `topk` with tied weights. Features that resemble each other no
    longer all answer to the same stroke: after the first pass only what is left over is seen.

    Sources: iterative hard thresholding (Blumensath & Davies 2008); a learned, unrolled encoder (LISTA, Gregor & LeCun
    2010).
    """

    variant = "iterated_topk"
    Config = IteratedTopKConfig
    recipe: ClassVar[dict[str, Any]] = {
        "epochs": 25,
        "batch_size": 128,
        "lr": 3e-3,
        "warmup": 0.03,
        "decay_from": 0.5,
        "revival": "aux",
    }
    config: IteratedTopKConfig
    pre_bias = True

    def __init__(self, config: IteratedTopKConfig) -> None:
        super().__init__(config)
        self.passes, self.step_size = config.passes, config.step
        rows = nn.init.orthogonal_(torch.empty(config.d_sae, config.d_in))
        normalise_rows(rows)
        self.W_enc = nn.Parameter(rows.t())  # so laid out that a latent's weights lie together
        self.b_enc = nn.Parameter(torch.zeros(config.d_sae))
        if not config.tied:  # not by assignment: W_dec is a property here
            self._parameters["W_dec"] = nn.Parameter(rows.clone())
        self.b_dec = nn.Parameter(torch.zeros(config.d_in))

    @property
    def W_dec(self) -> Tensor:  # type: ignore[override]
        W_dec = self._parameters.get("W_dec")
        return self.W_enc.t() if W_dec is None else W_dec

    def _rows(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        return self.W_enc.t(), None if self.config.tied else self.W_dec, None

    def selection(self) -> Selection:
        return Selection("topk", relu=True, k=self.config.k)

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """b_dec at the mean of x."""
        self.b_dec.copy_(x.mean(0))

    def after_step(self) -> None:
        normalise_rows(self.W_dec.data)
