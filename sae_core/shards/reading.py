"""Activations [N, d_in] of any kind in a folder of files, which need not fit into memory.

    DIR/shards.json   {"format": "sae-shards", "version": 1, "n": 100000, "d_in": 768, "dtype": "float16", "shards": …}
    DIR/00000.npy     each of "shards" is {"file": "00000.npy", "rows": 50000, "bytes": 76800128, "sha256": "…"}
    DIR/00001.npy     or .safetensors with one tensor; float16 or float32, row after row

Nothing here ever reads more than some rows at once. `making.make` writes such a folder, docs/scale.md describes it.
"""

from __future__ import annotations

import bisect
import hashlib
import json
import re
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from sae_core import files
from sae_core.datasets import DataError, dataset_names
from sae_core.options import short
from sae_core.shards.matrices import MOST_INPUTS, Matrix, find
from sae_core.stage import Stage

INDEX, FORMAT, VERSION = "shards.json", "sae-shards", 1
SPLIT = "shards"
"""the split of what a model was trained on that read no pictures but such a folder"""
HELD_OUT = "held-out"
BLOCK_BYTES = 1 << 23
"""bytes that are looked at together"""
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.(npy|safetensors)")
_SHA = re.compile(r"[0-9a-f]{64}")
_AT_ONCE = 256
"""single rows that are read by one mapping: the system maps some neighbours of each, too"""


@dataclass(frozen=True)
class Shard:
    """One file of a folder."""

    matrix: Matrix
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Shards:
    """A folder of activations. Use `open_shards`, which checks it."""

    folder: Path
    d_in: int
    dtype: str
    """float16 | float32"""
    shards: tuple[Shard, ...]
    starts: tuple[int, ...]
    """the first row of each shard, and the number of all rows"""

    def __len__(self) -> int:
        return self.starts[-1]

    @property
    def name(self) -> str:
        """The folder's name as a data set's: of letters and digits, and no registered data set's."""
        name = re.sub(r"[^A-Za-z0-9_]+", "-", self.folder.resolve().name)[:40].strip("-_") or "activations"
        return f"{name}-shards" if name in dataset_names() else name

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that follow from the hashes of all files."""
        said = [self.d_in, self.dtype, *([s.matrix.rows, s.sha256] for s in self.shards)]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]

    def read(self, start: int, stop: int, out: np.ndarray) -> None:
        """Copy rows start to stop, not with, into out [stop − start, d_in]: each shard is mapped while it is copied."""
        first = start
        while first < stop:
            i = bisect.bisect_right(self.starts, first) - 1
            last = min(stop, self.starts[i + 1])
            out[first - start : last - start] = self.shards[i].matrix.mapped(
                first - self.starts[i], last - self.starts[i]
            )
            first = last

    def rows(self, index: np.ndarray) -> np.ndarray:
        """Single rows [n] in any order → [n, d_in], read in the order in which they lie."""
        found = np.empty((len(index), self.d_in), self.dtype)
        order = np.argsort(index, kind="stable")
        which = np.searchsorted(self.starts, index[order], side="right") - 1
        for i in np.unique(which):
            matrix, there = self.shards[i].matrix, order[which == i]
            for at in range(0, len(there), _AT_ONCE):
                some = there[at : at + _AT_ONCE]
                found[some] = matrix.mapped(0, matrix.rows)[index[some] - self.starts[i]]
        return found


@dataclass(frozen=True)
class Activations:
    """Rows start to stop of a folder: what is trained on, or what is measured on. As an array it is float32."""

    shards: Shards
    start: int
    stop: int
    split: str

    n_classes = 0

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def name(self) -> str:
        return self.shards.name

    @property
    def d_in(self) -> int:
        return self.shards.d_in

    @property
    def dtype(self) -> str:
        return self.shards.dtype

    @property
    def fingerprint(self) -> str:
        return self.shards.fingerprint

    def first(self, n: int) -> Activations:
        """The first n of them."""
        return Activations(self.shards, self.start, min(self.stop, self.start + n), self.split)

    def read(self, start: int, stop: int, out: np.ndarray) -> None:
        self.shards.read(self.start + start, self.start + stop, out)

    def rows(self, index: np.ndarray) -> np.ndarray:
        return self.shards.rows(self.start + index)

    def __getitem__(self, which: slice) -> np.ndarray:
        start, stop, _ = which.indices(len(self))
        found = np.empty((max(0, stop - start), self.d_in), np.float32)
        self.read(start, stop, found)
        return found


def parts(shards: Shards, held_out: float) -> tuple[Activations, Activations]:
    """What is trained on, and the last share of the rows (at least one), which is only measured on.

    Raises:
        DataError: there is nothing to hold out, or nothing left.
    """
    if not 0 < held_out < 1:
        raise DataError(f"the share that is held out must be between 0 and 1, not {held_out:g}")
    n = len(shards) - max(1, round(len(shards) * held_out))
    if n < 1:
        raise DataError(f"{shards.folder} has {len(shards)} rows: none is left to train on")
    return Activations(shards, 0, n, SPLIT), Activations(shards, n, len(shards), HELD_OUT)


def open_shards(folder: Path) -> Shards:
    """A folder whose shards.json and files are of one mind about shapes, types and sizes; quick, as no row is read.

    Raises:
        DataError: something is missing, damaged or outside of the folder; the sentence names the file.
    """
    index = folder / INDEX
    if not index.exists():
        raise DataError(f"{folder} is no folder of shards: {INDEX} is missing; `data shard` makes one")
    try:
        said = files.read_json(index)
    except files.CheckpointError as e:
        raise DataError(str(e)) from e
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        raise DataError(f'{index} does not say "format": "{FORMAT}"')
    if said.get("version") != VERSION:
        raise DataError(f"{index} is of version {short(said.get('version'))}; {VERSION} is the one that is read")
    d_in, dtype = _whole(index, said, "d_in", MOST_INPUTS), said.get("dtype")
    if dtype not in ("float16", "float32"):
        raise DataError(f"{index}: dtype is {short(dtype)}, not float16 or float32")
    listed = said.get("shards")
    if not isinstance(listed, list) or not listed or not all(isinstance(shard, dict) for shard in listed):
        raise DataError(f"{index}: shards is no list of files")
    shards = [_shard(folder, index, shard, d_in, dtype) for shard in listed]
    names = [shard.matrix.path.name for shard in shards]
    if len(set(names)) < len(names):
        raise DataError(f"{index} names {max(names, key=names.count)} twice")
    starts = (0, *accumulate(shard.matrix.rows for shard in shards))
    if _whole(index, said, "n") != starts[-1]:
        raise DataError(f"{index}: n is {short(said['n'])}, but its shards have {starts[-1]:,} rows")
    return Shards(folder, d_in, dtype, tuple(shards), starts)


def _whole(index: Path, said: dict[str, Any], key: str, most: int | None = None) -> int:
    value = said.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1 or (most is not None and value > most):
        up_to = f" up to {most:,}" if most is not None else ""
        raise DataError(f"{index}: {key} is {short(value)}, not a whole number of 1{up_to or ' or more'}")
    return value


def _shard(folder: Path, index: Path, said: dict[str, Any], d_in: int, dtype: str) -> Shard:
    name, sha256 = said.get("file"), said.get("sha256")
    if not isinstance(name, str) or not _FILE.fullmatch(name):
        raise DataError(f"{index}: {short(name)} is no name of a .npy or .safetensors file in this folder")
    if not isinstance(sha256, str) or not _SHA.fullmatch(sha256):
        raise DataError(f"{index}: the sha256 of {name} is {short(sha256)}")
    rows, size, path = _whole(index, said, "rows"), _whole(index, said, "bytes"), folder / name
    try:
        if path.resolve().parent != folder.resolve():
            raise DataError(f"{path} is a link out of the folder")
    except (OSError, RuntimeError) as e:  # a link that leads to itself
        raise DataError(f"{path} cannot be read: {e}") from e
    if path.is_file() and (there := path.stat().st_size) != size:
        raise DataError(f"{path} has {there:,} bytes, and {INDEX} says {short(size)}: it was cut short or changed")
    matrix = find(path)
    for what, here, wanted in (("rows", matrix.rows, rows), ("numbers a row", matrix.d_in, d_in)):
        if here != wanted:
            raise DataError(f"{path} has {here:,} {what}, and {INDEX} says {short(wanted)}")
    if matrix.kind != dtype:
        raise DataError(f"{path} holds {matrix.kind}, and {INDEX} says {dtype}")
    return Shard(matrix, size, sha256)


def check(shards: Shards, progress: Stage | None = None) -> None:
    """Read all of it once: every file must have the hash that was written down, and every number be finite.

    Raises:
        DataError: the sentence names the file, and the row.
    """
    done, of = 0, sum(shard.bytes for shard in shards.shards)
    for shard in shards.shards:
        digest, matrix, broken = hashlib.sha256(), shard.matrix, -1
        rows = max(1, BLOCK_BYTES // matrix.row_bytes)
        with open(matrix.path, "rb") as f:
            digest.update(f.read(matrix.offset))
            for start in range(0, matrix.rows, rows):
                content = f.read(min(rows, matrix.rows - start) * matrix.row_bytes)
                digest.update(content)
                fine = np.isfinite(np.frombuffer(content, shards.dtype)).reshape(-1, shards.d_in).all(1)
                broken = start + int(fine.argmin()) if broken < 0 and not fine.all() else broken
                done += len(content)
                if progress:
                    progress("checking shards", done, of)
            digest.update(f.read())
        if digest.hexdigest() != shard.sha256:
            raise DataError(f"{matrix.path} is not what it was when the folder was made: its sha256 is another")
        if broken >= 0:
            raise DataError(f"{matrix.path} has NaN or infinite values in row {broken}")
    if progress:
        progress("checking shards", of, of)
