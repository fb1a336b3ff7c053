"""Run an experiment of the documents."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sae_core.datasets import ImageSet, load_dataset
from sae_core.documents.report import NAMES, Report
from sae_core.documents.running import Run
from sae_core.stage import Stage
from sae_core.store import catalogue

if TYPE_CHECKING:
    from sae_core.training.loop import TrainLog


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
    # Here, as these import torch.
    from sae_core.documents.ensemble import run as ensemble
    from sae_core.documents.hidden_layer import run as hidden_layer
    from sae_core.documents.intro import run as intro

    if name not in NAMES:
        raise ValueError(f"there is no experiment {name!r}; there is {', '.join(NAMES)}")
    document = {"ensemble": ensemble, "intro": intro, "experiment3": hidden_layer}[name]
    began = time.perf_counter()
    train, test = (load_dataset("mnist", split, data_dir) for split in ("train", "test"))
    folder = out or Path("results") / (f"{name}-quick" if quick else name)
    if quick:
        train, test = _first(train, 2000), _first(test, 500)
    report = Report(name, seed, quick, folder=folder, info={"n": {"train": len(train), "test": len(test)}})
    models = folder / "models" if quick else catalogue.stores()[0]
    run = Run(report, train, test, models, device, on_log, on_stage or (lambda what, done, of: None))
    document.run(run)
    report.seconds = time.perf_counter() - began
    report.write()
    return report


def _first(images: ImageSet, n: int) -> ImageSet:
    return ImageSet(images.x[:n], images.labels[:n], images.name, images.split)
