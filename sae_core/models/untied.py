"""What the SAEs have in common whose decoder is not their encoder's transpose."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sae_core.models.configs import SAEConfig
from sae_core.models.rows import normalise_rows
from sae_core.models.sae import SAE


class Untied(SAE):
    """Parameters of its own for encoder and decoder, and decoder rows held at unit length.

    b_dec starts at the mean image, W_dec at random unit rows, W_enc at its transpose, b_enc at zero.
    """

    def __init__(self, config: SAEConfig) -> None:
        super().__init__(config)
        D = nn.functional.normalize(torch.randn(config.d_sae, config.d_in), dim=-1)
        self.W_enc = nn.Parameter(D.clone().t())  # so laid out that a latent's weights lie together, as in W_dec
        self.b_enc = nn.Parameter(torch.zeros(config.d_sae))
        self.W_dec = nn.Parameter(D)
        self.b_dec = nn.Parameter(torch.zeros(config.d_in))

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """b_dec at the mean of x, rows in random directions among those that x has.

        An input that never changes has no gradient and would show its initial noise for ever.
        """
        self.b_dec.copy_(x.mean(0))
        self.W_dec.copy_(nn.functional.normalize(self.W_dec * x.std(0, correction=0), dim=-1))
        self.W_enc.copy_(self.W_dec.t())

    def after_step(self, step: int, lr: float) -> None:
        normalise_rows(self.W_dec)
