"""Where figures and words of a report take their numbers from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sae_core import files
from sae_core.datasets import ImageSet, dataset_info, default_data_dir, load_dataset
from sae_core.documents.report import Report
from sae_core.files import CheckpointError
from sae_core.once import once
from sae_core.store import catalogue

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from sae_core.models.sae import SAE


RHOS = (0.1, 0.999)
NAMES = [*(str(c) for c in range(10)), "scrambled"]
"""classes of document 004"""
SCRAMBLED = NAMES.index("scrambled")
TOP = 30


@dataclass(frozen=True, eq=False)
class Source:
    """A report, and where its images are; its models are found by their names, or in the folder of a quick run."""

    report: Report
    data_dir: Path | None = None

    def __getitem__(self, name: str) -> np.ndarray:
        """An array of the report. CheckpointError where an older report does not have it."""
        try:
            return self.report.arrays[name]
        except KeyError:
            raise CheckpointError(f"the report in {self.report.folder} has no {name!r}: make it anew") from None

    def model(self, name: str) -> Path:
        """The folder of one of its models. CheckpointError where it is not here."""
        there = self.report.info["models"][name]
        own = self.report.folder / "models" / there
        return own if own.is_dir() else catalogue.find(there)[0]

    def weights(self, name: str) -> dict[str, np.ndarray]:
        """A model's tensors in float32, without torch."""
        return _weights(path := self.model(name) / catalogue.WEIGHTS, path.stat().st_mtime)

    def sae(self, name: str, member: int = 0) -> SAE:
        """The model itself, on the CPU."""
        path = self.model(name)
        return _sae(path, (path / catalogue.WEIGHTS).stat().st_mtime, member)

    def images(self) -> ImageSet:
        """Test images to show one by one."""
        folder = Path(self.data_dir or default_data_dir())
        here = "mnist" if dataset_info("mnist").is_here(folder) else "digits"
        return load_dataset(here, "test", folder if here == "mnist" else None)

    def on(self, split: str = "test", scrambled: bool = False) -> str:
        """What was measured, as figures say it: "mnist/test, n = 10,000"."""
        n = self.report.info["n"][split]
        return f"mnist/{split}{' + scrambled' if scrambled else ''}, n = {(2 if scrambled else 1) * n:,}"

    def claimed(self, what: str) -> Any:
        """The claim whose words start so."""
        return next(c for c in self.report.claims if c.what.startswith(what))


@once(16)
def _weights(path: Path, changed: float) -> dict[str, np.ndarray]:
    return {k: a.astype(np.float32) for k, a in files.read_tensors(path)[0].items()}


@once(4)
def _sae(path: Path, changed: float, member: int) -> SAE:
    from sae_core.store.checkpoints import load

    return load(f"{path}/{member}")


def said_of(images: ImageSet) -> str:
    stand_in = " (embedded digits: MNIST is not here)" if images.name != "mnist" else ""
    return f"{images.name}/{images.split}{stand_in}"


Builder = Callable[[Source], "go.Figure"]
"""draws one figure of a report"""
