"""Making a folder of shards from arrays."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sae_core import files
from sae_core.datasets import DataError
from sae_core.shards.matrices import Matrix, find, header
from sae_core.shards.reading import BLOCK_BYTES, FORMAT, INDEX, VERSION, Shards, open_shards
from sae_core.stage import Stage

SHARD_BYTES = 1 << 28
"""of a shard, where nobody says how many rows it is to have"""
SUFFIXES = (".npy", ".safetensors")


def make(
    sources: Sequence[Path],
    out: Path,
    rows_per_shard: int | None = None,
    suffix: str = ".npy",
    progress: Stage | None = None,
) -> Shards:
    """Write the rows of all sources (.npy, .npz, .safetensors), one after the other, as a folder of shards.

    It is float16 where all sources are, else float32 (of float64 and bfloat16 too). It is made as `OUT.partial` and
    renamed when all of it is on the disk; memory does not grow with the number of rows.

    Raises:
        DataError: a source is missing, damaged, of another width or has a number that is not finite; OUT is there.
    """
    if out.exists() or out.is_symlink():
        raise DataError(f"{out} is there already: choose another --out, or move it away")
    if rows_per_shard is not None and rows_per_shard < 1:
        raise DataError(f"a shard has at least one row, not {rows_per_shard}")
    matrices = [find(path) for path in sources]
    if not matrices:
        raise DataError("no file was named")
    d_in = matrices[0].d_in
    for matrix in matrices:
        if matrix.d_in != d_in:
            raise DataError(f"{matrix.path} has {matrix.d_in:,} numbers a row, and {matrices[0].path} has {d_in:,}")
    kind = "float16" if all(matrix.kind == "float16" for matrix in matrices) else "float32"
    n, row_bytes = sum(matrix.rows for matrix in matrices), d_in * np.dtype(kind).itemsize
    most = rows_per_shard or max(1, SHARD_BYTES // row_bytes)
    partial = out.with_name(out.name + ".partial")
    try:
        partial.mkdir(parents=True)
    except FileExistsError:
        raise DataError(f"{partial} is there: another process makes it, or was interrupted; then remove it") from None
    try:
        rows = _Rows(matrices, kind, max(1, BLOCK_BYTES // row_bytes))
        shards, done = list[dict[str, object]](), 0
        for start in range(0, n, most):
            path, count = partial / f"{len(shards):05d}{suffix}", min(most, n - start)
            digest = hashlib.sha256()
            with open(path, "wb") as f:
                for content in _content(suffix, count, d_in, kind, rows):
                    digest.update(content)
                    f.write(content)
                    done += len(content) // row_bytes
                    if progress:
                        progress("writing shards", min(done, n), n)
                f.flush()
                os.fsync(f.fileno())
            size = path.stat().st_size
            shards.append({"file": path.name, "rows": count, "bytes": size, "sha256": digest.hexdigest()})
        index = {"format": FORMAT, "version": VERSION, "n": n, "d_in": d_in, "dtype": kind, "shards": shards}
        files.write_json(partial / INDEX, index)
        os.rename(partial, out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return open_shards(out)


def _content(suffix: str, rows: int, d_in: int, kind: str, of: _Rows) -> Iterator[bytes | memoryview]:
    yield header(suffix, rows, d_in, kind)
    for block in of.next(rows):
        yield block.data.cast("B")


class _Rows:
    """The rows of several matrices as one, from which so many are taken at a time; DataError for one not finite."""

    def __init__(self, matrices: Sequence[Matrix], kind: str, at_once: int) -> None:
        self._left = np.empty((0, matrices[0].d_in), kind)
        self._blocks = self._all(matrices, kind, at_once)

    @staticmethod
    def _all(matrices: Sequence[Matrix], kind: str, at_once: int) -> Iterator[np.ndarray]:
        for matrix in matrices:
            start = 0
            for block in matrix.blocks(at_once):
                fine = np.isfinite(block).all(1)
                if not fine.all():
                    raise DataError(f"{matrix.path} has NaN or infinite values in row {start + int(fine.argmin())}")
                start += len(block)
                yield np.ascontiguousarray(block, kind)

    def next(self, rows: int) -> Iterator[np.ndarray]:
        while rows:
            if not len(self._left):
                self._left = next(self._blocks)
            block, self._left = self._left[:rows], self._left[rows:]
            rows -= len(block)
            yield block
