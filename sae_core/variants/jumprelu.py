"""JumpReLU: every latent has a threshold of its own, which is learned."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.autograd import Function

from sae_core.models.configs import RevivalConfig
from sae_core.models.forms import Selection
from sae_core.models.registry import register
from sae_core.models.untied import Untied
from sae_core.options import option


@dataclass(frozen=True)
class JumpReLUConfig(RevivalConfig):
    """Shape and sparsity of `jumprelu`."""

    target: float = option(20.0, "active latents per example to come to; 0: as few as sparsity makes them", low=0.0)
    sparsity: float = option(0.03, "weight of the loss that keeps latents from being active", low=0.0, high=1_000.0)
    bandwidth: float = option(0.3, "width around a threshold within which it learns", low=1e-6, high=100.0)
    threshold: float = option(0.1, "every latent's threshold at the start", low=1e-6, high=1_000.0)


@register
class JumpReLU(Untied):
    """Untied, pre-bias, unit-norm decoder rows, and a learned threshold for each latent.

    ```
    pre_acts = (x − b_dec) @ W_enc + b_enc
    acts     = pre_acts where pre_acts > θ, else 0,      θ = exp(log_threshold) > 0
    x_hat    = acts @ W_dec + b_dec,   ‖W_dec[f]‖ = 1
    loss     = mean (x_hat − x)²  +  aux (see `topk`)  +  sparsity · (L0 / target − 1)²
    L0       = mean over the batch of Σ_f H(pre_acts[f] − θ[f]),     H the step from 0 to 1
    ```

    Without a target the last term is sparsity · L0. A step has no slope, so thresholds learn by straight-through
    pseudo-derivatives, with ε the bandwidth and K(u) = 1 for |u| < 1/2, else 0:

    ```
    ∂ H(z − θ) / ∂θ = −1/ε · K((z − θ) / ε),     ∂ acts / ∂θ = −θ/ε · K((z − θ) / ε)
    ```

    All latents start with a low threshold, so that each has learned something when L0 comes down to the target.

    Source: Rajamanoharan et al. 2024, "Jumping ahead: improving reconstruction fidelity with JumpReLU sparse
    autoencoders" (arXiv 2407.14435); the target as in its appendix.
    """

    variant = "jumprelu"
    Config = JumpReLUConfig
    recipe: ClassVar[dict[str, Any]] = {
        "epochs": 10,
        "batch_size": 128,
        "lr": 3e-3,
        "warmup": 0.03,
        "decay_from": 0.8,
        "revival": "aux",
    }
    # L0 comes down by some steps, not by some epochs.
    recipe_few: ClassVar[dict[str, Any]] = {"epochs": 30, "batch_size": 32, "lr": 4e-3}
    config: JumpReLUConfig
    pre_bias = True

    def __init__(self, config: JumpReLUConfig) -> None:
        super().__init__(config)
        self.log_threshold = nn.Parameter(torch.full((config.d_sae,), math.log(config.threshold)))

    @property
    def threshold(self) -> Tensor:
        """[d_sae], above 0"""
        return self.log_threshold.exp()

    def selection(self) -> Selection:
        return Selection("threshold", relu=True, thresholds=self.threshold)

    def _step(self, pre_acts: Tensor) -> Tensor:
        """Which are over their thresholds, as 1 and 0 [B, d_sae]."""
        return _Step.apply(pre_acts, self.threshold, self.config.bandwidth)

    def select_batch(self, pre_acts: Tensor) -> Tensor:
        over = self._step(pre_acts)
        kept = over.detach()
        return pre_acts * kept + self.threshold * (over - kept)  # the latter is 0, and has the threshold's slope

    def penalties(self, pre_acts: Tensor, acts: Tensor) -> dict[str, Tensor]:
        l0, target = self.ranks.mean(self._step(pre_acts).sum(-1).mean()), self.config.target
        return {"sparsity": self.config.sparsity * ((l0 / target - 1).square() if target else l0)}

    def _start_anew(self, which: Tensor, residual: Tensor, generator: torch.Generator) -> None:
        super()._start_anew(which, residual, generator)
        self.log_threshold.masked_fill_(which, math.log(self.config.threshold))


class _Step(Function):
    """1 where z [B, n] > θ [n], else 0; θ learns by a rectangle around it, z not at all."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, threshold: Tensor, bandwidth: float) -> Tensor:
        ctx.save_for_backward((z - threshold).abs() < bandwidth / 2)
        ctx.bandwidth = bandwidth
        return (z > threshold).to(z.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (near,) = ctx.saved_tensors
        return None, -(grads[0] * near).sum(0) / ctx.bandwidth, None
