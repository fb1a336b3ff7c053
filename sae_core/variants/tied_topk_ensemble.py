"""Several tied k-sparse autoencoders trained side by side."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from sae_core.models import dead, matching, sparse
from sae_core.models.forms import InferenceForm
from sae_core.models.registry import register_ensemble
from sae_core.models.sae import SAE
from sae_core.models.sparse import Passes
from sae_core.variants.tied_topk import TiedTopK, TiedTopKConfig


@register_ensemble
class TiedTopKEnsemble(TiedTopK):
    """n members of `tied_topk`: the same computation with a leading dimension, W_enc [n, d_in, d_sae].

    Their losses are summed, so with consistency "none" each member trains as it would alone. Otherwise every member's
    loss is

    ```
    loss_i = mse_i + λ · warm(t) · C,     warm(t) = ½ (1 + cos(π (T − t) / T)) up to step T, then 1
    ```

    with one C for all, over the pairs of members: `matching`: 1 − mean cosine of decoder rows matched one to one;
    `row-max`: 1 − mean cosine of each row with its best partner (both directions); `representation`: mean squared
    difference of the codes, latent by latent. The documents' program computes the first and their report writes the
    last. Who is whose partner is looked up every `match_every` steps; the cosines are those of every step.

    Source: documents 000–002.
    """

    replayable = False  # it asks for the step, to look for partners at some of them
    step: Tensor
    partner: Tensor

    def __init__(self, config: TiedTopKConfig) -> None:
        super().__init__(config)
        others = [nn.init.orthogonal_(torch.empty_like(self.W_enc)) for _ in range(1, config.members)]
        rows = torch.stack([self.W_enc.detach(), *others]).transpose(-1, -2).contiguous()
        self.W_enc = nn.Parameter(rows.transpose(-1, -2))  # so laid out that a latent's weights lie together
        self.b_enc = nn.Parameter(torch.zeros(config.members, config.d_sae))
        # Parts of a training, not of the model.
        self.register_buffer("idle", torch.zeros(config.members, config.d_sae), persistent=False)
        self.register_buffer("step", torch.zeros((), dtype=torch.long), persistent=False)
        places = (config.members, config.members, config.d_sae) if self._matches else (0,)
        self.register_buffer("partner", torch.zeros(places, dtype=torch.long), persistent=False)
        self._known = matching.Known()

    @property
    def _matches(self) -> bool:
        return self.config.consistency in (matching.MATCHING, matching.ROW_MAX)

    def _pre_acts(self, x: Tensor) -> Tensor:
        return x @ self.W_enc + self.b_enc.unsqueeze(-2)

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        acts = x.new_zeros(0)
        if self.by_pairs(x):
            shrink, found = self._members_by_pairs(x)
        else:
            shrink, acts, found = self._fast(x)
        if self.config.consistency != "none":
            found["consistency"] = self.config.consistency_weight * self._warm() * self._consistency(shrink, acts)
        return found

    def by_pairs(self, x: Tensor) -> bool:
        """All but the consistency of codes, which compares dense ones."""
        return super().by_pairs(x) and self.config.consistency != "representation"

    def _members_by_pairs(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """1 / ‖W_enc[:, f]‖ and the losses of a batch, one member after the other."""
        shrink = self._shrink()
        found: dict[str, Tensor] = {}
        rows, scales = self.W_enc.transpose(-1, -2).unbind(), shrink.squeeze(-2).unbind()
        for idle, W, b, scale in zip(self.idle, rows, self.b_enc.unbind(), scales, strict=True):
            how = Passes(self.pairs, relu=False, dead=self._told(idle, len(x)), aux_k=self._aux_k)
            one = sparse.autoencode(x, W, b, None, how, scale)
            for name, loss in {"mse": self.error(one.x_hat, x), **self._aux_of(one.e_hat, x - one.x_hat)}.items():
                found[name] = found.get(name, 0) + loss
        return shrink, found

    def _warm(self) -> float:
        t, T = int(self.step), self.config.consistency_warmup
        return 1.0 if t >= T else 0.5 * (1 + math.cos(math.pi * (T - t) / T))

    def _consistency(self, shrink: Tensor, acts: Tensor) -> Tensor:
        if not self._matches:
            n = len(acts)  # Σ over pairs of (a_i − a_j)² = n Σ a_i² − (Σ a_i)²
            return (n * acts.square().sum(0) - acts.sum(0).square()).mean() / (n * (n - 1) / 2)
        how = self.config.consistency
        if int(self.step) % self.config.match_every == 0:
            self.partner.copy_(matching.partners((self.W_enc * shrink).detach(), how, self._known))
            self.ranks.same([self.partner])
        return 1 - matching.agreement(self.W_enc, shrink, self.partner, how == matching.MATCHING)

    def after_step(self, step: int, lr: float) -> None:
        self.step += 1

    def _of_dead(self, pre_acts: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """Each member has its own dead ones, and not equally many."""
        return self._among_all(pre_acts, which)

    def _start_anew(self, which: Tensor, residual: Tensor, generator: torch.Generator) -> None:
        for i in range(self.config.members):
            dead.start_anew(which[i], residual[i], self.W_enc[i], self.b_enc[i], None, generator)

    def inference_form(self) -> InferenceForm:
        raise ValueError(f"an ensemble of {self.config.members} has no single code: choose a member")

    def member(self, index: int) -> SAE:
        if not 0 <= index < self.config.members:
            raise ValueError(f"there is no member {index}: this ensemble has 0 to {self.config.members - 1}")
        one = TiedTopK(replace(self.config, members=1)).to(self.W_enc.device)
        one.load_state_dict({"W_enc": self.W_enc[index], "b_enc": self.b_enc[index]})
        one.attach(self.reader, self.painter)
        return one.train(self.training)
