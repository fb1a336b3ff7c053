"""The bundled models' numbers once more, by formulas written plainly: nothing of `sae_core.measure`, nor its models.

Weights are read from their files, x are rows of pixels, and every sum over images is in float64.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from sae_core.datasets import load_dataset

ROOT = Path(__file__).parent.parent
BATCH = 5000
CLASSES = 10
"""of digits"""
SCRAMBLED = 10
"""the class of scrambled images"""


@dataclass(frozen=True, eq=False)
class Pictures:
    """A split, with what every model's numbers need of it."""

    x: Tensor
    """[N, d] what a model reads"""
    labels: Tensor
    centred: Tensor
    """x less each image's own mean, at length 1: ⟨·, x_hat⟩ / ‖x_hat − its mean‖ is Pearson's correlation"""
    variance: float
    """Σ‖x − x̄‖² with x̄ the mean over images"""


@cache
def weights(name: str) -> dict[str, Tensor]:
    """A bundled model's tensors in float32."""
    file = ROOT / "checkpoints" / name / "sae_weights.safetensors"
    return {key: t.float() for key, t in load_file(file).items()}


def config(name: str) -> dict[str, object]:
    return dict(json.loads((ROOT / "checkpoints" / name / "cfg.json").read_text())["metadata"]["sae_core"])


@cache
def mnist(split: str, folder: Path) -> Pictures:
    return of(load_dataset("mnist", split, folder))


@cache
def digits() -> Pictures:
    return of(load_dataset("digits", "test"))


def of(images: object) -> Pictures:
    return looked_at(torch.tensor(images.x), torch.tensor(images.labels))  # type: ignore[attr-defined]


def looked_at(x: Tensor, labels: Tensor) -> Pictures:
    centred = x - x.mean(1, keepdim=True)
    centred /= centred.norm(dim=1, keepdim=True).clamp_min(1e-30)
    mean = x.mean(0, dtype=torch.float64).float()
    variance = sum(float((part - mean).square().sum(dtype=torch.float64)) for part in x.split(BATCH))
    return Pictures(x, labels, centred, variance)


def hidden(x: Tensor) -> Tensor:
    """The layer that experiment 3 reads: max(0, tanh(x W + b))."""
    w = weights("exp3-classifier")
    return torch.cat([(part @ w["W_in"] + w["b_in"]).tanh().relu() for part in x.split(BATCH)])


@cache
def layer_of(split: str, folder: Path) -> Pictures:
    pictures = mnist(split, folder) if split != "digits" else digits()
    return looked_at(hidden(pictures.x), pictures.labels)


def picture(h: Tensor) -> Tensor:
    """What experiment 3's generator makes of a hidden layer: 1 / (1 + exp(−(h W + b)))."""
    w = weights("exp3-generator")
    return (h @ w["W"] + w["b"]).sigmoid()


def unit_rows(W_enc: Tensor) -> Tensor:
    """A tied decoder: the encoder's columns as rows of length 1, rounded to float16."""
    return (W_enc / W_enc.norm(dim=0)).T.half().float().contiguous()


@dataclass(frozen=True)
class Model:
    """Weights, whether b_dec is taken from x first, what is kept of the pre-activations, and how often x is seen."""

    kind: str
    W_enc: Tensor
    b_enc: Tensor
    W_dec: Tensor
    b_dec: Tensor
    threshold: float = 0.0
    k: int = 50
    passes: int = 1

    def pre_acts(self, x: Tensor) -> Tensor:
        """[N, d] → [N, d_sae]"""
        shifted = x if self.kind in ("tied_topk", "relu_l1") else x - self.b_dec
        return torch.addmm(self.b_enc, shifted, self.W_enc)

    def kept(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """[N, d] → values and which latents they are of, [N, k]; or the values of all [N, d_sae], and None."""
        pre = self.pre_acts(x)
        if self.kind in ("relu_l1", "kl"):
            return pre.relu_(), None
        if self.kind == "batch_topk":
            return pre.where(pre > self.threshold, 0.0).relu_(), None
        top = pre.topk(self.k, sorted=False)
        for _ in range(self.passes - 1):
            # what was kept, and what the encoder makes of the rest that it leaves over
            again = self.pre_acts(x - self.decode(top.values.relu(), top.indices) + self.b_dec)
            top = again.scatter_add_(1, top.indices, top.values.relu()).topk(self.k, sorted=False)
        return (top.values if self.kind == "tied_topk" else top.values.relu()), top.indices

    def code(self, x: Tensor) -> Tensor:
        """[N, d] → [N, d_sae]"""
        values, which = self.kept(x)
        return values if which is None else torch.zeros(len(x), len(self.W_dec)).scatter_(1, which, values)

    def decode(self, values: Tensor, which: Tensor | None = None) -> Tensor:
        """b_dec and the decoder's rows, each as often as its value says."""
        if which is None:
            return torch.addmm(self.b_dec, values, self.W_dec)
        bag = torch.nn.functional.embedding_bag(which, self.W_dec, per_sample_weights=values, mode="sum")
        return bag + self.b_dec


def tied(W_enc: Tensor, b_enc: Tensor) -> Model:
    return Model("tied_topk", W_enc, b_enc, unit_rows(W_enc), torch.zeros(len(W_enc)))


@cache
def model(name: str, member: int = 0) -> Model:
    kind, w = str(config(name)["variant"]), weights(name)
    if kind == "tied_topk":
        ensemble = w["W_enc"].ndim == 3
        return tied(w["W_enc"][member], w["b_enc"][member]) if ensemble else tied(w["W_enc"], w["b_enc"])
    threshold = float(w["threshold"]) if "threshold" in w else 0.0
    said = dict(config(name)["config"])  # type: ignore[call-overload]
    b_enc = w["b_enc"] if "b_enc" in w else torch.zeros(len(w["W_dec"]))
    return Model(kind, w["W_enc"], b_enc, w["W_dec"], w["b_dec"], threshold, said.get("k", 50), said.get("passes", 1))


@dataclass(frozen=True)
class Found:
    """What one pass over a split finds."""

    metrics: dict[str, float]
    pearson: np.ndarray
    """[N] of each image"""
    l0: np.ndarray
    """[N] active latents of each image"""
    l1: float
    """mean over images of Σ|acts|"""
    by_class: np.ndarray
    """[d_sae, 10] images of each class on which a latent is active"""

    @property
    def count(self) -> np.ndarray:
        """[d_sae] images on which a latent is active"""
        return np.asarray(self.by_class.sum(1))


def measured(model: Model, pictures: Pictures) -> Found:
    """Everything of one model over one split, batch by batch."""
    n, d = pictures.x.shape
    error, size, count = 0.0, 0.0, torch.zeros(len(model.W_dec) * CLASSES, dtype=torch.int64)
    r, l0 = [], []
    for x, centred, labels in parts(pictures.x, pictures.centred, pictures.labels):
        values, which = model.kept(x)
        active = values != 0
        image, place = active.nonzero(as_tuple=True)
        latent = place if which is None else which[image, place]
        count += (latent * CLASSES + labels[image]).bincount(minlength=len(count))
        l0.append(active.sum(1))
        size += float(values.abs().sum(1).sum(dtype=torch.float64))
        x_hat = model.decode(values, which)
        error += float((x_hat - x).norm(dim=1).double().square().sum())
        # ⟨x_hat − its mean, ·⟩ is ⟨x_hat, ·⟩, as x less its mean sums to 0
        spread = (x_hat.norm(dim=1).double().square() - d * x_hat.mean(1).double().square()).sqrt()
        r.append((centred * x_hat).sum(1).double() / spread)
    pearson, active_n, by_class = torch.cat(r).numpy(), torch.cat(l0).numpy(), count.numpy().reshape(-1, CLASSES)
    on = by_class.sum(1)
    dead, enough = int((on == 0).sum()), int((on >= 0.003 * n - 1e-6).sum())
    found = {
        "pearson": float(pearson.mean()),
        "fvu": error / pictures.variance,
        "mse": error / (n * d),
        "l0": float(active_n.mean()),
        "dead": dead,
        "rare": len(on) - dead - enough,
        "in_use": enough,
        "n": n,
    }
    return Found(found, pearson, active_n, size / n, by_class)


@cache
def tested(name: str, member: int, folder: Path) -> Found:
    """A bundled model over the test images: measured once, for its metrics and for the reports."""
    return measured(model(name, member), layer_of("test", folder) if "exp3" in name else mnist("test", folder))


def scramble(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture's 49 blocks of 4×4 pixels in the order that 49 random numbers sort into."""
    order = torch.rand(len(x), 49, generator=generator).argsort(1)
    blocks = x.view(-1, 7, 4, 7, 4).permute(0, 1, 3, 2, 4).reshape(-1, 49, 16)
    mixed = torch.take_along_dim(blocks, order[:, :, None], 1)
    return mixed.view(-1, 7, 7, 4, 4).permute(0, 1, 3, 2, 4).reshape(-1, 784)


@lru_cache(1)
def with_scrambled(pictures: Pictures) -> tuple[Tensor, Tensor]:
    """The images and a scrambled copy of each, as networks are measured: seed 0."""
    mixed = scramble(pictures.x, torch.Generator().manual_seed(0))
    return torch.cat([pictures.x, mixed]), torch.cat([pictures.labels, torch.full_like(pictures.labels, SCRAMBLED)])


def logits(name: str, x: Tensor) -> Tensor:
    w = weights(name)
    return (x @ w["W_in"] + w["b_in"]).tanh().relu() @ w["W_out"] + w["b_out"]


def parts(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    return zip(*(t.split(BATCH) for t in tensors), strict=True)


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[n, d] and [m, d] → [n, m]; 0 with a row of zeros"""
    a, b = (v.astype(np.float64) for v in (a, b))
    lengths = np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
    return np.divide(a @ b.T, lengths, out=np.zeros(lengths.shape), where=lengths > 0)


def locality(rows: np.ndarray) -> np.ndarray:
    """Share of each row's energy in the best of its 361 windows of 10×10 pixels."""
    energy = rows.astype(np.float64).reshape(-1, 28, 28) ** 2
    windows = np.lib.stride_tricks.sliding_window_view(energy, (10, 10), axis=(1, 2)).sum((-1, -2))
    return np.asarray(windows.max((1, 2)) / energy.sum((1, 2)))


def smoothness(rows: np.ndarray) -> np.ndarray:
    """Mean of the correlations of pixels beside each other and of pixels below each other, of each square row."""
    side, found = int(rows.shape[1] ** 0.5), []
    for picture in rows.astype(np.float64).reshape(-1, side, side):
        across = np.corrcoef(picture[:, :-1].ravel(), picture[:, 1:].ravel())[0, 1]
        down = np.corrcoef(picture[:-1].ravel(), picture[1:].ravel())[0, 1]
        found.append((across + down) / 2)
    return np.array(found)
