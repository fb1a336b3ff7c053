"""What a run of an experiment found: numbers beside the documents' claims, and arrays for its figures."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sae_core import files

NAMES = ("ensemble", "intro", "experiment3")
BUNDLED = files.home() / "results"
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
        files.write_tensors(self.folder / "arrays.safetensors", small)
        files.write_json(self.folder / "report.json", self.as_dict())


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
    found = files.read_json(path)
    arrays, _ = files.read_tensors(folder / "arrays.safetensors")
    try:
        claims = [Claim(**c) for c in found["claims"]]
        kept = {key: found[key] for key in ("name", "seed", "quick", "seconds", "info")}
        return Report(**kept, claims=claims, arrays=arrays, folder=folder)
    except (KeyError, TypeError) as e:
        raise files.CheckpointError(f"{path} is not a report of ours: {e!r}") from e


class Entry(NamedTuple):
    """One contradiction."""

    number: int
    """its place in the list of all, 1 to 19"""
    title: str
    claimed: str
    """what the document says"""
    documented: str
    """what its own recipe or program does, with what that gives here"""
    ours: str
    """what was chosen instead, with what that gives"""
