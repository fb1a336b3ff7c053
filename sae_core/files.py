"""Files that are written aside and renamed, and read with errors that name them. No torch."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

_PACKAGE = Path(__file__).resolve().parent


def installed() -> bool:
    """Whether this is the package as it was installed, not a checkout of the repository."""
    return (_PACKAGE / "_bundled").is_dir()


def home() -> Path:
    """Where lies what comes with the program: app.py, pages/, ui/, checkpoints/ and results/.

    In a checkout that is the repository, else a folder of the package, which nobody writes to.
    """
    return _PACKAGE / "_bundled" if installed() else _PACKAGE.parent


class CheckpointError(Exception):
    """A checkpoint that is missing, damaged or does not fit; the message names the file."""


def _named(error: OSError, path: Path) -> OSError:
    """The same error in words: which file could not be written, and why."""
    why = os.strerror(error.errno) if error.errno else str(error)
    return type(error)(error.errno, f"{path} could not be written ({why}); what was there before is kept")


def write_aside(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a file beside `path`, bring it to the disk, then put it in place in one step."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(aside)
        with open(aside, "rb+") as f:
            os.fsync(f.fileno())
        os.replace(aside, path)
    except OSError as e:
        raise _named(e, path) from e
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """JSON a person can read, written aside."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def write(aside: Path) -> None:
        aside.write_text(text, encoding="utf-8")

    write_aside(path, write)


def _ordinary(path: Path) -> None:
    """CheckpointError unless it is a file, missing, or cannot be looked at: a pipe would be waited for without end."""
    try:
        if not path.is_file() and path.exists():
            raise CheckpointError(f"{path} cannot be read: it is not an ordinary file")
    except OSError:
        pass  # opening it says why


def read_json(path: Path) -> Any:
    """The JSON of a checkpoint's file. CheckpointError names a missing or damaged one."""
    _ordinary(path)
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
    _ordinary(path)
    try:
        with safetensors.safe_open(path, framework="numpy") as f:
            return {name: f.get_tensor(name) for name in f.keys()}, dict(f.metadata() or {})  # noqa: SIM118
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing") from None
    except (SafetensorError, OSError, ValueError, TypeError) as e:
        raise CheckpointError(f"{path} is damaged: {e}") from e


def append_line(path: Path, value: Any) -> None:
    """One more line of a JSON-lines file."""
    try:
        with open(path, "a", encoding="utf-8") as f:
            f.write(json.dumps(value) + "\n")
    except OSError as e:
        raise _named(e, path) from e


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
