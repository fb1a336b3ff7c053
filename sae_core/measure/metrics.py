"""Every formula, once. A number that is shown anywhere comes from here and says its split and n."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from sae_core.measure.usage import RARE, usage
from sae_core.models.classifier import Classifier
from sae_core.models.network import Network
from sae_core.models.sae import SAE
from sae_core.pictures.scramble import scramble


class Metrics(NamedTuple):
    """How well a model reconstructs n images, and how sparsely."""

    pearson: float
    """per image between x and x_hat over its pixels, then the mean over images"""
    fvu: float
    """fraction of variance unexplained: Σ‖x − x_hat‖² / Σ‖x − x_mean‖², x_mean the per-pixel mean of these
    images; NaN where they are all the same"""
    mse: float
    """mean squared error per pixel"""
    l0: float
    """active (non-zero) latents per image, the mean"""
    dead: int
    """latents that none of these images activates"""
    rare: int
    """latents that under 0.3 % of these images activate, but at least one"""
    in_use: int
    """all other latents"""
    n: int
    """images"""


FORMULAS = {
    "pearson": "Per image, the correlation between the pixels of x and x̂; then the mean over images.",
    "fvu": "Σ‖x − x̂‖² / Σ‖x − x̄‖² over the whole split, x̄ its per-pixel mean. 0: perfect, 1: the mean image.",
    "mse": "Mean over images and pixels of (x̂ − x)².",
    "l0": "Non-zero activations per image, the mean.",
    "dead": "Latents never active on this split.",
    "rare": f"Latents active on under {RARE} of this split's images, but on at least one.",
    "in_use": f"Latents active on {RARE} of this split's images or more.",
}
"""What a person reads on hover, for each field of `Metrics`."""


def pearson(x: Tensor, x_hat: Tensor) -> Tensor:
    """Correlation of each row of x and x_hat [N, d] → [N] in [−1, 1]; 0 where one of them is constant.

    In float64, in which also the squares of float32's largest numbers are finite.
    """
    a, b = (v.double() - v.double().mean(-1, keepdim=True) for v in (x, x_hat))
    scale = a.norm(dim=-1) * b.norm(dim=-1)
    # Asked of the pixels: the deviations of a constant image from its rounded mean are small, but not 0.
    varies = (x.amax(-1) > x.amin(-1)) & (x_hat.amax(-1) > x_hat.amin(-1))
    return torch.where(varies, (a * b).sum(-1) / scale.clamp_min(torch.finfo(scale.dtype).tiny), 0.0)


def mse(x: Tensor, x_hat: Tensor) -> Tensor:
    """Mean squared error per pixel of each row [N, d] → [N]."""
    return (x_hat - x).pow(2).mean(-1)


def l0(acts: Tensor) -> Tensor:
    """Non-zero activations of each row [N, d_sae] → [N]."""
    return (acts != 0).sum(-1)


class ClassifierMetrics(NamedTuple):
    """How often a classifier is right."""

    accuracy: float
    """share of all n images whose largest logit is that of their class"""
    accuracy_digits: float
    """the same on the digits alone"""
    n: int
    """images, the scrambled among them"""


class GeneratorMetrics(NamedTuple):
    """How near a generator's pictures come to the images."""

    mse: float
    """mean squared error per pixel, over all n images"""
    mse_digits: float
    """the same on the digits alone"""
    n: int
    """images, the scrambled among them"""


class RunningMetrics:
    """`Metrics` over a stream of batches; float64 sums, so that the order of batches does not matter."""

    def __init__(self) -> None:
        self.n = 0
        self._sums = np.zeros(4)  # pearson, squared error, l0, squared pixels
        self._pixels: Tensor | None = None
        self._count: Tensor | None = None

    def update(self, x: Tensor, x_hat: Tensor, acts: Tensor) -> None:
        """Add a batch: x and x_hat [B, d], acts [B, d_sae]. ValueError for other shapes (an ensemble's)."""
        if x.shape != x_hat.shape or acts.ndim != 2:
            raise ValueError(f"x is {list(x.shape)}, x_hat {list(x_hat.shape)}: of an ensemble choose a member")
        self.n += len(x)
        self._sums += [
            float(pearson(x, x_hat).sum()),
            float((x_hat - x).double().pow(2).sum()),
            float(l0(acts).sum()),
            float(x.double().pow(2).sum()),
        ]
        pixels, count = x.double().sum(0), (acts != 0).sum(0)
        self._pixels = pixels if self._pixels is None else self._pixels + pixels
        self._count = count if self._count is None else self._count + count

    def compute(self) -> Metrics:
        """The metrics of all batches so far. ValueError when there was none."""
        if self._pixels is None or self._count is None:
            raise ValueError("there is nothing to measure: no image was given")
        correlation, error, active, power = self._sums
        dead, rare, in_use = usage(self._count.cpu().numpy(), self.n)
        variance = power - float(self._pixels.pow(2).sum()) / self.n
        return Metrics(
            pearson=float(correlation / self.n),
            # Images that are all the same have no variance but for float64's rounding.
            fvu=float(error / variance) if variance > 1e-12 * power else float("nan"),
            mse=float(error / (self.n * len(self._pixels))),
            l0=float(active / self.n),
            dead=int(dead.sum()),
            rare=int(rare.sum()),
            in_use=int(in_use.sum()),
            n=self.n,
        )


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Whether the largest of each row of logits [N, classes] is that of its label [N] → bool [N]."""
    return logits.argmax(-1) == labels


class Rows(Protocol):
    """Rows that are looked at some at a time: an array, a tensor, or a part of a folder of shards."""

    def __len__(self) -> int: ...

    def __getitem__(self, which: slice, /) -> np.ndarray | Tensor: ...


AT_ONCE = 1 << 25
"""activations of a code that are in memory at once: fewer rows, where there are many latents"""


def batches(x: Rows, device: torch.device | str, size: int = 1000) -> Iterator[Tensor]:
    """The rows of x in batches on a device."""
    for start in range(0, len(x), size):
        part = x[start : start + size]
        yield (part if isinstance(part, Tensor) else torch.tensor(part)).to(device)  # x may be read-only


@torch.no_grad()
def evaluate(sae: SAE, pictures: Rows, batch_size: int = 1000) -> Metrics:
    """Measure `sae` on pictures [N, 784], with what it reads of them as x; or on activations [N, d_in] of any kind,
    which it reads as they are. ValueError for an ensemble."""
    running = RunningMetrics()
    batch_size = max(1, min(batch_size, AT_ONCE // sae.config.d_sae))
    for batch in batches(pictures, sae.W_enc.device, batch_size):
        x = sae.read(batch)
        out = sae(x)
        running.update(x, out.x_hat, out.acts)
    return running.compute()


def with_scrambled(
    x: np.ndarray | Tensor, labels: np.ndarray | Tensor, seed: int = 0, *, scrambled: int
) -> tuple[Tensor, Tensor]:
    """Images and labels followed by a scrambled copy of each, of the class `scrambled`; the seed draws their orders."""
    x, labels = torch.tensor(np.asarray(x)), torch.tensor(np.asarray(labels))
    mixed = scramble(x, torch.Generator().manual_seed(seed))
    return torch.cat([x, mixed]), torch.cat([labels, torch.full_like(labels, scrambled)])


@torch.no_grad()
def evaluate_network(
    model: Network, x: Tensor, labels: Tensor, *, scrambled: int
) -> ClassifierMetrics | GeneratorMetrics:
    """Measure a classifier or a generator on pictures x [N, d_in], among which those of that class are scrambled."""
    found = []
    device = next(model.parameters()).device
    for part, label in zip(batches(x, device), batches(labels, device), strict=True):
        out = model(part)
        found.append((accuracy(out, label).float() if isinstance(model, Classifier) else mse(part, out)).cpu())
    values = torch.cat(found).double()
    digits = values[labels.cpu() != scrambled]
    kind = ClassifierMetrics if isinstance(model, Classifier) else GeneratorMetrics
    return kind(float(values.mean()), float(digits.mean()), len(values))


@torch.no_grad()
def validation_loss(model: Network, x: Tensor, labels: Tensor, batch_size: int) -> float:
    """Mean loss over x in batches in the order given, each loss as in training (penalties included)."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    total = 0.0
    for part, label in zip(batches(x, device, batch_size), batches(labels, device, batch_size), strict=True):
        losses = model.labelled_losses(model.read(part), label)
        total += len(part) * float(torch.stack(list(losses.values())).sum())
    model.train(was_training)
    return total / len(x)
