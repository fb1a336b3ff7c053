"""Matrices [N, d_in] of floating-point numbers in files, of which only the rows that are asked for are read."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from sae_core.datasets import DataError

ACTIVATIONS = "activations"
"""what the tensor of a safetensors file is called that is written here"""
KINDS = {"F16": "float16", "F32": "float32", "F64": "float64", "BF16": "bfloat16"}
"""safetensors' names of the types that are read, and ours"""
_SIZES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}
MOST_INPUTS = 1_000_000


@dataclass(frozen=True)
class Matrix:
    """Where a matrix lies in a file, row after row."""

    path: Path
    offset: int
    """bytes before the first row"""
    rows: int
    d_in: int
    kind: str
    """float16 | float32 | float64 | bfloat16"""
    member: str = ""
    """which file of a .npz, whose rows can only be read from the first on"""

    @property
    def row_bytes(self) -> int:
        return self.d_in * _SIZES[self.kind]

    def mapped(self, start: int, stop: int) -> np.ndarray:
        """Rows start to stop, not with, as they lie in the file: mapped into memory as long as the array is held."""
        stored = "uint16" if self.kind == "bfloat16" else self.kind
        where = self.offset + start * self.row_bytes
        return np.memmap(self.path, np.dtype(stored).newbyteorder("<"), "r", where, (stop - start, self.d_in))

    def blocks(self, rows: int) -> Iterator[np.ndarray]:
        """The rows from the first to the last, so many at a time, as float16 or float32."""
        with _stream(self) as stream:
            for start in range(0, self.rows, rows):
                n = min(rows, self.rows - start)
                content = stream.read(n * self.row_bytes)
                if len(content) != n * self.row_bytes:
                    raise DataError(f"{self.path} is cut short: it ends before row {start + n}")
                yield _numbers(content, self.kind).reshape(n, self.d_in)


def _numbers(content: bytes, kind: str) -> np.ndarray:
    if kind == "bfloat16":  # the upper half of a float32
        return (np.frombuffer(content, "<u2").astype(np.uint32) << 16).view(np.float32)
    found = np.frombuffer(content, np.dtype(kind).newbyteorder("<"))
    if kind != "float64":
        return found
    with np.errstate(over="ignore"):  # it is infinite then, and refused as such
        return found.astype(np.float32)


@contextmanager
def _stream(matrix: Matrix) -> Iterator[IO[bytes]]:
    if not matrix.member:
        with open(matrix.path, "rb") as f:
            f.seek(matrix.offset)
            yield f
        return
    with zipfile.ZipFile(matrix.path) as folder, folder.open(matrix.member) as f:
        f.read(matrix.offset)
        yield f


def find(path: Path) -> Matrix:
    """The one matrix of floating-point numbers in a .npy, .npz or .safetensors file; its numbers are not read yet.

    Raises:
        DataError: missing or damaged file, none or several matrices in it, numbers of another kind.
    """
    look = {".npy": _npy, ".npz": _npz, ".safetensors": _safetensors}.get(path.suffix)
    if look is None:
        raise DataError(f"{path} is not read: give .npy, .npz or .safetensors")
    try:
        if not path.exists():
            raise DataError(f"{path} is missing")
        if not path.is_file():
            raise DataError(f"{path} is not an ordinary file")
        found = look(path)
        if not found.member and found.offset + found.rows * found.row_bytes > path.stat().st_size:
            raise DataError(
                f"{path} is cut short: it says that it holds {found.rows:,} rows, which is more than it has"
            )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, EOFError) as e:
        raise DataError(f"{path} is damaged: {e}") from e
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as e:
        raise DataError(f"{path} cannot be read: {e}") from e
    return found


def _matrix(path: Path, offset: int, shape: Any, kind: str, member: str = "") -> Matrix:
    if len(shape) != 2 or any(type(n) is not int or n < 1 for n in shape):
        raise DataError(f"{path} holds {list(shape)}, not activations [N, d_in]")
    if shape[1] > MOST_INPUTS:
        raise DataError(f"{path} has {shape[1]:,} numbers a row; {MOST_INPUTS:,} are the most")
    return Matrix(path, offset, shape[0], shape[1], kind, member)


def _header(f: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, whether by columns, type and the length of the header of a .npy file."""
    version = np.lib.format.read_magic(f)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"its format is {version}")
    return *read(f), f.tell()


def _npy(path: Path, f: IO[bytes] | None = None, member: str = "") -> Matrix:
    if f is None:
        with open(path, "rb") as opened:
            return _npy(path, opened)
    shape, by_columns, dtype, length = _header(f)
    if dtype not in (np.dtype("<f2"), np.dtype("<f4"), np.dtype("<f8")):
        raise DataError(f"{path} holds {dtype}, not float16, float32 or float64")
    if by_columns and len(shape) == 2 and min(shape) > 1:
        raise DataError(f"{path} is kept by columns: save np.ascontiguousarray(x)")
    return _matrix(path, length, shape, dtype.name, member)


def _npz(path: Path) -> Matrix:
    found = []
    with zipfile.ZipFile(path) as folder:
        for name in folder.namelist():
            with folder.open(name) as f:
                shape, _, dtype, _ = _header(f)
            if len(shape) == 2 and dtype.kind == "f":
                found.append(name)
        if len(found) != 1:
            names = ", ".join(name.removesuffix(".npy") for name in found) or "none"
            raise DataError(f"{path} must hold one matrix of floating-point numbers; it holds {names}")
        with folder.open(found[0]) as f:
            return _npy(path, f, found[0])


def _safetensors(path: Path) -> Matrix:
    with open(path, "rb") as f:
        length, size = int.from_bytes(f.read(8), "little"), path.stat().st_size
        if not 2 <= length <= min(size - 8, 10_000_000):
            raise ValueError("its header is of no length that can be")
        tensors = {name: t for name, t in json.loads(f.read(length)).items() if name != "__metadata__"}
    found = [name for name, t in tensors.items() if len(t["shape"]) == 2 and t["dtype"] in KINDS]
    if len(found) != 1:
        names = ", ".join(found) or "none"
        raise DataError(f"{path} must hold one matrix of floating-point numbers; it holds {names}")
    tensor = tensors[found[0]]
    begin, end = tensor["data_offsets"]
    matrix = _matrix(path, 8 + length + begin, tensor["shape"], KINDS[tensor["dtype"]])
    if begin < 0 or end - begin != matrix.rows * matrix.row_bytes:
        raise ValueError(f"{matrix.rows} rows of {matrix.row_bytes} bytes do not lie in bytes {begin} to {end}")
    return matrix


def header(suffix: str, rows: int, d_in: int, kind: str) -> bytes:
    """What stands before the rows of float16 or float32 in a .npy or .safetensors file."""
    if suffix == ".npy":
        magic = np.lib.format.magic(1, 0)
        descr = repr({"descr": np.dtype(kind).newbyteorder("<").str, "fortran_order": False, "shape": (rows, d_in)})
        length = 64 * math.ceil((len(magic) + 2 + len(descr) + 1) / 64) - len(magic) - 2
        return magic + length.to_bytes(2, "little") + descr.ljust(length - 1).encode() + b"\n"
    name = next(theirs for theirs, ours in KINDS.items() if ours == kind)
    size = rows * d_in * _SIZES[kind]
    text = json.dumps({ACTIVATIONS: {"dtype": name, "shape": [rows, d_in], "data_offsets": [0, size]}})
    text = text.ljust(8 * math.ceil(len(text) / 8))
    return len(text).to_bytes(8, "little") + text.encode()
