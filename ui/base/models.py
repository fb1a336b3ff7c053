"""The models that a person can choose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sae_core import files
from sae_core.datasets import dataset_names
from sae_core.measure import features
from sae_core.measure.readability import Readability
from sae_core.pictures.prepare import SIDE
from sae_core.store import catalogue
from ui.base import memory
from ui.base.cache import shared

if TYPE_CHECKING:
    from sae_core.measure.features import FeatureStats
    from sae_core.models.sae import SAE


@dataclass(frozen=True)
class Model:
    """A model a person can choose; its weights are loaded when they are first asked for."""

    name: str
    """as `load` takes it: "NAME", or "NAME/0" for a member of an ensemble"""
    hash: str
    path: Path
    member: int = 0

    @property
    def id(self) -> str:
        """Changes with the weights: the browser keeps models by it."""
        return f"{self.name}@{self.hash}"

    @property
    def sae(self) -> SAE:
        """The SAE on the CPU, shared by everyone on this server: never change it."""
        return _load(self.path, self.hash, self.member)

    @property
    def info(self) -> catalogue.Checkpoint:
        """What the checkpoint says of itself: variant, config, training and metrics."""
        return catalogue.read(self.path)

    @property
    def side(self) -> int:
        """Pixels of the side of the pictures that it is given; MNIST's where the classifier that it reads is not here,
        so that there is a page which says that."""
        try:
            return self.info.side
        except files.CheckpointError:
            return SIDE

    @property
    def measured(self) -> list[str]:
        """The data sets whose training split its feature statistics were made on, its own training data first."""
        own = self.info.training["data"]
        found = [n for n in dataset_names() if features.stats_path(self.path, n, "train", self.member).is_file()]
        return sorted(found, key=lambda n: n != own)

    @property
    def readability(self) -> Readability | None:
        """How readable its features are, on the test images of the data it was trained on; None where that was not
        measured. CheckpointError for a damaged file."""
        info = self.info
        where = f"{info.training['data']}/test"
        kept = info.readability_of(self.member).get(where)
        return Readability.of(where, kept, info.path / catalogue.METRICS) if kept else None

    def stats(self, dataset: str, split: str = "train") -> FeatureStats:
        """Feature statistics over a split. CheckpointError when they were not made."""
        return _stats(self.path, self.hash, dataset, split, self.member)


@shared(8)
def _load(path: Path, hash: str, member: int) -> SAE:
    import torch

    from sae_core.store.checkpoints import load

    # One image is a few hundred microseconds of work: more threads only get in each other's way.
    torch.set_num_threads(1)
    memory.give_back()
    return load(f"{path}/{member}")


@shared(16)
def _stats(path: Path, hash: str, dataset: str, split: str, member: int) -> FeatureStats:
    from sae_core.measure import features

    return features.read(path, dataset, split, member)


def listed() -> tuple[dict[str, Model], list[str]]:
    """Every SAE a person can choose, each member of an ensemble for itself, and a sentence for each broken folder."""
    found, broken = catalogue.list_checkpoints()
    broken += [f"{c.no_pictures}: python -m sae_core evaluate {c.name} --data DIR" for c in found if c.no_pictures]
    several = [(c, i) for c in found if c.is_sae and not c.no_pictures for i in range(c.members)]
    listed = [Model(f"{c.name}/{i}" if c.members > 1 else c.name, c.hash, c.path, i) for c, i in several]
    return {m.name: m for m in listed}, broken
