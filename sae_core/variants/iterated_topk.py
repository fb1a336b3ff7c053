"""TopK whose encoder looks more than once: iterative hard thresholding, trained through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sae_core.models.configs import KConfig
from sae_core.models.forms import Selection
from sae_core.models.registry import register
from sae_core.models.rows import normalise_rows, picture_side, smooth_rows
from sae_core.models.sae import SAE
from sae_core.options import option

_SMOOTH_EVERY = 8
"""steps between two times that rows are smoothed, by as much as in so many steps"""


@dataclass(frozen=True)
class IteratedTopKConfig(KConfig):
    """Shape, sparsity and passes of `iterated_topk`."""

    k: int = option(20, "active latents per example", low=1, high=100_000)
    passes: int = option(3, "how often the encoder looks: from the second on at what is left over", low=1, high=100)
    step: float = option(1.0, "how much of what it sees it adds to the code", low=1e-3, high=10.0)
    tied: bool = option(False, "one matrix: the decoder's rows are the encoder's, at unit length")
    smooth: float = option(0.2, "how strongly rows are smoothed, where what is read are pictures", low=0.0, high=10.0)
    aux_weight: float = option(1 / 32, "weight of the auxiliary loss that revives dead latents", low=0.0, high=10.0)
    dead_after: int = option(10_000, "training images without activity after which a latent is dead", low=1)


@register
class IteratedTopK(SAE):
    """Pre-bias, unit decoder rows, top-k and ReLU, in several passes over what is left to explain.

    ```
    z    = 0 before the first pass; then `passes` times
    z    = ReLU(the k largest of  z + step · (x − b_dec − z @ W_dec) @ W_enc),  the rest 0
    acts = z,   x_hat = acts @ W_dec + b_dec,   ‖W_dec[f]‖ = 1,   tied: W_dec[f] = W_enc[:, f] / ‖W_enc[:, f]‖
    loss = mean (x_hat − x)²  +  aux (see `topk`)
    ```

    The gradient goes through all passes. Features that resemble each other no longer all answer to the same stroke:
    from the second pass on only what is left over is seen. There is no encoder bias: with one, latents end up rare.

    Trained on pictures, rows are smoothed a little at each step, by `lr · smooth` (see `smooth_rows`), apart from the
    gradient as AdamW's decay is (Loshchilov & Hutter 2019): directions in which the images hardly ever differ would
    keep the noise of the start.

    Sources: iterative hard thresholding (Blumensath & Davies 2008); a learned, unrolled encoder (LISTA, Gregor & LeCun
    2010).
    """

    variant = "iterated_topk"
    Config = IteratedTopKConfig
    recipe: ClassVar[dict[str, Any]] = {
        "epochs": 25,
        "batch_size": 128,
        "lr": 1.2e-3,
        "beta2": 0.95,
        "warmup": 0.03,
        "decay_from": 0.5,
        "revival": "aux",
    }
    config: IteratedTopKConfig
    pre_bias = True
    zeros: Tensor
    side: int = 0
    """of the pictures that it is trained on; 0 where they are none"""

    def __init__(self, config: IteratedTopKConfig) -> None:
        super().__init__(config)
        self.passes, self.step_size = config.passes, config.step
        rows = nn.init.orthogonal_(torch.empty(config.d_sae, config.d_in))
        normalise_rows(rows)
        self.W_enc = nn.Parameter(rows.t())  # so laid out that a latent's weights lie together
        if not config.tied:  # not by assignment: W_dec is a property here
            self._parameters["W_dec"] = nn.Parameter(rows.clone())
        self.b_dec = nn.Parameter(torch.zeros(config.d_in))
        self.register_buffer("zeros", torch.zeros(config.d_sae), persistent=False)

    @property
    def b_enc(self) -> Tensor:  # type: ignore[override]
        return self.zeros

    @property
    def W_dec(self) -> Tensor:  # type: ignore[override]
        """The decoder's own rows or, tied, the encoder's at unit length; in use float16 as in the browser."""
        W_dec = self._parameters.get("W_dec")
        if W_dec is not None:
            return W_dec
        W = nn.functional.normalize(self.W_enc, dim=0).t()
        return W if self.training else W.half().float()

    def _rows(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        if self.config.tied:
            return self.W_enc.t(), None, self.W_enc.square().sum(0).clamp_min(1e-24).rsqrt()
        return self.W_enc.t(), self.W_dec, None

    def selection(self) -> Selection:
        return Selection("topk", relu=True, k=self.config.k)

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """b_dec at the mean of x; rows without what never differs in x, which would keep its noise for ever."""
        self.b_dec.copy_(x.mean(0))
        self.side = picture_side(x)
        for rows in (self.W_enc.t(), self._parameters.get("W_dec")):
            if rows is not None:
                rows *= (x.std(0, correction=0) > 0).to(rows)
                normalise_rows(rows)

    @torch.no_grad()
    def after_step(self, step: int, lr: float) -> None:
        written = self._parameters.get("W_dec")
        if self.side and self.config.smooth and step % _SMOOTH_EVERY == 0:
            by = min(_SMOOTH_EVERY * lr * self.config.smooth, 0.2)
            for rows in (self.W_enc.t(), written):
                if rows is not None:
                    smooth_rows(rows, self.side, by)
        if written is not None:
            normalise_rows(written)
