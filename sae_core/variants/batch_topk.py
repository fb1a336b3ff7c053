"""BatchTopK: k active latents per example on average, as the examples need them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from sae_core.models.configs import KConfig
from sae_core.models.forms import Selection
from sae_core.models.largest import last_and_next
from sae_core.models.registry import register
from sae_core.models.sparse import Pairs
from sae_core.models.untied import Untied
from sae_core.options import option

CHUNK = 4096
"""images looked at together while the threshold is set"""
AT_ONCE = 1 << 25
"""pre_acts that are in memory meanwhile: fewer images, where there are many latents"""


@dataclass(frozen=True)
class BatchTopKConfig(KConfig):
    """Shape and sparsity of `batch_topk`."""

    k: int = option(50, "active latents per example, on average", low=1, high=100_000)
    aux_weight: float = option(0.1, "weight of the auxiliary loss that revives dead latents", low=0.0, high=10.0)
    shrink: float = option(3e-7, "weight of the squared encoder weights in the loss", low=0.0, high=1.0)


@register
class BatchTopK(Untied):
    """Untied, pre-bias, unit-norm decoder rows; the k·B largest activations of a batch of B stay.

    ```
    pre_acts = (x − b_dec) @ W_enc + b_enc
    training:  acts = ReLU(pre_acts) where among the k·B largest of the batch, else 0
    in use:    acts = pre_acts where pre_acts > threshold, else 0
    x_hat    = acts @ W_dec + b_dec,   ‖W_dec[f]‖ = 1
    loss     = mean (x_hat − x)²  +  aux (see `topk`)  +  shrink / 2 · ‖W_enc‖²
    ```

    The threshold is set once, after training: exactly k·N of all activations on the N training images are above it.
    It is kept with the model, so an image's code never depends on the images beside it.

    Source: Bussmann et al. 2024, "BatchTopK sparse autoencoders" (arXiv 2412.06410).
    """

    variant = "batch_topk"
    Config = BatchTopKConfig
    recipe: ClassVar[dict[str, Any]] = {
        "epochs": 5,
        "batch_size": 96,
        "lr": 4e-3,
        "warmup": 0.03,
        "decay_from": 0.5,
        "revival": "aux",
    }
    config: BatchTopKConfig
    pre_bias = True
    threshold: Tensor

    def __init__(self, config: BatchTopKConfig) -> None:
        super().__init__(config)
        self.register_buffer("threshold", torch.zeros(()))

    def selection(self) -> Selection:
        return Selection("threshold", relu=True, thresholds=self.threshold.expand(self.config.d_sae))

    def select_batch(self, pre_acts: Tensor) -> Tensor:
        return torch.where(self._kept(pre_acts), pre_acts.relu(), 0.0)

    def pairs(self, pre_acts: Tensor) -> Pairs:
        return Pairs.where(self._kept(pre_acts) & ~(pre_acts <= 0))

    @torch.no_grad()
    def _kept(self, pre_acts: Tensor) -> Tensor:
        """Which of a batch stay; of those equal to the smallest that stays all do, and what is no number does."""
        positive = pre_acts.relu()
        wanted = self.config.k * self.ranks.images(len(pre_acts))
        return ~(positive < self.ranks.nth_largest(positive.flatten(), wanted))

    @property
    def decays(self) -> dict[str, float]:
        return {"W_enc": self.config.shrink}

    @torch.no_grad()
    def finish(self, x: Tensor) -> None:
        """Set the threshold: exactly k·N activations on x [N, d_in] are above it (fewer where fewer are positive).

        It lies between the last that stays and the first that does not: on one of them, rounding would decide about
        that image.
        """
        rows = max(1, min(CHUNK, AT_ONCE // self.config.d_sae))

        def parts() -> Iterator[Tensor]:
            for start in range(0, len(x), rows):
                yield self._pre_acts(x[start : start + rows]).flatten()

        found = last_and_next(parts, self.config.k * len(x))
        if found is None:
            self.threshold.zero_()
            return
        stays, goes = found
        between = (stays + goes) / 2
        self.threshold.copy_(between if between < stays else goes)
