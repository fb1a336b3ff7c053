"""The TopK sparse autoencoder of Gao et al. 2024, the better default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sae_core.options import option
from sae_core.sae import SAE, InferenceForm, SAEConfig, keep_topk, register


@dataclass(frozen=True)
class TopKConfig(SAEConfig):
    """Shape and sparsity of `topk`, and how its dead latents come back."""

    k: int = option(50, "active latents per example", low=1, high=100_000)
    aux_weight: float = option(0.25, "weight of the loss that revives dead latents", low=0.0, high=10.0)
    aux_k: int = option(256, "dead latents that share the residual in that loss", low=1, high=100_000)
    shrink: float = option(1e-7, "weight of the squared encoder weights in the loss", low=0.0, high=1.0)
    dead_after: int = option(4_000, "training images without activity after which a latent is dead", low=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k > self.d_sae:
            raise ValueError(f"k must be at most d_sae = {self.d_sae}, not {self.k}")


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
    }
    config: TopKConfig
    idle: Tensor

    def __init__(self, config: TopKConfig) -> None:
        super().__init__(config)
        D = nn.functional.normalize(torch.randn(config.d_sae, config.d_in), dim=-1)
        self.W_enc = nn.Parameter(D.t().contiguous())
        self.b_enc = nn.Parameter(torch.zeros(config.d_sae))
        self.W_dec = nn.Parameter(D)
        self.b_dec = nn.Parameter(torch.zeros(config.d_in))
        # Images since each latent was last active: part of a training, not of the model.
        self.register_buffer("idle", torch.zeros(config.d_sae), persistent=False)

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        self.b_dec.copy_(x.mean(0))
        # Random directions, but among those the images have: an input that never changes has no gradient and would
        # show its initial noise for ever.
        self.W_dec.copy_(nn.functional.normalize(self.W_dec * x.std(0, correction=0), dim=-1))
        self.W_enc.copy_(self.W_dec.t())

    def _pre_acts(self, x: Tensor) -> Tensor:
        return (x - self.b_dec) @ self.W_enc + self.b_enc

    def encode(self, x: Tensor) -> Tensor:
        return keep_topk(self._pre_acts(x), self.config.k).relu()

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        pre_acts = self._pre_acts(x)
        acts = keep_topk(pre_acts, self.config.k).relu()
        x_hat = self.decode(acts)
        with torch.no_grad():
            self.idle += len(x)
            self.idle[(acts > 0).any(0)] = 0
            dead = self.idle >= self.config.dead_after
        return {
            "mse": (x_hat - x).pow(2).mean(),
            "aux": self._aux(pre_acts, x - x_hat, dead),
            "shrink": self.config.shrink / 2 * self.W_enc.pow(2).sum(),
        }

    def _aux(self, pre_acts: Tensor, residual: Tensor, dead: Tensor) -> Tensor:
        n_dead = int(dead.sum())
        if n_dead == 0 or self.config.aux_weight == 0:
            return pre_acts.new_zeros(())
        pre_dead = pre_acts[:, dead]
        acts = keep_topk(pre_dead, min(self.config.aux_k, n_dead)).relu()
        return self.config.aux_weight * (acts @ self.W_dec[dead] - residual.detach()).pow(2).mean()

    @torch.no_grad()
    def after_step(self) -> None:
        self.W_dec.copy_(nn.functional.normalize(self.W_dec, dim=-1))

    def inference_form(self) -> InferenceForm:
        W, D = self.W_enc.detach().cpu(), self.W_dec.detach().cpu()
        b_enc, b_dec = self.b_enc.detach().cpu(), self.b_dec.detach().cpu()
        # In float64: the folded bias then differs from subtracting b_dec first by float32's rounding only.
        b = (b_enc.double() - b_dec.double() @ W.double()).float()
        return InferenceForm(
            W=W.numpy(),
            b=b.numpy(),
            D=D.numpy(),
            c=b_dec.numpy(),
            select="topk",
            k=self.config.k,
            threshold=0.0,
            relu=True,
        )
