"""What is known of each latent over a data set: how often, how strongly, for which classes and images."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sae_core import store
from sae_core.datasets import ImageSet
from sae_core.importance import ablation
from sae_core.metrics import batches
from sae_core.sae import SAE

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
    def dead(self) -> np.ndarray:
        """[d_sae] bool: never active on this split."""
        return self.count == 0

    @property
    def lift(self) -> np.ndarray:
        """[d_sae, classes] class rate over the rate on all images; 0 where never active."""
        base = self.frequency[:, None]
        return np.divide(self.class_rates, base, out=np.zeros_like(self.class_rates), where=base > 0)


@torch.no_grad()
def describe(
    sae: SAE, images: ImageSet, progress: Callable[[int, int], None] | None = None, batch_size: int = 1000
) -> FeatureStats:
    """Measure every latent of `sae` over `images`, in one pass; memory does not grow with their number.

    `progress(done, n)` is called after each batch. ValueError for an ensemble.
    """
    if sae.W_enc.ndim != 2:
        raise ValueError("an ensemble has no single code: choose a member")
    device, d_sae = sae.W_enc.device, sae.config.d_sae
    labels = torch.tensor(images.labels)
    classes = int(labels.max()) + 1
    count = torch.zeros(d_sae, classes, dtype=torch.float64)
    total = torch.zeros(d_sae, classes, dtype=torch.float64)
    weight = torch.zeros(d_sae, dtype=torch.float64)
    maximum, minimum = torch.zeros(d_sae), torch.zeros(d_sae)
    increase = torch.zeros(d_sae, classes, dtype=torch.float64)
    picture = torch.zeros(d_sae, images.x.shape[1], dtype=torch.float64)
    top_values = torch.full((d_sae, TOP), -torch.inf)
    top_indices = torch.full((d_sae, TOP), -1)
    start = 0
    for batch in batches(images.x, device, batch_size):
        h = sae.read(batch)
        x_hat, acts = sae(h)
        active = (acts != 0).float()
        one_hot = torch.nn.functional.one_hot(labels[start : start + len(batch)], classes).float().to(device)
        count += (active.T @ one_hot).cpu()
        total += (acts.T @ one_hot).cpu()
        increase += (ablation(acts, x_hat - h, sae.W_dec).T @ one_hot).cpu()
        weight += acts.abs().double().sum(0).cpu()
        picture += (acts.abs().T @ batch).cpu()
        maximum = torch.maximum(maximum, acts.amax(0).cpu())
        minimum = torch.minimum(minimum, acts.amin(0).cpu())
        top_values, top_indices = _merge_top(top_values, top_indices, acts.cpu(), start)
        start += len(batch)
        if progress:
            progress(start, len(images))
    active_n = count.sum(1)
    class_n = torch.bincount(labels, minlength=classes)
    shown = (active_n >= FEW)[:, None] & (weight > 0)[:, None]
    mean_picture = torch.where(shown, picture / weight.clamp_min(1e-30)[:, None], 0.0).clamp(0, 1)
    return FeatureStats(
        dataset=images.name,
        split=images.split,
        n=len(images),
        count=active_n.long().numpy(),
        mean_active=(total.sum(1) / active_n.clamp_min(1)).float().numpy(),
        maximum=maximum.numpy(),
        minimum=minimum.numpy(),
        class_rates=(count / class_n.clamp_min(1)).float().numpy(),
        class_means=(total / class_n.clamp_min(1)).float().numpy(),
        class_n=class_n.numpy(),
        top_indices=top_indices.numpy(),
        top_values=torch.where(top_indices >= 0, top_values, 0.0).numpy(),
        mean_picture=(mean_picture * 255).round().to(torch.uint8).numpy(),
        importance=(increase / class_n.clamp_min(1)).float().numpy(),
    )


def _merge_top(values: Tensor, indices: Tensor, acts: Tensor, start: int) -> tuple[Tensor, Tensor]:
    """The TOP largest of those kept [d_sae, TOP] and a batch acts [B, d_sae] whose first image is `start`."""
    new = torch.where(acts != 0, acts, -torch.inf).T.topk(min(TOP, len(acts)), dim=1)
    all_values = torch.cat([values, new.values], 1)
    all_indices = torch.cat([indices, torch.where(new.values > -torch.inf, new.indices + start, -1)], 1)
    best = all_values.topk(TOP, dim=1)
    return best.values, all_indices.gather(1, best.indices)


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
    path = store.stats_path(folder, stats.dataset, stats.split, member)
    importance = arrays.pop("importance", None)
    if importance is not None:
        store.write_tensors(_importance_path(path), {"importance": importance}, header)
    else:
        _importance_path(path).unlink(missing_ok=True)
    store.write_tensors(path, arrays, header)


def _beside(path: Path, header: dict[str, str]) -> np.ndarray:
    """The importance beside statistics with that header. ValueError where it is not of the same images."""
    arrays, other = store.read_tensors(path)
    if other != header or set(arrays) != {"importance"}:
        raise ValueError(f"{path.name} is not of the same images")
    return arrays["importance"]


def _importance_path(stats: Path) -> Path:
    """Beside statistics, as models had those before importance was among them."""
    return stats.with_name(stats.name.replace("features-", "importance-", 1))


def read(folder: Path, dataset: str, split: str, member: int = 0) -> FeatureStats:
    """Statistics stored beside a checkpoint. CheckpointError names a missing or damaged file."""
    path = store.stats_path(folder, dataset, split, member)
    arrays, header = store.read_tensors(path)
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
        raise store.CheckpointError(
            f"{path} does not hold feature statistics as this version writes them: {e}. "
            f"`python -m sae_core features {folder}` makes them anew."
        ) from e
    return stats


def nearest(rows: np.ndarray, feature: int, top: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """The other latents whose rows [d_sae, d] have the largest cosine to that feature's row.

    Returns their indices and cosines, [top] each, the largest first.
    """
    norms = np.linalg.norm(rows, axis=1)
    cosine = rows @ rows[feature] / np.maximum(norms * norms[feature], 1e-30)
    cosine[feature] = -np.inf
    order = np.argsort(-cosine, kind="stable")[: min(top, len(rows) - 1)]
    return order, cosine[order]


KEY_SHARE = 0.05
"""a latent active on a smaller share of a class's images is not among its key latents by lift"""


def key_features(stats: FeatureStats, by: str, least: float = KEY_SHARE) -> list[np.ndarray]:
    """Each class's latents in the order of a ranking, the first first; ties by number.

    "lift": the class rate over the rate on all images, among those active on at least the share `least` of the
    class's images and on at least FEW of them. "mean": the mean activation over the class's images, among those
    active on any of them. The second often finds latents that nearly every image activates. "importance": what
    setting it to 0 adds to the class's error, among the same; ValueError where it was not measured.
    """
    of = {"lift": stats.lift, "mean": stats.class_means, "importance": stats.importance}[by]
    if of is None:
        raise ValueError(f"importance was not measured on {stats.dataset}/{stats.split}")
    values = of.astype(np.float64)
    active = np.round(stats.class_rates.astype(np.float64) * stats.class_n)  # images
    ranked = active >= np.maximum(FEW, least * stats.class_n) if by == "lift" else active > 0
    found = []
    for c in range(values.shape[1]):
        order = np.argsort(-values[:, c], kind="stable")
        found.append(order[ranked[order, c]])
    return found


def by_first_class(lists: Sequence[np.ndarray], n: int) -> tuple[np.ndarray, np.ndarray]:
    """The union of the first n of each class's list, grouped by the class in whose list a latent is earliest.

    Returns the latents and their classes, [m] each, class by class in the order of their places.
    """
    earliest: dict[int, tuple[int, int]] = {}
    for c, order in enumerate(lists):
        for place, f in enumerate(order[:n].tolist()):
            earliest[f] = min(earliest.get(f, (n, c)), (place, c))
    latents = sorted(earliest, key=lambda f: earliest[f][::-1])
    return np.array(latents, dtype=np.int64), np.array([earliest[f][1] for f in latents], dtype=np.int64)
