"""MNIST: 70,000 handwritten digits, 28×28 (LeCun, Cortes, Burges; http://yann.lecun.com/exdb/mnist/)."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import os
import re
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from sae_core.datasets import DataError, ImageSet, register
from sae_core.fetch import fetch
from sae_core.stage import Stage

# The four files, unpacked: size in bytes and sha256.
_FILES = {
    "train-images-idx3-ubyte": (47040016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    "train-labels-idx1-ubyte": (60008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    "t10k-images-idx3-ubyte": (7840016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    "t10k-labels-idx1-ubyte": (10008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
}
_LAYOUTS = ("MNIST/raw", "MNIST", "mnist/raw", "mnist", "raw", ".")
"""Where the files may lie below the folder that is named: torchvision's place first, the folder itself last."""
_LIKELY = re.compile(r"idx|ubyte|image|label|mnist", re.IGNORECASE)
"""What the name of one of the files has in it, in anybody's copy."""
_MOST = 1000
"""Entries of a folder that are looked at."""
DOWNLOAD_S = 300.0
"""Seconds after which a download gives up, whatever the mirrors still send."""


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder; nothing where it is none, or cannot be read."""
    with contextlib.suppress(OSError):
        return sorted(islice(folder.iterdir(), _MOST))
    return []


def _size(path: Path) -> int:
    """Bytes of an ordinary file, unpacked: a gzip file says them at its end. −1: there is none."""
    with contextlib.suppress(OSError):
        if path.is_file():
            if path.suffix != ".gz":
                return path.stat().st_size
            with path.open("rb") as file:
                file.seek(-4, os.SEEK_END)
                return int.from_bytes(file.read(4), "little")
    return -1


def _lying_in(data_dir: Path) -> dict[str, Path]:
    """MNIST's files below a folder in any of the usual layouts, by their torchvision names.

    A file is known by its size, which no two of the four share: people's copies have dots in their names, are packed,
    or say "(1)" at their end. What is in it, loading checks.
    """
    sizes = {size: name for name, (size, _) in _FILES.items()}
    found: dict[str, Path] = {}
    for layout in _LAYOUTS:
        # Torchvision's own name first, where several fit.
        for path in sorted(_entries(data_dir / layout), key=lambda path: path.name not in _FILES):
            if _LIKELY.search(path.name) and (name := sizes.get(_size(path))) is not None:
                found.setdefault(name, path)
        if len(found) == len(_FILES):
            break
    return found


def _bytes(path: Path, name: str) -> bytes | None:
    """What the file holds, unpacked; None where it is not exactly MNIST's file of that name."""
    size, sha256 = _FILES[name]
    with contextlib.suppress(OSError, EOFError, zlib.error):
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(size + 1)
        if len(data) == size and hashlib.sha256(data).hexdigest() == sha256:
            return data
    return None


def is_here(data_dir: Path) -> bool:
    """Whether files of the four sizes are below DATA_DIR (loading checks the contents)."""
    return len(_lying_in(data_dir)) == len(_FILES)


def why_not(data_dir: Path) -> str:
    """A sentence on what keeps MNIST in DATA_DIR from being loaded, down to the level that is wrong; "": nothing."""
    found = _lying_in(data_dir)
    missing = [name for name in _FILES if name not in found]
    if not missing:
        return ""
    for near in _around(data_dir):
        if is_here(near):
            return f"Its four files lie under {near}, not under {data_dir}: name {near} as the folder."
    if not data_dir.is_dir():
        above = next((p for p in data_dir.parents if p.is_dir()), data_dir)
        what = "is a file, not a folder" if data_dir.exists() else f"does not exist ({above} does)"
        return f"The folder {data_dir} {what}."
    for name in missing:
        for layout in _LAYOUTS:
            for path in (data_dir / layout / name, data_dir / layout / f"{name}.gz"):
                if (size := _size(path)) >= 0:
                    return f"{path} holds {size:,} bytes, and MNIST's {name} has {_FILES[name][0]:,}: it is not whole."
    if found:
        there = next(iter(found.values())).parent
        return f"{there} holds {len(found)} of its four files; {', '.join(missing)} {_is_missing(missing)}."
    here = [path.name + ("/" if path.is_dir() else "") for path in _entries(data_dir)]
    lying = f"there {'is' if len(here) == 1 else 'are'} only {', '.join(here[:5])}{' …' if len(here) > 5 else ''}"
    return f"None of its four files is in {data_dir} or in MNIST/raw below it: {lying if here else 'it is empty'}."


def _is_missing(names: Sequence[str]) -> str:
    return "is missing" if len(names) == 1 else "are missing"


def _around(data_dir: Path) -> Iterator[Path]:
    """The folders near one that may have been meant: two levels above it, and two below."""
    yield from list(data_dir.parents)[:2]
    below = [path for path in _entries(data_dir) if path.is_dir()]
    yield from below
    for folder in below[:20]:
        yield from (path for path in _entries(folder) if path.is_dir())


def _target(data_dir: Path) -> Path:
    """Where a download goes: torchvision's place, also where the folder that is named is itself part of that."""
    if data_dir.name == "raw" and data_dir.parent.name == "MNIST":
        return data_dir
    return data_dir / "raw" if data_dir.name == "MNIST" else data_dir / "MNIST" / "raw"


def download(
    data_dir: Path,
    progress: Stage | None = None,
    *,
    mirrors: Sequence[str] | None = None,
    timeout: float = 10.0,
    total: float = DOWNLOAD_S,
) -> str:
    """Fetch the files that are missing or damaged, from the addresses torchvision knows.

    They are unpacked and checked in a temporary folder beside the target, and moved only when all are good.

    Args:
        data_dir: the files go to DATA_DIR/MNIST/raw.
        progress: told the file's name, bytes done, and bytes in total (0 when the server does not say).
        mirrors: addresses to try in this order, each ending in "/"; None means torchvision's.
        timeout: longest wait for a connection or for the next bytes, in seconds.
        total: seconds after which it gives up, however the bytes still come.

    Returns:
        A sentence saying what was done.

    Raises:
        DataError: it did not work; nothing was changed.
    """
    until = time.monotonic() + total
    raw = _target(data_dir)
    new = [folder for folder in (raw, raw.parent, data_dir) if not folder.exists()]
    try:
        found = _lying_in(data_dir)
        wanted = [name for name in _FILES if name not in found or _bytes(found[name], name) is None]
        if not wanted:
            return f"MNIST is already in {found[next(iter(_FILES))].parent}, and whole."
        if mirrors is None:
            from torchvision.datasets import MNIST

            mirrors = MNIST.mirrors
        raw.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="download-", dir=raw.parent) as folder:
            for name in wanted:
                _fetch(name, Path(folder) / name, progress, mirrors, timeout, until)
            for name in wanted:
                os.replace(Path(folder) / name, raw / name)
    except (OSError, DataError) as error:
        for made in new:  # those that are empty, as they are unless something was moved in
            with contextlib.suppress(OSError):
                made.rmdir()
        late = f" It gives up after {total:g} s in all." if time.monotonic() >= until else ""
        raise DataError(
            f"MNIST could not be downloaded: {error}.{late} Nothing was changed. Try again later, or get "
            f"{', '.join(f'{name}.gz' for name in _FILES)} by hand and put them into {raw}."
        ) from error
    return f"MNIST is now in {raw}."


def _fetch(
    name: str, target: Path, progress: Stage | None, mirrors: Sequence[str], timeout: float, until: float
) -> None:
    """Download and unpack one file from the first mirror that has it whole; each mirror has its share of the time."""
    problems = []
    for i, mirror in enumerate(mirrors):
        url = f"{mirror}{name}.gz"
        left = until - time.monotonic()
        try:
            if left <= 0:
                raise TimeoutError("there was no time left")
            # One byte too many is enough to know that it is not MNIST, however much more a server would send.
            fetch(url, target, _FILES[name][0] + 1, progress, timeout, left / (len(mirrors) - i))
        except (OSError, http.client.HTTPException, zlib.error) as error:
            problems.append(f"{url}: {error}")
            continue
        # The unpacked bytes are what counts: checked here, torchvision's md5 of the packed file adds nothing.
        if _bytes(target, name) is not None:
            return
        problems.append(f"{url}: the file is damaged")
    raise DataError("; ".join(problems))


@register(
    "mnist",
    description="70,000 handwritten digits, 28×28 (MNIST, LeCun et al. 1998)",
    splits=("train", "test"),
    class_names=tuple("0123456789"),
    scrambled="no digit",
    is_here=is_here,
    why_not=why_not,
    download=download,
)
def load(split: str, data_dir: Path) -> ImageSet:
    """MNIST's 60,000 training or 10,000 test images, after a check of every byte.

    Raises:
        DataError: the files are missing or damaged.
    """
    found = _lying_in(data_dir)
    parts = []
    for name in _FILES:
        if not name.startswith("train" if split == "train" else "t10k"):
            continue
        data = _bytes(found[name], name) if name in found else None
        if data is None:
            what = (
                f"file {found[name]} is damaged: it does not hold MNIST's bytes."
                if name in found
                else f"{name} is missing. {why_not(data_dir)}"
            )
            raise DataError(
                f"MNIST's {what} Nothing was changed. To fetch it: "
                "python -m sae_core data get mnist, or the “Get MNIST” button. "
                "If MNIST is in another folder, name the folder with --data-dir or SAE_DATA."
            )
        parts.append(np.frombuffer(data, np.uint8, offset=16 if "images" in name else 8))
    pixels, labels = parts
    x = pixels.reshape(len(labels), -1).astype(np.float32) / np.float32(255)
    return ImageSet(x, labels.astype(np.int64), "mnist", split)
