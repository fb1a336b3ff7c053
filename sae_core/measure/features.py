"""What is known of each latent over a data set: how often, how strongly, for which classes and images. No torch."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from sae_core import files
from sae_core.measure.usage import Usage, usage

TOP = 24
"""images kept for each latent"""
MOST_PIXELS = 10_000
"""of a picture in stored statistics: a damaged file cannot ask for more memory"""
FEW = 10
"""a latent active on fewer images has no mean picture: it would show single images, not what they share"""


@dataclass(frozen=True)
class FeatureStats:
    """Statistics of every latent over the n images of one split. "Active" means a non-zero activation."""

    dataset: str
    split: str
    n: int
    """images"""
    count: np.ndarray
    """[d_sae] images on which the latent is active"""
    mean_active: np.ndarray
    """[d_sae] mean activation over the images on which it is active; 0 where there are none"""
    maximum: np.ndarray
    """[d_sae] largest activation, 0 where never active"""
    minimum: np.ndarray
    """[d_sae] smallest activation, at most 0: below 0 only where a model's code can be negative"""
    class_rates: np.ndarray
    """[d_sae, classes] share of the class's images on which it is active"""
    class_means: np.ndarray
    """[d_sae, classes] mean activation over all of the class's images: each column is the class's mean code"""
    class_n: np.ndarray
    """[classes] images of each class"""
    top_indices: np.ndarray
    """[d_sae, TOP] images with the largest activations, as indices into the split; −1 where there is none"""
    top_values: np.ndarray
    """[d_sae, TOP] their activations"""
    mean_picture: np.ndarray
    """[d_sae, 784] uint8 (255 is full ink): mean of the images weighted by the size of the activation; black
    where fewer than FEW images activate it"""
    importance: np.ndarray | None = None
    """[d_sae, classes] what setting the latent to 0 adds to the mean squared error, as a mean over all of the class's
    images (`sae_core.importance.ablation`); None: not measured"""

    @property
    def frequency(self) -> np.ndarray:
        """[d_sae] share of the images on which the latent is active."""
        return self.count / self.n

    @property
    def usage(self) -> Usage:
        """Which latents are dead, rare and in use on this split."""
        return usage(self.count, self.n)

    @property
    def dead(self) -> np.ndarray:
        """[d_sae] bool: never active on this split."""
        return self.usage.dead

    @property
    def lift(self) -> np.ndarray:
        """[d_sae, classes] see `lift`."""
        return lift(self.class_rates, self.frequency)


def lift(class_rates: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """How much more often a class activates a latent than all images do: [d_sae, classes], 0 where never active.

    class_rates [d_sae, classes] / frequency [d_sae], the shares of the class's and of all images.
    """
    base = frequency[:, None]
    return np.divide(class_rates, base, out=np.zeros_like(class_rates), where=base > 0)


def class_shares(count: np.ndarray) -> np.ndarray:
    """Of the images on which a latent is active the share of each class: [d_sae, classes], 0 where never active.

    count [d_sae, classes] are images of each class on which it is active.
    """
    active = count.sum(1, keepdims=True)
    return np.divide(count, active, out=np.zeros(count.shape), where=active > 0)


def most_lift(class_rates: np.ndarray, count: np.ndarray, n: int) -> np.ndarray:
    """The class of most lift of each latent [d_sae]; −1 for one that is active on fewer than FEW of the n images.

    class_rates [d_sae, classes], count [d_sae] images on which it is active.
    """
    classes = lift(class_rates.astype(np.float64), count / n).argmax(1)
    return np.where(count >= FEW, classes, -1)


def save(stats: FeatureStats, folder: Path, member: int = 0) -> None:
    """Store statistics beside a checkpoint, so that a page opens without the data; importance in a file of its own."""
    arrays = {f.name: v for f in fields(stats) if isinstance(v := getattr(stats, f.name), np.ndarray)}
    small = {
        "count": np.int32,
        "class_n": np.int32,
        "top_indices": np.int32,
        "top_values": np.float16,
        "class_rates": np.float16,
        "class_means": np.float16,
    }
    arrays = {name: a.astype(small.get(name, a.dtype)) for name, a in arrays.items()}
    # Most of every picture is black: a quarter of the bytes, in files of which a repository holds many.
    arrays["mean_picture_zlib"] = np.frombuffer(zlib.compress(arrays.pop("mean_picture").tobytes(), 9), np.uint8)
    # One key: safetensors writes several in any order, and equal statistics should be equal files.
    of = {"dataset": stats.dataset, "split": stats.split, "n": stats.n, "pixels": stats.mean_picture.shape[1]}
    header = {"of": json.dumps(of)}
    path = stats_path(folder, stats.dataset, stats.split, member)
    importance = arrays.pop("importance", None)
    if importance is not None:
        files.write_tensors(_importance_path(path), {"importance": importance}, header)
    else:
        _importance_path(path).unlink(missing_ok=True)
    files.write_tensors(path, arrays, header)


def _beside(path: Path, header: dict[str, str]) -> np.ndarray:
    """The importance beside statistics with that header. ValueError where it is not of the same images."""
    arrays, other = files.read_tensors(path)
    if other != header or set(arrays) != {"importance"}:
        raise ValueError(f"{path.name} is not of the same images")
    return arrays["importance"]


def _importance_path(stats: Path) -> Path:
    """Beside statistics, as models had those before importance was among them."""
    return stats.with_name(stats.name.replace("features-", "importance-", 1))


def read(folder: Path, dataset: str, split: str, member: int = 0) -> FeatureStats:
    """Statistics stored beside a checkpoint. CheckpointError names a missing or damaged file."""
    path = stats_path(folder, dataset, split, member)
    arrays, header = files.read_tensors(path)
    try:
        of = json.loads(header["of"])
        if (beside := _importance_path(path)).is_file():
            arrays["importance"] = _beside(beside, header)
        packed, wanted = arrays.pop("mean_picture_zlib"), len(arrays["count"]) * min(int(of["pixels"]), MOST_PIXELS)
        pictures = zlib.decompressobj().decompress(packed.tobytes(), wanted + 1)
        arrays["mean_picture"] = np.frombuffer(pictures, np.uint8).reshape(len(arrays["count"]), -1)
        stats = FeatureStats(dataset=str(of["dataset"]), split=str(of["split"]), n=int(of["n"]), **arrays)
        d_sae, classes, side = len(stats.count), len(stats.class_n), stats.mean_picture.shape[-1]
        shapes = {"class_n": (classes,), "class_rates": (d_sae, classes), "mean_picture": (d_sae, side)}
        shapes |= {"class_means": (d_sae, classes), "importance": (d_sae, classes)}
        shapes |= {"top_indices": (d_sae, TOP), "top_values": (d_sae, TOP)}
        for name, array in arrays.items():
            if array.shape != shapes.get(name, (d_sae,)) or not np.isfinite(array).all():
                raise ValueError(f"{name} has a wrong shape {array.shape} or is not finite")
    except (KeyError, TypeError, ValueError, zlib.error) as e:
        raise files.CheckpointError(
            f"{path} does not hold feature statistics as this version writes them: {e}. "
            f"`python -m sae_core features {folder}` makes them anew."
        ) from e
    return stats


def stats_path(folder: Path, dataset: str, split: str, member: int = 0) -> Path:
    """Where the feature statistics over a split lie beside a checkpoint; those of an ensemble's member say which."""
    return folder / f"features-{dataset}-{split}{f'-member{member}' if member else ''}.safetensors"
