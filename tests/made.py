"""Reports made up for tests: small, and no two of their numbers are alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sae_core.datasets import ImageSet
from sae_core.documents.report import Claim, Report
from sae_core.documents.source import RHOS, Source
from sae_core.models.sae import SAE
from sae_core.variants import build
from sae_core.variants.tied_topk import TiedTopKConfig

N = {"train": 12_000, "test": 3_000}
D = 30
"""latents"""
KEPT = 4
"""features of a list"""


_rng = np.random.default_rng(0)


def numbers(*shape: int) -> np.ndarray:
    """Numbers between 0 and 1, never the same ones again."""
    return _rng.random(shape)


LABELS = np.array([*range(9, -1, -1), 0, 1])
"""the first of digit c is number 9 − c"""
IMAGES = ImageSet(numbers(12, 784).astype(np.float32), LABELS, "mnist", "test")


@dataclass(frozen=True, eq=False)
class Made(Source):
    """A made report's source: its models' tensors are given, and its images made."""

    tensors: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)

    def model(self, name: str) -> Path:
        return Path(name)

    def weights(self, name: str) -> dict[str, np.ndarray]:
        return self.tensors[name]

    def images(self) -> ImageSet:
        return IMAGES

    def sae(self, name: str, member: int = 0) -> SAE:
        return build("tied_topk", TiedTopKConfig(d_sae=D, k=3), seed=5).eval()


def source(name: str, arrays: dict[str, np.ndarray], claims: list[Claim] | None = None, **more: Any) -> Made:
    info = {"n": N} | more.pop("info", {})
    return Made(Report(name, 42, False, claims=claims or [], info=info, arrays=arrays), **more)


def claim(what: str, documented: Any, ours: Any, claimed: Any = None) -> Claim:
    return Claim(what, claimed, documented, ours, "mnist/test", 3_000)


def ensemble(claims: list[Claim] | None = None) -> Made:
    """Documents 000 to 002: two members, three pairs of them, two readings of the loss."""
    frequency = numbers(D)
    frequency[[4, 9]] = 0
    arrays = {
        "frequency": frequency,
        "ever_active": np.stack([frequency > 0, frequency > 0.5]),
        "class_means": numbers(D, 10),
        "class_rates": numbers(D, 10),
        "use_frequency": np.where(frequency > 0.1, numbers(D), 0),
        "use_mean_active": 10 * numbers(D),
        "use_mean_all": numbers(D),
        "initial_mse": np.array([0.081, 0.083]),
        "initial_pearson": np.array([0.11, 0.12]),
        "pearson_test": np.array([[0.91, 0.92], [0.93, 0.94]]),
        "pearson_train": np.array([[0.81, 0.82], [0.83, 0.84]]),
        "pairs": np.array([[0, 1], [0, 2], [1, 2]]),
        "mmcs_before": np.array([[0.11, 0.12, 0.13], [0.21, 0.22, 0.23]]),
        "mmcs_after": np.array([[0.71, 0.72, 0.73], [0.81, 0.82, 0.83]]),
        "consistency": np.array([[0.9111, 0.521, 0.631, 300], [0.9422, 0.452, 0.762, 200]]),
        "locality": numbers(D),
        "nearest_cosine": numbers(D),
        "pearson_by_digit": numbers(10),
        "tsne_norm_features": np.array([4, 7, 2]),
        "tsne_norm_xy": numbers(3, 2),
        "tsne_variance_features": np.array([1, 9, 4, 6]),
        "tsne_variance_xy": numbers(4, 2),
        "tsne_largest_features": np.array([8, 5]),
        "tsne_largest_xy": numbers(2, 2),
    }
    info = {"consistency": {"names": ["mmcs", "codes"], "steps": 77}}
    weights = {"W_enc": np.stack([numbers(4, D), numbers(4, D)])}
    return source("ensemble", arrays, claims, info=info, tensors={"ensemble-tied-topk-1024-k50": weights})


def intro(claims: list[Claim] | None = None) -> Made:
    """Document 003."""
    arrays = {
        "curve_relu_l1": np.array([[20.0, 0.25, 0.91, 3], [49, 0.13, 0.95, 1]]),
        "curve_batch_topk": np.array([[21.0, 0.12, 0.93, 7], [50, 0.05, 0.98, 5], [98, 0.03, 0.99, 2]]),
        "decoder_norms_held": np.ones(3),
        "decoder_norms_free": np.array([2.0, 6, 100]),
        "l0_of_images": np.array([0, 3, 1, 0, 4]),
        "l0_by_digit": numbers(10),
        "rows_dense": numbers(12, 4) - 0.5,
        "rows_sparse": numbers(12, 4) - 0.25,
    }
    return source("intro", arrays, claims)


def experiment3(claims: list[Claim] | None = None) -> Made:
    """Document 004: five neurons, D features, pictures of 2×2 pixels."""
    arrays: dict[str, np.ndarray] = {
        "accuracy": np.array([0.7, 0.8123]),
        "accuracy_digits": np.array([0.5, 0.6456]),
        "loss_phase3": np.array([0.05, 0.04]),
    }
    for rho in RHOS:
        own = {name: numbers(12, D) for name in ("increase", "share", "notebook", "mean_acts")}
        own |= {"alone_hidden": numbers(D, 5), "alone_pictures": numbers(D, 4)}
        for reading in ("notebook", "closed"):
            own[f"tops_{reading}"] = np.argsort(numbers(12, D - 5), axis=1)[:, :KEPT]
            own[f"overlap_{reading}"] = numbers(11, 11)
        own["tops_notebook"][:, 0] = [D - 1] * 5 + [D - 2] * 4 + [D - 3, D - 4, D - 5]
        own["union_notebook"] = union = np.unique(own["tops_notebook"][:, :3])[:-2]
        own |= {f"{kind}map_{space}": numbers(D, 2) for kind in ("", "honest_") for space in ("hidden", "picture")}
        for kind in ("", "honest_"):
            own |= {f"union_{kind}map_{space}": numbers(len(union), 2) for space in ("hidden", "picture")}
        own |= {f"correlations_{which}": numbers(3) for which in ("union", "all")}
        own["lists"] = np.array([0] * 4 + [1] * 5 + [2] * 3 + [5] * 6 + [6] * 9 + [11] * 3)
        own |= {"counts": np.array([1, 98]), "kept_accuracy": numbers(2, 2, 11)}
        arrays |= {f"rho{rho:g}/{name}": array for name, array in own.items()}
        arrays[f"loss_rho{rho:g}"] = numbers(2)
    for kind, units, top in (("neurons", 5, 1.0), ("rho0.1", 6, 2.0), ("rho0.999", 7, 3.0)):
        arrays |= {f"units/{kind}/classes": numbers(units, 11), f"units/{kind}/histogram": numbers(units, 4)}
        arrays[f"units/{kind}/top"] = np.array([top])
    tensors = {f"exp3-kl-98-rho{rho:g}": {"W_dec": numbers(D, 5), "b_dec": numbers(5)} for rho in RHOS}
    tensors["exp3-generator"] = {"W": numbers(5, 4) - 0.5, "b": numbers(4)}
    tensors["exp3-classifier"] = {
        "W_in": numbers(4, 5) - 0.5,
        "b_in": numbers(5),
        "W_out": 9 * numbers(5, 11),
        "b_out": numbers(11),
    }
    return source("experiment3", arrays, claims, tensors=tensors)
