"""The k-sparse autoencoder of the source documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sae_core.models.configs import KConfig
from sae_core.models.forms import Selection
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

    W_enc is orthogonal at the start, b_enc zero; no decoder bias. More than one member: `TiedTopKEnsemble`.

    Source: documents 000–002 (k-sparse autoencoders: Makhzani & Frey 2013).
    """

    variant = "tied_topk"
    Config = TiedTopKConfig
    recipe: ClassVar[dict[str, Any]] = {"epochs": 5, "batch_size": 128, "lr": 1e-3}
    config: TiedTopKConfig
    zero: Tensor

    def __init__(self, config: TiedTopKConfig) -> None:
        super().__init__(config)
        W = nn.init.orthogonal_(torch.empty(config.d_in, config.d_sae))
        self.W_enc = nn.Parameter(W.t().contiguous().t())  # so laid out that a latent's weights lie together
        self.b_enc = nn.Parameter(torch.zeros(config.d_sae))
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    @property
    def W_dec(self) -> Tensor:  # type: ignore[override]
        """The encoder's rows at unit length; in use, not in training, float16 as in the browser."""
        W = nn.functional.normalize(self.W_enc, dim=-2).transpose(-1, -2)
        return W if self.training else W.half().float()

    @property
    def b_dec(self) -> Tensor:  # type: ignore[override]
        return self.zero

    def selection(self) -> Selection:
        return Selection("topk", relu=False, k=self.config.k)

    def error(self, x_hat: Tensor, x: Tensor) -> Tensor:
        # The sum over members: Adam works element by element, so each gets its own gradient and no other.
        return (x_hat - x).square().mean(dim=(-2, -1)).sum()

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        return self._losses_by_pairs(x) if self.by_pairs(x) else self._fast(x)[-1]

    def _rows(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        return self.W_enc.t(), None, self._shrink().squeeze(-2)

    def _shrink(self) -> Tensor:
        """1 / ‖W_enc[:, f]‖ [.., 1, d_sae]."""
        return self.W_enc.norm(dim=-2, keepdim=True).clamp_min(1e-12).reciprocal()

    def _fast(self, x: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """1 / ‖W_enc[:, f]‖, the codes and the losses of a batch.

        W_dec = Wᵀ / ‖W‖ is never made: the codes are scaled instead, and every gradient of W keeps W's layout. A third
        of the time of decode(encode(x)), which a test holds equal.
        """
        W, shrink = self.W_enc, self._shrink()
        pre_acts = self._pre_acts(x)
        acts = self.select_batch(pre_acts)
        x_hat = (W @ (acts * shrink).transpose(-1, -2)).transpose(-1, -2)
        return shrink, acts, self._losses(x, pre_acts, acts, x_hat)
