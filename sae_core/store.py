"""Files of a checkpoint folder: found by name, written aside and renamed, read with errors that name them.

No torch here: listing models must not wait for it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

CFG, WEIGHTS, METRICS, HISTORY = "cfg.json", "sae_weights.safetensors", "metrics.json", "history.jsonl"
FORMAT_VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class CheckpointError(Exception):
    """A checkpoint that is missing, damaged or does not fit; the message names the file."""


def check_name(name: str) -> str:
    """The name itself, when it can be a folder's: letters, digits, `.`, `_` and `-`, no path."""
    if not _NAME.fullmatch(name) or ".." in name or name.endswith((".partial", ".")):
        raise CheckpointError(
            f"{name!r} cannot name a model: use letters, digits, '.', '_', '-', and a letter or digit first"
        )
    return name


def stores() -> list[Path]:
    """Where models are looked for by name: SAE_CHECKPOINTS, then the repository's checkpoints/."""
    own = Path(__file__).resolve().parent.parent / "checkpoints"
    given = os.environ.get("SAE_CHECKPOINTS")
    return [Path(given), own] if given else [own]


def find(spec: str | Path) -> tuple[Path, int | None]:
    """The folder that "NAME", "NAME/0" or a path (with or without "/0") means, and the member if it is named.

    A bare name is never looked for in the working directory. Raises CheckpointError.
    """
    text = str(spec)
    head, _, tail = text.replace(os.sep, "/").rstrip("/").rpartition("/")
    member = int(tail) if head and tail.isdecimal() and len(tail) < 6 else None
    base = head if member is not None else text
    if "/" in base.replace(os.sep, "/"):
        folder = Path(base)
        if member is not None and not (folder / CFG).exists() and (Path(text) / CFG).exists():
            folder, member = Path(text), None  # a model whose own name is a number
        if not folder.is_dir():
            raise CheckpointError(f"there is no checkpoint folder {folder}")
        return folder, member
    check_name(base)
    for store in stores():
        if (store / base).is_dir():
            return store / base, member
    places = " or ".join(str(s) for s in stores())
    raise CheckpointError(f"there is no model called {base!r} in {places}; `python -m sae_core list` shows all")


def stats_path(folder: Path, dataset: str, split: str, member: int = 0) -> Path:
    """Where the feature statistics over a split lie beside a checkpoint; those of an ensemble's member say which."""
    return folder / f"features-{dataset}-{split}{f'-member{member}' if member else ''}.safetensors"


def folders(stores_: list[Path] | None = None) -> Iterator[Path]:
    """Every finished model's folder, the first store first; of two with one name only the first."""
    seen = set()
    for store in stores_ or stores():
        for folder in sorted(store.iterdir()) if store.is_dir() else []:
            if folder.suffix != ".partial" and (folder / CFG).is_file() and folder.name not in seen:
                seen.add(folder.name)
                yield folder


def write_aside(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a file beside `path`, bring it to the disk, then put it in place in one step."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(aside)
        with open(aside, "rb+") as f:
            os.fsync(f.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """JSON a person can read, written aside."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def write(aside: Path) -> None:
        aside.write_text(text, encoding="utf-8")

    write_aside(path, write)


def read_json(path: Path) -> Any:
    """The JSON of a checkpoint's file. CheckpointError names a missing or damaged one."""
    try:
        if path.stat().st_size > 10_000_000:
            raise CheckpointError(f"{path} is far too large for a file of its kind")
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing") from None
    except (ValueError, OSError, RecursionError) as e:
        raise CheckpointError(f"{path} cannot be read: {e}") from e


def write_tensors(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str] | None = None) -> None:
    """Arrays as safetensors, written aside."""
    contiguous = {name: np.asarray(t, order="C") for name, t in tensors.items()}  # a scalar stays one
    content = safetensors.numpy.save(contiguous, metadata)

    def write(aside: Path) -> None:
        aside.write_bytes(content)  # not save_file, which makes files that only their owner can read

    write_aside(path, write)


def read_tensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays and metadata of a safetensors file. CheckpointError names a missing or damaged one."""
    try:
        with safetensors.safe_open(path, framework="numpy") as f:
            return {name: f.get_tensor(name) for name in f.keys()}, dict(f.metadata() or {})  # noqa: SIM118
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing") from None
    except (SafetensorError, OSError, ValueError, TypeError) as e:
        raise CheckpointError(f"{path} is damaged: {e}") from e


def append_line(path: Path, value: Any) -> None:
    """One more line of a JSON-lines file."""
    with open(path, "a", encoding="utf-8") as f:
        f.write(json.dumps(value) + "\n")


def read_lines(path: Path) -> list[Any]:
    """The lines of a JSON-lines file; a last line that a crash cut short is left out; no file, no lines."""
    if not path.exists():
        return []
    found = []
    for number, line in enumerate(lines := path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            found.append(json.loads(line))
        except ValueError as e:
            if number < len(lines):
                raise CheckpointError(f"{path} is damaged in line {number}") from e
    return found


@dataclass(frozen=True)
class Checkpoint:
    """A model on disk, as its cfg.json and metrics.json say; its weights stay there until `load`."""

    name: str
    path: Path
    variant: str
    config: dict[str, Any]
    training: dict[str, Any]
    """options, data set, split, n and fingerprint of the training"""
    hash: str
    metrics: dict[str, dict[str, float]]
    """by "DATASET/SPLIT", for example "mnist/test": the fields of `Metrics`; of an ensemble member 0's, and those of
    the others as "DATASET/SPLIT#1" and so on"""

    @property
    def is_sae(self) -> bool:
        """Whether it has latents; else it is a network around an SAE: a classifier or a generator."""
        return "d_sae" in self.config

    @property
    def members(self) -> int:
        """Models trained side by side in it; 1 unless it is an ensemble."""
        return int(self.config.get("members", 1))

    def metrics_of(self, member: int) -> dict[str, dict[str, float]]:
        """The metrics of one member, by "DATASET/SPLIT"."""
        split = {k: k.partition("#") for k in self.metrics}
        return {s: self.metrics[k] for k, (s, _, which) in split.items() if which == (str(member) if member else "")}


def read(spec: str | Path) -> Checkpoint:
    """What a checkpoint says of itself. CheckpointError names the file that is missing or damaged."""
    folder, _ = find(spec)
    cfg = read_json(folder / CFG)
    try:
        ours = cfg["metadata"]["sae_core"]
        if ours["format_version"] > FORMAT_VERSION:
            raise CheckpointError(
                f"{folder / CFG} is of a newer version (format {ours['format_version']}): update this one"
            )
        config = dict(ours["config"])
        # Written twice, as SAELens' and as ours; d_in every model has.
        for key in {"d_in"} | {"d_sae", "k"} & (cfg.keys() | config.keys()):
            if cfg[key] != config[key]:
                raise CheckpointError(f"{folder / CFG} contradicts itself about {key}")
        return Checkpoint(
            name=folder.name,
            path=folder,
            variant=ours["variant"],
            config=config,
            training={key: ours[key] for key in ("options", "data", "split", "n", "fingerprint")},
            hash=ours["hash"],
            metrics=_metrics(folder / METRICS),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise CheckpointError(f"{folder / CFG} is not the config of a model of ours: {e!r}") from e


def _metrics(path: Path) -> dict[str, dict[str, float]]:
    """metrics.json, empty where there is none."""
    found = read_json(path) if path.exists() else {}
    try:
        if all(isinstance(v, int | float) for split in found.values() for v in split.values()):
            return dict(found)
    except AttributeError:
        pass
    raise CheckpointError(f"{path} does not hold metrics by split")


def list_checkpoints(out: Path | None = None) -> tuple[list[Checkpoint], list[str]]:
    """All models at hand (or those under `out`), and a sentence for each folder that cannot be read."""
    found, broken = [], []
    for folder in folders([out] if out else None):
        try:
            found.append(read(folder.resolve()))
        except CheckpointError as e:
            broken.append(str(e))
    return found, broken
