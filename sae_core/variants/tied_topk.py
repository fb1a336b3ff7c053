"""The k-sparse autoencoder of the source documents."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sae_core.models import matching
from sae_core.models.codes import keep_topk
from sae_core.models.configs import KConfig
from sae_core.models.forms import InferenceForm, Selection
from sae_core.models.registry import register
from sae_core.models.sae import SAE
from sae_core.options import option

CONSISTENCY = ("matching", "row-max", "representation", "none")


@dataclass(frozen=True)
class TiedTopKConfig(KConfig):
    """Shape and sparsity of `tied_topk`, and what holds the members of an ensemble together."""

    members: int = option(1, "models trained side by side; more than one is an ensemble", low=1, high=64)
    consistency: str = option("matching", "what an ensemble's members are to agree in", choices=CONSISTENCY)
    consistency_weight: float = option(0.01, "weight λ of that loss", low=0.0, high=1_000.0)
    consistency_warmup: int = option(100, "steps over which it rises from 0, as half a cosine", low=0)
    match_every: int = option(50, "steps between two looks for partners; 1 is the documented way", low=1)


@register
class TiedTopK(SAE):
    """Tied weights, row-normalised decoder, top-k without ReLU.

    ```
    pre_acts = x @ W_enc + b_enc
    acts     = the k largest of pre_acts, the rest 0         (a negative value among them stays)
    x_hat    = acts @ W_dec,   W_dec[f] = W_enc[:, f] / ‖W_enc[:, f]‖
    loss     = mean over pixels and images of (x_hat − x)²
    ```

    W_enc is orthogonal at the start, b_enc zero; no decoder bias. An ensemble is the same computation
    with a leading dimension of members on W_enc [n, d_in, d_sae] and b_enc [n, d_sae]: its losses are summed,
    so with consistency "none" each member trains as it would alone. Otherwise every member's loss is

    ```
    loss_i = mse_i + λ · warm(t) · C,     warm(t) = ½ (1 + cos(π (T − t) / T)) up to step T, then 1
    ```

    with one C for all, over the pairs of members: `matching`: 1 − mean cosine of decoder rows matched one to one;
    `row-max`: 1 − mean cosine of each row with its best partner (both directions); `representation`: mean squared
    difference of the codes, latent by latent. The documents' program computes the first and their report writes the
    last. Who is whose partner is looked up every `match_every` steps; the cosines are those of every step.

    Source: documents 000–002 (k-sparse autoencoders: Makhzani & Frey 2013).
    """

    variant = "tied_topk"
    Config = TiedTopKConfig
    recipe: ClassVar[dict[str, Any]] = {"epochs": 5, "batch_size": 128, "lr": 1e-3}
    config: TiedTopKConfig
    zero: Tensor
    step: Tensor
    partner: Tensor

    def __init__(self, config: TiedTopKConfig) -> None:
        super().__init__(config)
        lead = () if config.members == 1 else (config.members,)
        self.W_enc = nn.Parameter(torch.empty(*lead, config.d_in, config.d_sae))
        self.b_enc = nn.Parameter(torch.zeros(*lead, config.d_sae))
        for W in self.W_enc.detach().view(-1, config.d_in, config.d_sae):
            nn.init.orthogonal_(W)
        self.register_buffer("zero", torch.zeros(()), persistent=False)
        # Parts of a training, not of the model.
        self.register_buffer("idle", torch.zeros(*lead, config.d_sae), persistent=False)
        self.register_buffer("step", torch.zeros((), dtype=torch.long), persistent=False)
        places = (config.members, config.members, config.d_sae) if self._matches else (0,)
        self.register_buffer("partner", torch.zeros(places, dtype=torch.long), persistent=False)

    @property
    def _matches(self) -> bool:
        return self.config.members > 1 and self.config.consistency in (matching.MATCHING, matching.ROW_MAX)

    @property
    def W_dec(self) -> Tensor:  # type: ignore[override]
        """The encoder's rows at unit length; in use, not in training, float16 as in the browser."""
        W = nn.functional.normalize(self.W_enc, dim=-2).transpose(-1, -2)
        return W if self.training else W.half().float()

    @property
    def b_dec(self) -> Tensor:  # type: ignore[override]
        return self.zero

    def encode(self, x: Tensor) -> Tensor:
        return keep_topk(x @ self.W_enc + self.b_enc.unsqueeze(-2), self.config.k)

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        config, W = self.config, self.W_enc
        # W_dec = Wᵀ / ‖W‖ is never made: the codes are scaled instead, and every gradient of W keeps W's layout.
        # A third of the time of decode(encode(x)), which a test holds equal.
        shrink = W.square().sum(-2, keepdim=True).clamp_min(1e-24).rsqrt()
        pre_acts = x @ W + self.b_enc.unsqueeze(-2)
        acts = keep_topk(pre_acts, config.k)
        x_hat = (W @ (acts * shrink).transpose(-1, -2)).transpose(-1, -2)
        self.watch(acts)
        # The sum over members: Adam works element by element, so each gets its own gradient and no other.
        found = {"mse": (x_hat - x).square().mean(dim=(-2, -1)).sum(), **self.aux_loss(pre_acts, x - x_hat)}
        if config.members > 1 and config.consistency != "none":
            found["consistency"] = config.consistency_weight * self._warm() * self._consistency(shrink, acts)
        return found

    def _warm(self) -> float:
        t, T = int(self.step), self.config.consistency_warmup
        return 1.0 if t >= T else 0.5 * (1 + math.cos(math.pi * (T - t) / T))

    def _consistency(self, shrink: Tensor, acts: Tensor) -> Tensor:
        if not self._matches:
            n = len(acts)  # Σ over pairs of (a_i − a_j)² = n Σ a_i² − (Σ a_i)²
            return (n * acts.square().sum(0) - acts.sum(0).square()).mean() / (n * (n - 1) / 2)
        how = self.config.consistency
        if int(self.step) % self.config.match_every == 0:
            self.partner.copy_(matching.partners((self.W_enc * shrink).detach(), how))
        return 1 - matching.agreement(self.W_enc, shrink, self.partner, how == matching.MATCHING)

    def after_step(self) -> None:
        self.step += 1

    def inference_form(self) -> InferenceForm:
        if self.config.members > 1:
            raise ValueError(f"an ensemble of {self.config.members} has no single code: choose a member")
        c = self.W_enc.new_zeros(self.config.d_in)
        return self._form(self.W_enc, self.b_enc, self.W_dec, c, Selection("topk", relu=False, k=self.config.k))

    def member(self, index: int) -> SAE:
        if self.config.members == 1:
            return super().member(index)
        if not 0 <= index < self.config.members:
            raise ValueError(f"there is no member {index}: this ensemble has 0 to {self.config.members - 1}")
        one = TiedTopK(replace(self.config, members=1)).to(self.W_enc.device)
        one.load_state_dict({"W_enc": self.W_enc[index], "b_enc": self.b_enc[index]})
        one.attach(self.reader, self.painter)
        return one.train(self.training)
