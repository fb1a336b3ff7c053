"""TopK whose encoder looks more than once: iterative hard thresholding, trained through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sae_core.models.configs import KConfig
from sae_core.models.forms import Selection
from sae_core.models.registry import register
from sae_core.models.rows import draw_rows, keep_inputs, normalise_rows, picture_side, smooth_rows, unit_rows
from sae_core.models.sae import SAE
from sae_core.options import option

_EVERY = 8
"""steps between two times that rows are smoothed and drawn together, by as much as in so many steps"""


@dataclass(frozen=True)
class IteratedTopKConfig(KConfig):
    """Shape, sparsity and passes of `iterated_topk`."""

    k: int = option(20, "active latents per example", low=1, high=100_000)
    passes: int = option(3, "how often the encoder looks: from the second on at what is left over", low=1, high=100)
    step: float = option(1.0, "how much of what it sees it adds to the code", low=1e-3, high=10.0)
    tied: bool = option(False, "one matrix: the decoder's rows are the encoder's, at unit length")
    smooth: float = option(0.2, "how strongly rows are smoothed, where what is read are pictures", low=0.0, high=10.0)
    pull: float = option(0.0, "how strongly rows that read are drawn to those that write", low=0.0, high=100.0)
    still: float = option(
        0.0, "inputs of a smaller deviation over the training data have no weights", low=0.0, high=1.0
    )
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
    keep the noise of the start. In the same way a row of the encoder may be drawn to its decoder row's line,

    ```
    W_enc[:, f] ← (1 − by) · W_enc[:, f]  +  by · (W_enc[:, f] · W_dec[f]) W_dec[f],   by = lr · pull
    ```

    so that it looks for what it adds, and differs from it only where that explains more. `still` leaves out inputs
    that hardly ever differ: they take the value of b_dec, in training too, and their weights are 0. Without it latents
    write faintly in the margin of a digit, where they read each other: a code as good, but one that nobody can read,
    and that ink in the margin puts out of order.

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
    moves: Tensor | None = None
    """[d_in] the inputs that are read and written, 0 or 1; None: all"""
    side: int = 0
    """of the pictures that it is trained on; 0 where they are none"""

    def __init__(self, config: IteratedTopKConfig) -> None:
        super().__init__(config)
        self.passes, self.step_size = config.passes, config.step
        rows = unit_rows(config.d_sae, config.d_in)
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
            return self.W_enc.t(), None, self.W_enc.norm(dim=0).clamp_min(1e-12).reciprocal()
        return self.W_enc.t(), self.W_dec, None

    def selection(self) -> Selection:
        return Selection("topk", relu=True, k=self.config.k)

    def _moving(self, x: Tensor) -> Tensor:
        """x with b_dec where it is still."""
        return x if self.moves is None else torch.where(self.moves > 0, x, self.b_dec.detach())

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        return super().losses(self._moving(x))

    def revive(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return super().revive(self._moving(x), generator)

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """b_dec at the mean of x; rows without what (nearly) never differs in x, whose noise would stay for ever."""
        self.b_dec.copy_(x.mean(0))
        self.side = picture_side(x)
        moves = (x.std(0, correction=0) > self.config.still).to(self.W_enc)
        self.moves = moves if self.config.still else None
        for rows in self._matrices():
            keep_inputs(rows, moves)

    def _matrices(self) -> list[Tensor]:
        """The rows that read, and those that write where they are others."""
        written = self._parameters.get("W_dec")
        return [self.W_enc.t()] if written is None else [self.W_enc.t(), written]

    @torch.no_grad()
    def after_step(self, step: int, lr: float) -> None:
        config, matrices = self.config, self._matrices()
        if step % _EVERY == 0:
            if self.side and config.smooth:
                for rows in matrices:
                    smooth_rows(rows, self.side, min(_EVERY * lr * config.smooth, 0.2))
            if len(matrices) == 2 and config.pull:
                draw_rows(matrices[0], matrices[1], min(_EVERY * lr * config.pull, 1.0))
            if self.moves is not None and self.side and config.smooth:  # a neighbour's weight was spread into them
                for rows in matrices:
                    rows *= self.moves
        if len(matrices) == 2:
            normalise_rows(matrices[1])
