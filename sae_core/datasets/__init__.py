"""The images an SAE is trained on. One file a dataset; every file of this folder is found by itself.

A new dataset is one new file here with a function that loads a split:

    @register("letters", description="…", splits=("train", "test"), class_names=tuple("abc"), is_here=…)
    def load(split: str, data_dir: Path) -> ImageSet: ...

Nothing is ever downloaded by loading; `download_dataset` does that, when asked.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from sae_core.once import once
from sae_core.pictures.sides import side_of
from sae_core.stage import Stage


class DataError(Exception):
    """Data that cannot be had; the message says what happened, what was kept, and what to do."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images with labels: one split of a dataset.

    Raises:
        ValueError: wrong shape or type, no images, unequal lengths, or values that are not in [0, 1].
    """

    x: np.ndarray
    """[N, d_in] float32, 0 background to 1 ink."""
    labels: np.ndarray
    """[N] int64, the class of each image."""
    name: str
    """The dataset's registered name."""
    split: str
    """Which part of it, such as "train" or "test"."""

    def __post_init__(self) -> None:
        if self.x.ndim != 2 or self.x.dtype != np.float32 or self.x.size == 0:
            raise ValueError(f"x must be float32 [N, d_in], not empty; it is {self.x.dtype} {self.x.shape}")
        if self.labels.ndim != 1 or self.labels.dtype != np.int64:
            raise ValueError(f"labels must be int64 [N]; they are {self.labels.dtype} {self.labels.shape}")
        if len(self.x) != len(self.labels):
            raise ValueError(f"there are {len(self.x)} images but {len(self.labels)} labels")
        low, high = float(self.x.min()), float(self.x.max())
        if not (low >= 0 and high <= 1):  # NaN compares false, so this also catches what is not finite
            raise ValueError(f"x must be finite and in [0, 1]; it spans {low} to {high}")

    def __len__(self) -> int:
        return len(self.x)

    @property
    def d_in(self) -> int:
        """Pixels of a picture."""
        return int(self.x.shape[1])

    def first(self, n: int) -> np.ndarray:
        """The first n images [n, d_in]."""
        return self.x[:n]

    @property
    def side(self) -> int:
        """Pixels of a picture's side. ValueError where they are no square pictures."""
        return side_of(self.x.shape[1])

    @property
    def n_classes(self) -> int:
        """Number of classes: as the data set says it, else as many as there are labels."""
        info = _REGISTRY.get(self.name)
        return info.n_classes if info else int(self.labels.max()) + 1

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of the sha256 over images and labels: says what a model was trained on."""
        digest = hashlib.sha256(str(self.x.shape).encode())
        digest.update(np.ascontiguousarray(self.x).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a dataset without loading it."""

    name: str
    """The name it is asked for by."""
    description: str
    """One line for people."""
    splits: tuple[str, ...]
    """The parts it has."""
    class_names: tuple[str, ...]
    """What each label means, by its number."""
    load: Callable[[str, Path], ImageSet]
    """(split, data_dir) → images. Use `load_dataset`, which checks the split and keeps the result."""
    is_here: Callable[[Path], bool]
    """(data_dir) → whether it can be loaded now. Quick: may look at file sizes only."""
    why_not: Callable[[Path], str] | None = None
    """(data_dir) → a sentence on what is wrong where it cannot be; "": nothing. None: there is nothing to say."""
    download: Callable[[Path, Stage | None], str] | None = None
    """(data_dir, progress) → a sentence saying what was done. None: it comes with an installed package."""
    side: int = 28
    """Pixels of a picture's side."""
    scrambled: str = "scrambled"
    """What the class of its scrambled pictures is called: of digits "no digit"."""

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def downloadable(self) -> bool:
        """Whether `download_dataset` can fetch it."""
        return self.download is not None


_REGISTRY: dict[str, DatasetInfo] = {}


def register(
    name: str,
    *,
    description: str,
    splits: tuple[str, ...],
    class_names: tuple[str, ...],
    is_here: Callable[[Path], bool],
    why_not: Callable[[Path], str] | None = None,
    download: Callable[[Path, Stage | None], str] | None = None,
    side: int = 28,
    scrambled: str = "scrambled",
) -> Callable[[Callable[[str, Path], ImageSet]], Callable[[str, Path], ImageSet]]:
    """Decorator for a dataset's load function; the arguments are the fields of `DatasetInfo`.

    Raises:
        ValueError: the name is taken.
    """

    def add(load: Callable[[str, Path], ImageSet]) -> Callable[[str, Path], ImageSet]:
        if name in _REGISTRY:
            raise ValueError(f"there are two datasets called {name!r}")
        _REGISTRY[name] = DatasetInfo(
            name, description, splits, class_names, load, is_here, why_not, download, side, scrambled
        )
        return load

    return add


def default_data_dir() -> Path:
    """The folder of the datasets: the environment variable SAE_DATA, else `data` in the working directory."""
    return data_folder(os.environ.get("SAE_DATA") or "data")


def data_folder(data_dir: str | Path | None) -> Path:
    """The folder that a person named, `~` and `~name` written out; None: the default one."""
    if data_dir is None or data_dir == "":
        return default_data_dir()
    try:
        return Path(data_dir).expanduser()
    except RuntimeError:  # there is nobody of that name here: then it is a folder that is called so
        return Path(data_dir)


def dataset_names() -> list[str]:
    """All registered names, in alphabetical order."""
    return sorted(_REGISTRY)


def dataset_info(name: str) -> DatasetInfo:
    """What is known of a dataset.

    Raises:
        DataError: unknown name.
    """
    if name not in _REGISTRY:
        raise DataError(f"There is no dataset {name!r}. Choose one of: {', '.join(dataset_names())}.")
    return _REGISTRY[name]


def load_dataset(name: str, split: str, data_dir: str | Path | None = None) -> ImageSet:
    """One split of a dataset. The arrays are read-only, and kept: asking again costs nothing.

    Args:
        name: one of `dataset_names()`.
        split: one of `dataset_info(name).splits`.
        data_dir: where the files are; None means `default_data_dir()`.

    Raises:
        DataError: unknown name or split, missing or damaged files.
    """
    info = dataset_info(name)
    if split not in info.splits:
        raise DataError(f"{name} has no split {split!r}. Choose one of: {', '.join(info.splits)}.")
    return _load(name, split, data_folder(data_dir).absolute())


@once(4)  # MNIST's training split takes 190 MB
def _load(name: str, split: str, data_dir: Path) -> ImageSet:
    images = _REGISTRY[name].load(split, data_dir)
    images.x.setflags(write=False)
    images.labels.setflags(write=False)
    return images


def download_dataset(name: str, data_dir: str | Path | None = None, progress: Stage | None = None) -> str:
    """Fetch a dataset's files if they are not here and whole. Returns a sentence saying what was done.

    Raises:
        DataError: unknown name, or the download failed; what was there before is unchanged.
    """
    info = dataset_info(name)
    if info.download is None:
        return f"{name} comes with an installed package: there is nothing to download."
    return info.download(data_folder(data_dir).absolute(), progress)


for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
