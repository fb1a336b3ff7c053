"""Which models are here and what they say of themselves. No torch: listing models must not wait for it."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sae_core import files
from sae_core.files import CheckpointError, read_json

CFG, WEIGHTS, METRICS, HISTORY = "cfg.json", "sae_weights.safetensors", "metrics.json", "history.jsonl"
READABILITY = "readability"
"""the key of metrics.json under which, by split, lies what `measure.readability` finds"""
FORMAT_VERSION = 1
COLLAPSED_FVU, COLLAPSED_DEAD = 0.9, 0.95
"""a model that misses that share of the variance, or has that share of dead latents, has learned next to nothing"""
V = TypeVar("V")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_name(name: str) -> str:
    """The name itself, when it can be a folder's: letters, digits, `.`, `_` and `-`, no path."""
    if not _NAME.fullmatch(name) or ".." in name or name.endswith((".partial", ".")):
        raise CheckpointError(
            f"{name!r} cannot name a model: use letters, digits, '.', '_', '-', and a letter or digit first"
        )
    return name


def stores() -> list[Path]:
    """Where models are looked for by name, and where new ones go: into the first.

    SAE_CHECKPOINTS, then the repository's checkpoints/. Where the program was installed there is no repository: then
    ~/.sae-explorer/checkpoints, and the models that came with the package.
    """
    given = os.environ.get("SAE_CHECKPOINTS")
    own = [Path.home() / ".sae-explorer" / "checkpoints"] if files.installed() else []
    return [*([Path(given).expanduser()] if given else []), *own, files.home() / "checkpoints"]


def find(spec: str | Path) -> tuple[Path, int | None]:
    """The folder that "NAME", "NAME/0" or a path (with or without "/0") means, and the member if it is named.

    A bare name is never looked for in the working directory. Raises CheckpointError.
    """
    text = str(Path(spec).expanduser()) if str(spec).startswith("~") else str(spec)
    bare = text.rstrip("/" + os.sep)
    if bare.endswith(".partial"):
        if not any(folder.is_dir() for folder in (Path(bare), *(store / bare for store in stores()))):
            raise CheckpointError(f"there is no folder {text}; so is called only what is still being trained")
        raise CheckpointError(
            f"{text} is an unfinished training: give its train command again and it goes on where it was, or remove "
            "that folder"
        )
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


def folders(stores_: list[Path] | None = None) -> Iterator[Path]:
    """Every finished model's folder, the first store first; of two with one name only the first."""
    seen = set()
    for store in stores_ or stores():
        for folder in sorted(store.iterdir()) if store.is_dir() else []:
            if folder.suffix != ".partial" and (folder / CFG).exists() and folder.name not in seen:
                seen.add(folder.name)
                yield folder


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
    readability: dict[str, dict[str, float | None]] = field(default_factory=dict)
    """by the same names: the fields of `Readability`, where that was measured"""
    passes: int = 1
    """how often its encoder looks"""

    @property
    def is_sae(self) -> bool:
        """Whether it has latents; else it is a network around an SAE: a classifier or a generator."""
        return "d_sae" in self.config

    @property
    def bundled(self) -> bool:
        """Whether it lies among the models that came with the program."""
        return self.path.parent == (files.home() / "checkpoints").resolve()

    @property
    def no_pictures(self) -> str:
        """Why no picture can be given to it, in words; empty for one that reads pictures."""
        from sae_core.shards.reading import SPLIT

        if self.training["split"] != SPLIT:
            return ""
        return f"{self.name} was trained on activations [N, {self.config['d_in']}], of which there are no pictures"

    @property
    def side(self) -> int:
        """Pixels of the side of the pictures that it is given, itself or the classifier that it reads. CheckpointError
        where it reads none."""
        from sae_core.pictures.sides import side_of

        if self.no_pictures:
            raise CheckpointError(self.no_pictures)
        reads = str(self.config.get("reads") or "pixels").partition("@")[0]
        of = self if reads == "pixels" or not self.is_sae else read(reads)
        if of.is_sae and of is not self:
            raise CheckpointError(f"{self.path / CFG}: {reads} is an SAE, not a classifier")
        return side_of(int(of.config["d_in"]))

    @property
    def class_names(self) -> tuple[str, ...]:
        """What a classifier's classes are called: as the data set it was trained on says, then its scrambled images."""
        from sae_core.datasets import dataset_info, dataset_names

        name, n = self.training["data"], int(self.config["classes"])
        found = (*dataset_info(name).class_names, dataset_info(name).scrambled) if name in dataset_names() else ()
        return (*found, *(str(c) for c in range(len(found), n)))[:n]

    @property
    def members(self) -> int:
        """Models trained side by side in it; 1 unless it is an ensemble."""
        return int(self.config.get("members", 1))

    @property
    def collapsed(self) -> str:
        """Why this is no good model, in words; empty for one that is, and for a network that is no SAE.

        On the data it was trained on it loses most of what tells images apart, or nearly all of its latents are dead.
        """
        d_sae, own = int(self.config.get("d_sae", 0)), self.training["data"]
        for split, found in self.metrics.items() if d_sae else ():
            if split.partition("/")[0] != own or not {"fvu", "dead", "l0"} <= found.keys():
                continue
            wrong = []
            if found["fvu"] >= COLLAPSED_FVU:
                wrong.append(f"its reconstructions miss {100 * found['fvu']:.0f} % of the variance (FVU)")
            if found["dead"] >= COLLAPSED_DEAD * d_sae:
                active = f"{found['l0']:.1f} active on an image"
                wrong.append(f"{found['dead']:,.0f} of its {d_sae:,} latents are dead, {active}")
            if wrong:
                return f"this training collapsed: on {split} {' and '.join(wrong)}"
        return ""

    def metrics_of(self, member: int) -> dict[str, dict[str, float]]:
        """The metrics of one member, by "DATASET/SPLIT"."""
        return _of_member(self.metrics, member)

    def readability_of(self, member: int) -> dict[str, dict[str, float | None]]:
        """How readable one member is, by "DATASET/SPLIT"."""
        return _of_member(self.readability, member)


def _of_member(found: dict[str, V], member: int) -> dict[str, V]:
    split = {k: k.partition("#") for k in found}
    return {s: found[k] for k, (s, _, which) in split.items() if which == (str(member) if member else "")}


def place_of(split: str, member: int) -> str:
    """Where metrics.json has what was measured of a member on "DATASET/SPLIT"."""
    return f"{split}#{member}" if member else split


def member_said(name: str, members: int) -> str:
    """What is said where an ensemble is named without one of its members."""
    return f"{name} is an ensemble of {members}; this is its member 0, and {name}/1 to {name}/{members - 1} the others"


def read(spec: str | Path) -> Checkpoint:
    """What a checkpoint says of itself. CheckpointError names the file that is missing or damaged."""
    return read_folder(find(spec)[0])


def read_folder(folder: Path) -> Checkpoint:
    """The same of a folder, an unfinished training's too."""
    cfg = read_json(folder / CFG)
    try:
        ours = (cfg.get("metadata") or {}).get("sae_core") if isinstance(cfg, dict) else None
        if ours is None and isinstance(cfg, dict) and "architecture" in cfg:
            raise CheckpointError(
                f"{folder / CFG} is of another program (SAELens writes such models), which cannot be opened yet"
            )
        if ours is None:
            raise KeyError("sae_core")
        if ours["format_version"] > FORMAT_VERSION:
            raise CheckpointError(
                f"{folder / CFG} is of a newer version (format {ours['format_version']}): update this one"
            )
        config = dict(ours["config"])
        _check(folder, ours, config)
        # Written twice, as SAELens' and as ours; d_in every model has.
        for key in {"d_in"} | {"d_sae", "k"} & (cfg.keys() | config.keys()):
            if cfg[key] != config[key]:
                raise CheckpointError(f"{folder / CFG} contradicts itself about {key}")
        found = _metrics(folder / METRICS)
        return Checkpoint(
            name=folder.name,
            path=folder,
            variant=ours["variant"],
            config=config,
            training={key: ours[key] for key in ("options", "data", "split", "n", "fingerprint")},
            hash=ours["hash"],
            metrics=found[0],
            readability=found[1],
            passes=ours.get("passes", config.get("passes", 1)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise CheckpointError(f"{folder / CFG} is not the config of a model of ours: {e!r}") from e


_WORDS = ("variant", "hash", "data", "split", "fingerprint")
_COUNTS = ("d_in", "d_sae", "k", "members", "classes", "d_hidden", "passes")


def _check(folder: Path, ours: dict[str, Any], config: dict[str, Any]) -> None:
    """TypeError or ValueError, in words, for what a model of ours never says of itself: pages rely on it."""
    for key in _WORDS:
        if not isinstance(ours[key], str):
            raise TypeError(f"{key} is {ours[key]!r}, not a text")
    if not isinstance(ours["options"], dict):
        raise TypeError(f"options is {ours['options']!r}, not a table of options")
    if isinstance(ours["n"], bool) or not isinstance(ours["n"], int):
        raise TypeError(f"n is {ours['n']!r}, not a number of images")
    for key, value in [*config.items(), *ours["options"].items()]:
        if not isinstance(value, str | int | float | bool) and value is not None:
            raise TypeError(f"{key} is {value!r}, not one value")
    counts = {"passes": ours.get("passes", 1)} | config
    for key in _COUNTS:
        if key in counts and (isinstance(counts[key], bool) or not isinstance(counts[key], int) or counts[key] < 1):
            raise ValueError(f"{key} is {counts[key]!r}, not a whole number of 1 or more")
    for key in ("reads", "shows"):
        if str(config.get(key) or "").partition("@")[0] == folder.name:
            raise ValueError(f"{key} names the model itself")


def _metrics(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What metrics.json has by split, and of readability; both empty where there is none."""
    found = read_json(path) if path.exists() else {}
    try:
        found = dict(found.items())
        readable = found.pop(READABILITY, {})
        values = [v for split in found.values() for v in split.values()]
        values += [v for split in readable.values() for v in split.values() if v is not None]
        if all(isinstance(v, int | float) for v in values):
            if not all(math.isfinite(v) for v in values):
                raise CheckpointError(f"{path} has metrics that are not numbers (NaN or infinite)")
            return found, dict(readable)
    except AttributeError:
        pass
    raise CheckpointError(f"{path} does not hold metrics by split")


def add_readability(folder: Path, found: dict[str, dict[str, Any]]) -> Path:
    """Write what was found by split (see `place_of`) into a model's metrics.json, whose other numbers stay."""
    path = folder / METRICS
    before, readable = _metrics(path)
    files.write_json(path, before | {READABILITY: readable | found})
    return path


def list_checkpoints(out: Path | None = None) -> tuple[list[Checkpoint], list[str]]:
    """All models at hand (or those under `out`), and a sentence for each folder that cannot be read."""
    found, broken = [], []
    for folder in folders([out] if out else None):
        try:
            found.append(read_folder(folder.resolve()))
        except CheckpointError as e:
            broken.append(str(e))
    return found, broken
