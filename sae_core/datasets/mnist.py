"""MNIST: 70,000 handwritten digits, 28×28 (LeCun, Cortes, Burges; http://yann.lecun.com/exdb/mnist/)."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import tempfile
import urllib.request
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sae_core.datasets import DataError, ImageSet, register
from sae_core.stage import Stage

# The four files, unpacked: size in bytes and sha256.
_FILES = {
    "train-images-idx3-ubyte": (47040016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    "train-labels-idx1-ubyte": (60008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    "t10k-images-idx3-ubyte": (7840016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    "t10k-labels-idx1-ubyte": (10008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
}
_CHUNK = 1 << 16


def _raw(data_dir: Path) -> Path:
    """Where torchvision keeps the files."""
    return data_dir / "MNIST" / "raw"


def _is_whole(path: Path) -> bool:
    """Whether the file is there with exactly MNIST's bytes."""
    size, sha256 = _FILES[path.name]
    if not path.is_file() or path.stat().st_size != size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def is_here(data_dir: Path) -> bool:
    """Whether the four files are in DATA_DIR/MNIST/raw with the right sizes (loading checks the contents)."""
    paths = {_raw(data_dir) / name: size for name, (size, _) in _FILES.items()}
    return all(path.is_file() and path.stat().st_size == size for path, size in paths.items())


def download(
    data_dir: Path,
    progress: Stage | None = None,
    *,
    mirrors: Sequence[str] | None = None,
    timeout: float = 10.0,
) -> str:
    """Fetch the files that are missing or damaged, from the addresses torchvision knows.

    They are unpacked and checked in a temporary folder beside the target, and moved only when all are good.

    Args:
        data_dir: the files go to DATA_DIR/MNIST/raw.
        progress: told the file's name, bytes done, and bytes in total (0 when the server does not say).
        mirrors: addresses to try in this order, each ending in "/"; None means torchvision's.
        timeout: longest wait for a connection or for the next bytes, in seconds.

    Returns:
        A sentence saying what was done.

    Raises:
        DataError: it did not work; nothing was changed.
    """
    if mirrors is None:
        from torchvision.datasets import MNIST

        mirrors = MNIST.mirrors
    raw = _raw(data_dir)
    new = [folder for folder in (raw, raw.parent, data_dir) if not folder.exists()]
    try:
        wanted = [name for name in _FILES if not _is_whole(raw / name)]
        if not wanted:
            return f"MNIST is already in {raw}, and whole."
        raw.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="download-", dir=raw.parent) as folder:
            for name in wanted:
                _fetch(name, Path(folder) / name, progress, mirrors, timeout)
            for name in wanted:
                os.replace(Path(folder) / name, raw / name)
    except (OSError, DataError) as error:
        for made in new:  # those that are empty, as they are unless something was moved in
            with contextlib.suppress(OSError):
                made.rmdir()
        raise DataError(
            f"MNIST could not be downloaded: {error}. Nothing was changed. Try again later, or get "
            f"{', '.join(f'{name}.gz' for name in _FILES)} by hand and unpack them into {raw}."
        ) from error
    return f"MNIST is now in {raw}."


def _fetch(name: str, target: Path, progress: Stage | None, mirrors: Sequence[str], timeout: float) -> None:
    """Download and unpack one file from the first mirror that has it whole."""
    problems = []
    for mirror in mirrors:
        url = f"{mirror}{name}.gz"
        try:
            _fetch_from(url, target, progress, timeout)
        except (OSError, http.client.HTTPException, zlib.error) as error:
            problems.append(f"{url}: {error}")
            continue
        # The unpacked bytes are what counts: checked here, torchvision's md5 of the packed file adds nothing.
        if _is_whole(target):
            return
        problems.append(f"{url}: the file is damaged")
    raise DataError("; ".join(problems))


def _fetch_from(url: str, target: Path, progress: Stage | None, timeout: float) -> None:
    limit = _FILES[target.name][0]
    unpacker = zlib.decompressobj(wbits=31)  # gzip
    done = written = 0
    with urllib.request.urlopen(url, timeout=timeout) as response, target.open("wb") as file:
        total = int(response.headers.get("Content-Length") or 0)
        # One byte too many is enough to know that it is not MNIST, however much more a server would send.
        while written <= limit and (chunk := response.read(_CHUNK)):
            done += len(chunk)
            written += file.write(unpacker.decompress(chunk, limit + 1))
            if progress is not None:
                progress(f"{target.name}.gz", done, total)


@register(
    "mnist",
    description="70,000 handwritten digits, 28×28 (MNIST, LeCun et al. 1998)",
    splits=("train", "test"),
    class_names=tuple("0123456789"),
    scrambled="no digit",
    is_here=is_here,
    download=download,
)
def load(split: str, data_dir: Path) -> ImageSet:
    """MNIST's 60,000 training or 10,000 test images, read by torchvision after a check of the files.

    Raises:
        DataError: the files are missing or damaged.
    """
    raw = _raw(data_dir)
    for name in _FILES:
        if name.startswith("train" if split == "train" else "t10k") and not _is_whole(raw / name):
            state = "is damaged: it does not hold MNIST's bytes" if (raw / name).exists() else "is missing"
            raise DataError(
                f"MNIST's file {raw / name} {state}. Nothing was changed. To fetch it: "
                "python -m sae_core data get mnist, or the “Get MNIST” button. "
                "If MNIST is in another folder, name the folder with --data-dir or SAE_DATA."
            )
    from torchvision.datasets import MNIST

    mnist = MNIST(root=data_dir, train=split == "train", download=False)
    x = mnist.data.numpy().reshape(len(mnist), -1).astype(np.float32) / np.float32(255)
    return ImageSet(x, mnist.targets.numpy().astype(np.int64), "mnist", split)
