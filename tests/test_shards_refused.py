"""Folders and sources that are no shards: refused in a sentence, with nothing written."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from sae_core.shards.making import make
from sae_core.shards.matrices import find, header
from sae_core.training.stream import Stream
from tests.test_shards import CPU, activations, all_of, fails


def edited(**changes: object) -> Callable[[Path], None]:
    def edit(where: Path) -> None:
        said = json.loads((where / "shards.json").read_text())
        for key, value in changes.items():
            (said["shards"][0] if key in ("file", "rows", "bytes", "sha256") else said)[key] = value
        (where / "shards.json").write_text(json.dumps(said))

    return edit


def cut(where: Path) -> None:
    os.truncate(where / "00001.npy", 500)


def flipped(where: Path) -> None:
    content = bytearray((where / "00001.npy").read_bytes())
    content[-1] ^= 1
    (where / "00001.npy").write_bytes(content)


def no_number(where: Path) -> None:
    """As another program may have made it, with the hash of what it wrote."""
    x = np.load(where / "00000.npy")
    x[2, 3] = np.nan
    np.save(where / "00000.npy", x)
    edited(sha256=hashlib.sha256((where / "00000.npy").read_bytes()).hexdigest())(where)


def outside(where: Path) -> None:
    (where / "00000.npy").rename(where.parent / "00000.npy")
    (where / "00000.npy").symlink_to(where.parent / "00000.npy")


def wider(where: Path) -> None:
    np.save(where / "00000.npy", np.zeros((2, 10), np.float32))
    edited(bytes=(where / "00000.npy").stat().st_size)(where)


def text(said: str) -> Callable[[Path], object]:
    return lambda where: (where / "shards.json").write_text(said)


BROKEN: list[tuple[Callable[[Path], object], str]] = [
    (cut, r"00001.npy has 500 bytes, and shards.json says 148: it was cut short or changed"),
    (flipped, r"00001.npy is not what it was when the folder was made"),
    (no_number, r"00000.npy has NaN or infinite values in row 2"),
    (lambda where: (where / "00001.npy").unlink(), r"00001.npy is missing"),
    (lambda where: (where / "shards.json").unlink(), r"is no folder of shards: shards.json is missing"),
    (outside, r"00000.npy is a link out of the folder"),
    (wider, r"00000.npy has 2 rows, and shards.json says 4"),
    (edited(file="../x.npy"), r"'../x.npy' is no name of a .npy or .safetensors file in this folder"),
    (edited(file="/etc/passwd"), r"'/etc/passwd' is no name"),
    (edited(file=7), r"7 is no name"),
    (edited(file="00001.npy", bytes=148, rows=1), r"names 00001.npy twice"),
    (edited(rows=10**30), r"00000.npy has 4 rows, and shards.json says a huge number"),
    (edited(rows=-1), r"rows is -1, not a whole number of 1 or more"),
    (edited(rows=4.0), r"rows is 4.0, not a whole number"),
    (edited(bytes=10**300), r"shards.json says a huge number: it was cut short or changed"),
    (edited(sha256="abc"), r"the sha256 of 00000.npy is 'abc'"),
    (edited(d_in=10**9), r"d_in is 1000000000, not a whole number of 1 up to 1,000,000"),
    (edited(d_in=6), r"00000.npy has 5 numbers a row, and shards.json says 6"),
    (edited(n=6), r"n is 6, but its shards have 5 rows"),
    (edited(n=True), r"n is True, not a whole number"),
    (edited(dtype="float16"), r"00000.npy holds float32, and shards.json says float16"),
    (edited(dtype="int8"), r"dtype is 'int8', not float16 or float32"),
    (edited(version=2), r"is of version 2; 1 is the one"),
    (edited(format="x"), r'does not say "format": "sae-shards"'),
    (edited(shards=[]), r"shards is no list of files"),
    (text("[]"), r'does not say "format"'),
    (text("{"), r"shards.json cannot be read"),
    (text("[" * 100_000), r"shards.json cannot be read"),
]


@pytest.mark.parametrize(("breaks", "said"), BROKEN, ids=[said[:40] for _, said in BROKEN])
def test_a_broken_folder_is_refused_in_a_sentence_and_nothing_is_written(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], breaks: Callable[[Path], object], said: str
) -> None:
    np.save(tmp_path / "x.npy", activations(5, 5))
    where = make([tmp_path / "x.npy"], tmp_path / "acts", 4).folder
    breaks(where)
    train = ["train", "topk", "--data", where, "--out", tmp_path / "models", "--d-sae", 8, "--k", 2]
    for command in (["data", "check", where], train):
        error = fails(capfd, *command)
        assert re.search(said, error), error
    assert not (tmp_path / "models").exists()


def matrix(content: bytes | np.ndarray | dict[str, torch.Tensor], suffix: str) -> Callable[[Path], Path]:
    def write(where: Path) -> Path:
        path = where / f"x{suffix}"
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, dict):
            safetensors.torch.save_file(content, path)
        else:
            np.save(path, content)
        return path

    return write


def a_header(text: str) -> bytes:
    return len(text).to_bytes(8, "little") + text.encode()


SOURCES: list[tuple[Callable[[Path], Path], str]] = [
    (matrix(np.zeros((3, 2), np.int64), ".npy"), "holds int64, not float16"),
    (matrix(np.zeros(3, np.float32), ".npy"), r"holds \[3\], not activations"),
    (matrix(np.zeros((0, 3), np.float32), ".npy"), r"holds \[0, 3\], not activations"),
    (matrix(np.asfortranarray(np.zeros((3, 2), np.float32)), ".npy"), "is kept by columns"),
    (matrix(np.zeros((3, 2), ">f4"), ".npy"), "holds >f4"),
    (matrix(np.array([[{}, {}]], dtype=object), ".npy"), "holds object"),
    (matrix(b"", ".npy"), "is damaged"),
    (matrix(b"\x93NUMPY\x01\x00\xff\xff", ".npy"), "is damaged"),
    (matrix(header(".npy", 10**9, 10**5, "float32"), ".npy"), "is cut short"),
    (matrix(header(".npy", 10, 10**7, "float32"), ".npy"), "10,000,000 numbers a row"),
    (matrix(b"not a zip", ".npz"), "cannot be read"),
    (matrix(b"\xff" * 16, ".safetensors"), "is damaged: its header is of no length"),
    (matrix(a_header("[]"), ".safetensors"), "is damaged"),
    (matrix(a_header('{"x": {"dtype": "F32", "shape": [9, 9], "data_offsets": [0, 324]}}'), ".safetensors"), "is cut"),
    (matrix(a_header('{"x": {"dtype": "F32", "shape": [9, 9], "data_offsets": [0, 4]}}'), ".safetensors"), "damaged"),
    (matrix({"a": torch.zeros(2, 2), "b": torch.zeros(2, 2)}, ".safetensors"), "it holds a, b"),
    (matrix({"a": torch.zeros(2)}, ".safetensors"), "it holds none"),
    (matrix(np.array([[1, 2], [np.inf, 0]], np.float32), ".npy"), "NaN or infinite values in row 1"),
    (matrix(np.array([[1e300, 2]]), ".npy"), "NaN or infinite values in row 0"),
    (lambda where: where / "gone.npy", "gone.npy is missing"),
    (lambda where: where / "x.pt", "x.pt is not read: give .npy, .npz or .safetensors"),
    (lambda where: Path("/dev/null"), "is not read"),
]


@pytest.mark.parametrize(("write", "said"), SOURCES, ids=[said[:40] for _, said in SOURCES])
def test_a_source_that_is_no_matrix_is_refused_and_nothing_is_left(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], write: Callable[[Path], Path], said: str
) -> None:
    source = write(tmp_path)
    error = fails(capfd, "data", "shard", source, "--out", tmp_path / "out")
    assert re.search(said, error), error
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.partial").exists()


def test_what_shard_does_not_do(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 2), np.float32))
    np.save(tmp_path / "b.npy", np.zeros((3, 4), np.float32))
    out = tmp_path / "out"
    both = fails(capfd, "data", "shard", tmp_path / "a.npy", tmp_path / "b.npy", "--out", out)
    assert "b.npy has 4 numbers a row, and" in both and "a.npy has 2" in both
    assert "at least one row, not 0" in fails(
        capfd, "data", "shard", tmp_path / "a.npy", "--out", out, "--rows-per-shard", 0
    )
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "kept").write_text("")
    assert "another process makes it, or was interrupted" in fails(
        capfd, "data", "shard", tmp_path / "a.npy", "--out", out
    )
    assert (tmp_path / "out.partial" / "kept").exists() and not out.exists()
    out.mkdir()
    assert "is there already" in fails(capfd, "data", "shard", tmp_path / "a.npy", "--out", out)


def test_rows_that_are_no_numbers_are_told_also_where_the_hashes_are_not_looked_at(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", activations(50, 5))
    made = make([tmp_path / "x.npy"], tmp_path / "acts")
    where = tmp_path / "acts" / "00000.npy"
    x = np.load(where)
    x[33, 1] = np.inf
    np.save(where, x)
    with pytest.raises(ValueError, match="`data check` says where"):
        Stream(all_of(made), 10, 0, CPU).mean(0)


def test_a_matrix_says_where_it_lies(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", activations(4, 3))
    found = find(tmp_path / "x.npy")
    assert (found.offset, found.rows, found.d_in, found.kind, found.row_bytes) == (128, 4, 3, "float32", 12)
