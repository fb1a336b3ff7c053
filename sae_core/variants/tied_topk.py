"""The k-sparse autoencoder of the source documents."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sae_core.options import option
from sae_core.sae import SAE, InferenceForm, SAEConfig, keep_topk, register


@dataclass(frozen=True)
class TiedTopKConfig(SAEConfig):
    """Shape and sparsity of `tied_topk`."""

    k: int = option(50, "active latents per example", low=1, high=100_000)
    members: int = option(1, "models trained side by side", low=1, high=64)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k > self.d_sae:
            raise ValueError(f"k must be at most d_sae = {self.d_sae}, not {self.k}")


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
    so each member trains as it would alone.

    Source: documents 000–002 (k-sparse autoencoders: Makhzani & Frey 2013).
    """

    variant = "tied_topk"
    Config = TiedTopKConfig
    recipe: ClassVar[dict[str, Any]] = {"epochs": 5, "batch_size": 128, "lr": 1e-3}
    config: TiedTopKConfig
    zero: Tensor

    def __init__(self, config: TiedTopKConfig) -> None:
        super().__init__(config)
        lead = () if config.members == 1 else (config.members,)
        self.W_enc = nn.Parameter(torch.empty(*lead, config.d_in, config.d_sae))
        self.b_enc = nn.Parameter(torch.zeros(*lead, config.d_sae))
        for W in self.W_enc.detach().view(-1, config.d_in, config.d_sae):
            nn.init.orthogonal_(W)
        self.register_buffer("zero", torch.zeros(()), persistent=False)

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
        x_hat = self.decode(self.encode(x))
        # The sum over members: Adam works element by element, so each gets its own gradient and no other.
        return {"mse": (x_hat - x).pow(2).mean(dim=(-2, -1)).sum()}

    def inference_form(self) -> InferenceForm:
        if self.config.members > 1:
            raise ValueError(f"an ensemble of {self.config.members} has no single code: choose a member")
        return InferenceForm(
            W=self.W_enc.detach().cpu().numpy(),
            b=self.b_enc.detach().cpu().numpy(),
            D=self.W_dec.detach().contiguous().cpu().numpy(),
            c=self.W_enc.new_zeros(self.config.d_in).detach().cpu().numpy(),
            select="topk",
            k=self.config.k,
            threshold=0.0,
            relu=False,
        )

    def member(self, index: int) -> SAE:
        if self.config.members == 1:
            return super().member(index)
        if not 0 <= index < self.config.members:
            raise ValueError(f"there is no member {index}: this ensemble has 0 to {self.config.members - 1}")
        one = TiedTopK(replace(self.config, members=1)).to(self.W_enc.device)
        one.load_state_dict({"W_enc": self.W_enc[index], "b_enc": self.b_enc[index]})
        return one.train(self.training)
