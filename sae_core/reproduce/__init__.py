"""The experiments of the source documents, each from one call: claimed | as documented | ours.

A report is a folder with `report.json` (the numbers that people compare) and `arrays.safetensors` (what the figures are
drawn from). Those of the bundled models are in the repository's `results/`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sae_core import store
from sae_core.datasets import ImageSet, load_dataset
from sae_core.store import Checkpoint

if TYPE_CHECKING:  # a report is read without torch
    from sae_core.training import TrainLog

NAMES = ("ensemble", "intro", "experiment3")
BUNDLED = Path(__file__).resolve().parent.parent.parent / "results"
Stage = Callable[[str, int, int], None]
Value = float | int | str | list[float] | None


@dataclass(frozen=True)
class Claim:
    """One number of the documents beside ours."""

    what: str
    """in words, with its unit"""
    claimed: Value
    """what a document says; None where it says nothing"""
    documented: Value
    """what the document's own recipe or reading gives here"""
    ours: Value
    """what our choice gives, where it is another"""
    split: str
    """what it was measured on: "mnist/test", or "weights" """
    n: int
    """images (or features) it is an average over"""
    note: str = ""
    """what to know when the three differ"""


@dataclass
class Report:
    """What one run of an experiment found."""

    name: str
    seed: int
    quick: bool
    seconds: float = 0.0
    """of the whole run; models that were found are not trained again"""
    claims: list[Claim] = field(default_factory=list)
    info: dict[str, Any] = field(default_factory=dict)
    """names of the models, times of the trainings, and other plain values"""
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    """what the figures are drawn from"""
    folder: Path = Path()

    def as_dict(self) -> dict[str, Any]:
        """Plain values: what `report.json` holds and `--json` prints."""
        return {
            "name": self.name,
            "seed": self.seed,
            "quick": self.quick,
            "seconds": round(self.seconds, 1),
            "claims": [dataclasses.asdict(c) for c in self.claims],
            "info": self.info,
        }

    def text(self) -> str:
        """The claims as lines for people."""
        lines = [f"{self.name}, seed {self.seed}, {self.seconds:.0f} s{', quick' if self.quick else ''}: {self.folder}"]
        for c in self.claims:
            lines.append(f"  {c.what}  ({c.split}, n = {c.n:,})")
            lines.append(f"      claimed {show(c.claimed)} | documented {show(c.documented)} | ours {show(c.ours)}")
            if c.note:
                lines.append(f"      {c.note}")
        return "\n".join(lines)

    def write(self) -> None:
        """Write numbers and arrays into the folder, each aside and then in place."""
        self.folder.mkdir(parents=True, exist_ok=True)
        small = {k: a.astype(np.float32) if a.dtype == np.float64 else a for k, a in self.arrays.items()}
        store.write_tensors(self.folder / "arrays.safetensors", small)
        store.write_json(self.folder / "report.json", self.as_dict())


def show(value: Value) -> str:
    """A claim's value for people: four digits that count, a dash where there is none."""
    if value is None:
        return "–"
    if isinstance(value, list):
        return " ".join(show(v) for v in value)
    return value if isinstance(value, str) else f"{value:.4g}"


def read_report(folder: Path) -> Report:
    """A report as it was written. CheckpointError names a missing or damaged file."""
    path = folder / "report.json"
    found = store.read_json(path)
    arrays, _ = store.read_tensors(folder / "arrays.safetensors")
    try:
        claims = [Claim(**c) for c in found["claims"]]
        kept = {key: found[key] for key in ("name", "seed", "quick", "seconds", "info")}
        return Report(**kept, claims=claims, arrays=arrays, folder=folder)
    except (KeyError, TypeError) as e:
        raise store.CheckpointError(f"{path} is not a report of ours: {e!r}") from e


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
        from sae_core.checkpoints import train_or_load
        from sae_core.sae import networks
        from sae_core.training import TrainOptions

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
    for line in store.read_lines(checkpoint.path / store.HISTORY):
        total += (line["step"] - before) * images / line["images_per_s"]
        before = line["step"]
    return total


def by_epoch(checkpoint: Checkpoint) -> list[dict[str, Any]]:
    """The history's lines at the ends of epochs."""
    return [line for line in store.read_lines(checkpoint.path / store.HISTORY) if "measured" in line]


def reproduce(
    name: str,
    *,
    quick: bool = False,
    data_dir: Path | None = None,
    out: Path | None = None,
    seed: int = 42,
    device: str = "auto",
    on_log: Callable[[TrainLog], None] | None = None,
    on_stage: Stage | None = None,
) -> Report:
    """Run an experiment of the documents on MNIST and leave its report in `out` (default: results/NAME).

    Models are trained, or found among those at hand; `quick` uses 2,000 images, one epoch, and a folder of its own for
    models and report. DataError when MNIST is not there.
    """
    if name not in NAMES:
        raise ValueError(f"there is no experiment {name!r}; there is {', '.join(NAMES)}")
    began = time.perf_counter()
    train, test = (load_dataset("mnist", split, data_dir) for split in ("train", "test"))
    folder = out or Path("results") / (f"{name}-quick" if quick else name)
    if quick:
        train, test = _first(train, 2000), _first(test, 500)
    report = Report(name, seed, quick, folder=folder, info={"n": {"train": len(train), "test": len(test)}})
    models = folder / "models" if quick else store.stores()[0]
    run = Run(report, train, test, models, device, on_log, on_stage or (lambda what, done, of: None))
    import_module(f"sae_core.reproduce.{name}").run(run)
    report.seconds = time.perf_counter() - began
    report.write()
    return report


def _first(images: ImageSet, n: int) -> ImageSet:
    return ImageSet(images.x[:n], images.labels[:n], images.name, images.split)
