"""A run that is going on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sae_core import files
from sae_core.datasets import ImageSet, load_dataset
from sae_core.documents.report import Claim, Report, Value
from sae_core.store import catalogue
from sae_core.store.catalogue import Checkpoint

if TYPE_CHECKING:
    from sae_core.stage import Stage
    from sae_core.training.loop import TrainLog


@dataclass
class Run:
    """A run that is going on: its data, where its models are, and the report that it fills."""

    report: Report
    train: ImageSet
    test: ImageSet
    models: Path
    device: str
    on_log: Callable[[TrainLog], None] | None
    on_stage: Stage

    @property
    def quick(self) -> bool:
        return self.report.quick

    def claim(self, what: str, claimed: Value, documented: Value, ours: Value, **more: Any) -> None:
        """Add a claim; measured on the test images unless it is said."""
        more.setdefault("split", f"{self.test.name}/{self.test.split}")
        more.setdefault("n", len(self.test))
        self.report.claims.append(Claim(what, claimed, documented, ours, **more))

    def model(self, variant: str, config: Any, name: str, **options: Any) -> Checkpoint:
        """The model that this plan gives, trained if it is not there: named as bundled, or by its seed."""
        from sae_core.store.train_or_load import train_or_load
        from sae_core.training.loop import TrainOptions
        from sae_core.variants import networks

        if self.quick:
            options |= {"epochs": 1}
        seed = self.report.seed
        opts = TrainOptions(**{**networks()[variant].recipe, **options, "seed": seed})
        self.on_stage(f"{name}: training, or finding it", 0, 1)
        digits = [load_dataset("digits", split) for split in ("train", "test")]
        found, cached = train_or_load(
            variant,
            self.train,
            config,
            opts,
            out=self.models,
            name=self.name(name),
            device=self.device,
            measure=[self.train, self.test, digits[1]],
            describe=[self.train, digits[0]],
            on_log=self.on_log,
            on_stage=self.on_stage,
        )
        self.report.info.setdefault("models", {})[name] = found.name
        self.report.info.setdefault("trained_in_s", {})[name] = round(training_seconds(found), 1)
        self.report.info.setdefault("found", {})[name] = cached
        return found

    def name(self, name: str) -> str:
        """The name of a model of this run's seed."""
        return name if self.report.seed == 42 else f"{name}-seed{self.report.seed}"


def training_seconds(checkpoint: Checkpoint) -> float:
    """Seconds of training alone, measuring left out, by the model's own history."""
    total, before, images = 0.0, 0, int(checkpoint.training["options"]["batch_size"])
    for line in files.read_lines(checkpoint.path / catalogue.HISTORY):
        total += (line["step"] - before) * images / line["images_per_s"]
        before = line["step"]
    return total


def by_epoch(checkpoint: Checkpoint) -> list[dict[str, Any]]:
    """The history's lines at the ends of epochs."""
    return [line for line in files.read_lines(checkpoint.path / catalogue.HISTORY) if "measured" in line]
