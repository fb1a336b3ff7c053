"""Matching pursuit: one latent after the other, each the best for what those before leave over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sae_core.models.configs import KConfig
from sae_core.models.forms import InferenceForm, Selection
from sae_core.models.registry import register
from sae_core.models.rows import keep_inputs, normalise_rows, unit_rows
from sae_core.models.sae import SAE
from sae_core.options import option


@dataclass(frozen=True)
class MatchingPursuitConfig(KConfig):
    """Shape and sparsity of `matching_pursuit`."""

    k: int = option(20, "picks per example; a latent may be picked twice", low=1, high=100_000)


@register
class MatchingPursuit(SAE):
    """One matrix with unit rows; k picks, each of the latent most like what is left over.

    ```
    r    = x − b_dec,   acts = 0;   then k times
    f    = argmax r @ W_enc,   v = ReLU(r · W_enc[:, f]),   acts[f] += v,   r −= v · W_dec[f]
    x_hat = acts @ W_dec + b_dec,   W_dec = W_encᵀ,   ‖W_dec[f]‖ = 1
    loss = mean r²  +  aux (see `topk`)
    ```

    A slow upper bound of what k active latents can say: each of the k picks looks at all latents anew. Which are picked
    has no gradient; the values have one, through all picks.

    Sources: Mallat & Zhang 1993, "Matching pursuits with time-frequency dictionaries"; as an SAE Costa et al. 2025,
    "From flat to hierarchical: extracting sparse representations with matching pursuit" (arXiv 2506.03093).
    """

    variant = "matching_pursuit"
    Config = MatchingPursuitConfig
    recipe: ClassVar[dict[str, Any]] = {
        "epochs": 10,
        "batch_size": 128,
        "lr": 6e-3,
        "warmup": 0.03,
        "decay_from": 0.5,
        "beta2": 0.95,
        "revival": "aux",
    }
    config: MatchingPursuitConfig
    pre_bias = True
    zeros: Tensor

    def __init__(self, config: MatchingPursuitConfig) -> None:
        super().__init__(config)
        self.passes = config.k
        rows = unit_rows(config.d_sae, config.d_in)
        self.W_enc = nn.Parameter(rows.t())  # so laid out that a latent's weights lie together
        self.b_dec = nn.Parameter(torch.zeros(config.d_in))
        self.register_buffer("zeros", torch.zeros(config.d_sae), persistent=False)

    @property
    def b_enc(self) -> Tensor:  # type: ignore[override]
        return self.zeros

    @property
    def W_dec(self) -> Tensor:  # type: ignore[override]
        return self.W_enc.t()

    def selection(self) -> Selection:
        return Selection("topk", relu=True, k=1)

    def inference_form(self) -> InferenceForm:
        return replace(super().inference_form(), pursuit=True)

    def picks(self, x: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """x [N, d_in] → of each pick its latents [N, 1] and values [N, 1], and what was picked from [N, d_sae]."""
        left = self._pre_acts(x)
        # What a latent's activation takes from what all see. Where picks are few it is cheaper to look at the rest.
        seen = self.W_dec @ self.W_enc if len(self.W_dec) <= self.passes * len(x) else None
        for _ in range(self.passes):
            f = left.argmax(-1, keepdim=True)
            value = left.gather(-1, f).relu()
            yield f, value, left
            rows = self.W_dec[f[:, 0]] @ self.W_enc if seen is None else seen[f[:, 0]]
            left = torch.addcmul(left, value, rows, value=-1)

    def codes(self, x: Tensor) -> Iterator[Tensor]:
        acts = x.new_zeros(len(x), self.config.d_sae)
        for f, value, _ in self.picks(x):
            acts = acts.scatter_add(-1, f, value)
            yield acts

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            found = list(self.picks(x))
        picked, left = torch.cat([f for f, _, _ in found], -1), found[-1][-1]
        acts, r = torch.zeros_like(left), x - self.b_dec
        for f, d in zip(picked.unbind(1), self.W_dec[picked].unbind(1), strict=True):
            value = (r * d).sum(-1, keepdim=True).relu()
            r = r - value * d
            acts.scatter_add_(-1, f[:, None], value.detach())
        pre_acts = r.detach() @ self.W_enc if self._aux_k else left  # which nothing else asks for
        return self._losses(x, pre_acts, acts, x - r)

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """b_dec at the mean of x; rows without what never differs in x, which would keep its noise for ever."""
        self.b_dec.copy_(x.mean(0))
        keep_inputs(self.W_enc.t(), x.std(0, correction=0) > 0)

    def after_step(self, step: int, lr: float) -> None:
        normalise_rows(self.W_enc.t())

    def _start_anew(self, which: Tensor, residual: Tensor, generator: torch.Generator) -> None:
        super()._start_anew(which, residual, generator)
        normalise_rows(self.W_enc.t())
