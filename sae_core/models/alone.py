"""The ranks of a training that is one process, and what a model and a trainer ask of ranks."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

from torch import Tensor

T = TypeVar("T")


class Alone:
    """One process, where all of a batch is: every method gives back what it gets, and does nothing.

    `training.ranks.Ranks` are many of them. A rank has a part of each batch, its losses are weighted by its share of
    the images, and the gradients of all are added. What a loss asks of a batch beyond a mean over its images (a
    threshold, a mean that is squared or the like, who was active) it must ask here.
    """

    rank = 0
    size = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and logs."""
        return self.rank == 0

    # ---- what a model asks, in the order in which all ranks ask it

    def images(self, n: int) -> int:
        """Images of the whole batch, n of which are here."""
        return n

    def least(self, idle: Tensor) -> None:
        """Make of idle [..] the elementwise minimum over the ranks, in place."""

    def mean(self, here: Tensor) -> Tensor:
        """The mean over the whole batch, of a mean over the images that are here."""
        return here

    def nth_largest(self, values: Tensor, n: int) -> Tensor:
        """The n-th largest of all values [m] of the whole batch, none of which is negative: a scalar."""
        return values.kthvalue(len(values) - n + 1).values

    def same(self, tensors: Iterable[Tensor]) -> None:
        """Make the tensors what they are on the first rank, in place."""

    # ---- what the trainer asks

    def take(self, rows: Tensor) -> Tensor:
        """The part of a batch [B, ..] that is trained on here."""
        return rows

    def weighted(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """The losses of this part by its share of the batch: added over the ranks they are the batch's."""
        return losses

    def add(self, tensors: Iterable[Tensor]) -> None:
        """Make each tensor the sum over the ranks, in place."""

    # ---- what keeps the model asks

    def told(self, value: T) -> T:
        """What the first rank says."""
        return value

    def state(self, found: dict[str, Tensor] | None) -> dict[str, Tensor] | None:
        """The tensors that the first rank has, by name."""
        return found

    def apart(self) -> AbstractContextManager[object]:
        """For what each rank does by itself: at its end all wait for the last, however long it works, as long as it is
        alive."""
        return nullcontext()

    def leave(self) -> None:
        """Go on alone: nothing is asked of the others any more."""


ALONE = Alone()
