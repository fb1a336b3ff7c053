"""What the trainer and the checkpoints know of any model."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from sae_core.models.alone import ALONE, Alone

FEW_IMAGES = 10_000
"""with fewer training images an epoch is so few steps that some recipes need to be others"""


class Network(nn.Module):
    """What the trainer and the checkpoints know of a model: its config, its losses, and a few hooks."""

    variant: ClassVar[str]
    """the name on the command line"""
    Config: ClassVar[type[Any]]
    recipe: ClassVar[dict[str, Any]] = {}
    """the training options that suit it, where they differ from `TrainOptions`"""
    recipe_few: ClassVar[dict[str, Any]] = {}
    """what of it is another with fewer than FEW_IMAGES training images"""
    replayable: ClassVar[bool] = True
    """whether a training step needs nothing of the CPU but its launch: on a GPU it is then recorded and replayed"""
    revival: str = "none"
    """how dead latents come back in the training that is going on: none | reinit | aux"""
    ranks: Alone = ALONE
    """the processes among which the training that is going on shares its batches"""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config

    def read(self, x: Tensor) -> Tensor:
        """Pictures [N, 784] → what this network reads; here the pixels themselves."""
        return x

    @classmethod
    def recipe_for(cls, n: int) -> dict[str, Any]:
        """The training options that suit it, for n training images."""
        return {**cls.recipe, **(cls.recipe_few if n < FEW_IMAGES else {})}

    @property
    def revivals(self) -> tuple[str, ...]:
        """Which ways of bringing dead latents back do something here; "none" is always one."""
        return ("none",)

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        """Named scalars whose sum is minimised, for a training batch of what it reads."""
        raise NotImplementedError

    def labelled_losses(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The same with the classes [B] of the batch, for a network that learns them."""
        return self.losses(x)

    @property
    def decays(self) -> dict[str, float]:
        """By a parameter's name, the weight of half its squared sum in the loss: Adam adds that gradient as it reads
        the weights. The logged losses are without it."""
        return {}

    def start(self, x: Tensor) -> None:
        """Once before training, with all that it will read, on the device."""

    def after_step(self, step: int, lr: float) -> None:
        """After each optimiser step, of which `step` are done, at that learning rate (for example: decoder rows back to
        unit norm)."""

    @property
    def dead(self) -> Tensor:
        """Which of its latents are dead, where it has any: bool."""
        return torch.zeros(0, dtype=torch.bool)

    def revive(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Start dead latents anew; returns which they were."""
        return self.dead

    def finish(self, x: Tensor) -> None:
        """Once after training and rounding, with all that it read (for example: an exact threshold)."""

    @torch.no_grad()
    def round_weights(self) -> None:
        """Round every parameter to float16 and back, once, before anything is measured.

        Python and the browser then compute with the same numbers; with float32 here and float16 there, about
        one image in a hundred would get another set of active latents.
        """
        for p in self.parameters():
            if not p.abs().max() <= 65504:  # float16's largest number; NaN is not below it either
                raise ValueError("a weight is too large for float16; the training has probably diverged")
            p.copy_(p.half().float())

    def _check(self, x: Tensor) -> None:
        check_input(x, self.config.d_in, "this network")


def check_input(x: Tensor, d_in: int, who: str) -> None:
    """ValueError in words unless x is a finite float32 [N, d_in]."""
    if not isinstance(x, Tensor):
        raise ValueError(f"{who} reads a torch tensor, not {type(x).__name__}: torch.from_numpy(x)")
    if x.ndim != 2 or x.shape[1] != d_in:
        raise ValueError(f"{who} reads [N, {d_in}], not {list(x.shape)}")
    if x.dtype != torch.float32:
        raise ValueError(f"{who} reads float32 in [0, 1], not {x.dtype}; divide 8-bit pixels by 255")
    if not bool(torch.isfinite(x).all()):
        raise ValueError("the input has NaN or infinite values")


def to_numpy(t: Tensor) -> np.ndarray:
    """A tensor's numbers as a float32 array of its own shape, wherever it is."""
    return t.detach().cpu().float().contiguous().numpy()
