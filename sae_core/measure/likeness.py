"""How like the training images a picture is: the error of its reconstruction and its code, against theirs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sae_core import files
from sae_core.datasets import ImageSet
from sae_core.measure.features import FeatureStats

if TYPE_CHECKING:
    from sae_core.models.sae import SAE

IMAGES = 10_000
"""The first images of a split on which it is measured."""
_STEPS = 200
_BATCH = 500


class Reading(NamedTuple):
    """What is measured of each of N pictures."""

    error: np.ndarray
    """[N] mean squared error of the reconstruction of what the SAE reads"""
    surprise: np.ndarray
    """[N] bits, see `surprise`"""


@dataclass(frozen=True)
class Likeness:
    """How error and code are spread over n training images."""

    dataset: str
    split: str
    n: int
    """images: the first of the split"""
    error: np.ndarray
    """[201] quantiles of the mean squared error, from the smallest to the largest"""
    surprise: np.ndarray
    """[201] the same of the codes' surprise"""

    def shares(self, reading: Reading) -> tuple[float, float]:
        """The shares of the n images whose error, and whose surprise, is smaller than those of one picture."""
        return _share(reading.error, self.error), _share(reading.surprise, self.surprise)


def _share(of_one: np.ndarray, quantiles: np.ndarray) -> float:
    return float(np.interp(of_one[0], quantiles, np.linspace(0, 1, len(quantiles))))


def surprise(acts: np.ndarray, norms: np.ndarray, class_rates: np.ndarray, class_n: np.ndarray) -> np.ndarray:
    """How seldom what is active in a code is active on the images of the class that fits it best: [N], in bits.

    min over classes c of Σ_f w_f · −log₂ p(f | c), with w_f the share of latent f in the code's energy a_f² ‖d_f‖² and
    p(f | c) the share of the class's images on which f is active. A latent that is never active on a class counts as
    half an image; a code without any active latent as surprising as one can be.

    Args:
        acts: [N, d_sae] codes.
        norms: [d_sae] lengths of the decoder's rows.
        class_rates: [d_sae, classes] p(f | c).
        class_n: [classes] images of each class; classes without images are left out.
    """
    there = class_n > 0
    bits = -np.log2(np.maximum(class_rates[:, there].astype(np.float64), 0.5 / class_n[there]))
    energy = np.square(acts * norms, dtype=np.float64)
    whole = energy.sum(1, keepdims=True)
    of_class = np.divide(energy @ bits, whole, out=np.full((len(acts), bits.shape[1]), bits.max()), where=whole > 0)
    return of_class.min(1)


def read_off(sae: SAE, stats: FeatureStats, x: np.ndarray) -> Reading:
    """Error and surprise of pictures [N, pixels]."""
    import torch

    norms = np.linalg.norm(sae.inference_form().D, axis=1)
    errors, surprises = [], []
    with torch.no_grad():
        for start in range(0, len(x), _BATCH):
            h = sae.read(torch.tensor(x[start : start + _BATCH]).to(sae.W_enc.device))
            out = sae(h)
            errors.append((out.x_hat - h).double().pow(2).mean(1).cpu().numpy())
            surprises.append(surprise(out.acts.cpu().numpy(), norms, stats.class_rates, stats.class_n))
    return Reading(np.concatenate(errors), np.concatenate(surprises))


def measure(sae: SAE, stats: FeatureStats, images: ImageSet) -> Likeness:
    """The spread over a split's first images; `stats` are those of the same split."""
    reading = read_off(sae, stats, images.x[:IMAGES])
    steps = np.linspace(0, 1, _STEPS + 1)
    error, surprise_ = (np.quantile(values, steps) for values in reading)
    return Likeness(images.name, images.split, len(reading.error), error, surprise_)


def save(likeness: Likeness, folder: Path, member: int = 0) -> None:
    """Store it beside a checkpoint, so that a page can say it without the data."""
    found = {
        "n": likeness.n,
        "error": [float(f"{v:.6g}") for v in likeness.error],
        "surprise": [float(f"{v:.6g}") for v in likeness.surprise],
    }
    files.write_json(_path(folder, likeness.dataset, likeness.split, member), found)


def read(folder: Path, dataset: str, split: str, member: int = 0) -> Likeness:
    """What was stored beside a checkpoint. CheckpointError names a missing or damaged file."""
    path = _path(folder, dataset, split, member)
    found = files.read_json(path)
    try:
        error, bits = (np.array(found[name], np.float64) for name in ("error", "surprise"))
        for values in (error, bits):
            if values.shape != (_STEPS + 1,) or not np.isfinite(values).all() or (np.diff(values) < 0).any():
                raise ValueError("its quantiles are not in order")
        return Likeness(dataset, split, int(found["n"]), error, bits)
    except (KeyError, TypeError, ValueError) as e:
        raise files.CheckpointError(
            f"{path} does not say how like a picture is: {e}. `python -m sae_core features {folder}` makes it anew."
        ) from e


def _path(folder: Path, dataset: str, split: str, member: int) -> Path:
    return folder / f"likeness-{dataset}-{split}{f'-member{member}' if member else ''}.json"
