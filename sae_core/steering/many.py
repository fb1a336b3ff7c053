"""The same edit on many images: what a classifier says, and how it depends on the strength."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sae_core.measure.metrics import batches
from sae_core.models.classifier import Classifier
from sae_core.models.network import check_input
from sae_core.models.sae import SAE
from sae_core.steering.asking import check_single, logits_of
from sae_core.steering.edits import ERROR_PRESERVING, Edits, check_mode, edit_code, finite

SCALES = (0.0, 0.5, 1.0, 1.5, 2.0)
"""strengths of a dose–response curve"""


@dataclass(frozen=True, eq=False)
class ManyResult:
    """What an edit does to a classifier's opinion of n images; C classes."""

    confusion_before: np.ndarray
    """[C, C] images by label (row) and what the classifier says (column), in the same mode with nothing edited"""
    confusion_after: np.ndarray
    """[C, C] the same with the edit"""
    mean_change: np.ndarray
    """[C] mean over the images of what the edit adds to each class's probability"""
    interval: np.ndarray
    """[C, 2] 95 % interval of that mean: ± 1.96 standard errors over the images; NaN for a single image"""
    dose: np.ndarray
    """[scales, C] mean probability of each class at each strength of the edit"""
    scales: tuple[float, ...]
    """the strengths: 0 is the untouched code, 1 the edit"""
    n: int
    """images"""


@torch.no_grad()
def apply_to_many(
    sae: SAE,
    classifier: Classifier,
    x: np.ndarray | Tensor,
    labels: np.ndarray | Tensor,
    edits: Edits,
    mode: str = ERROR_PRESERVING,
    solo: Iterable[int] | None = None,
    scales: Sequence[float] = SCALES,
    batch_size: int = 1000,
) -> ManyResult:
    """The same edit of every picture x [N, 784] of classes labels [N], and what the classifier then says.

    The decoder is linear, so one product serves every strength t, see `scaled`:

    ```
    h_t = h (error-preserving) or h_hat (plain)  +  t · (edited − acts) @ W_dec
    ```

    Memory does not grow with N. ValueError for an ensemble, no image, unequal lengths, a label that is not a class of
    the classifier, a strength that is not finite, and as `edit_code`.
    """
    check_mode(mode)
    check_single(sae)
    classes, kept = classifier.config.classes, None if solo is None else list(solo)
    truth = labels.cpu() if isinstance(labels, Tensor) else torch.tensor(labels)  # labels may be read-only
    if len(x) != len(truth) or truth.ndim != 1:
        raise ValueError(f"there are {len(x)} images but labels of shape {list(truth.shape)}")
    if not len(x):
        raise ValueError("there is nothing to measure: no image was given")
    if not bool(((truth >= 0) & (truth < classes)).all()):
        raise ValueError(f"the classifier knows classes 0 to {classes - 1}, the labels go beyond")
    if not all(finite(t) for t in scales):
        raise ValueError(f"strengths must be finite numbers, not {list(scales)}")
    W_dec = sae.W_dec
    strengths = list(dict.fromkeys([0.0, 1.0, *map(float, scales)]))
    confusion = torch.zeros(2, classes * classes, dtype=torch.int64)
    total = torch.zeros(len(strengths), classes, dtype=torch.float64)
    change, squares = torch.zeros(2, classes, dtype=torch.float64)
    for pictures, of in zip(batches(x, W_dec.device, batch_size), truth.split(batch_size), strict=True):
        h = sae.read(pictures)
        check_input(h, sae.config.d_in, "this SAE")
        acts = sae.encode(h)
        delta = edit_code(acts, edits, kept).sub_(acts)
        moved = delta @ W_dec if kept is not None else delta[:, list(edits)] @ W_dec[list(edits)]
        start = h if mode == ERROR_PRESERVING else sae.decode(acts)
        logits = [logits_of(sae, classifier, start + t * moved if t else start).cpu() for t in strengths]
        for i, found in enumerate(logits[:2]):
            confusion[i] += torch.bincount(of * classes + found.argmax(-1), minlength=classes**2)
        p = torch.stack(logits).double().softmax(-1)
        total += p.sum(1)
        change += (p[1] - p[0]).sum(0)
        squares += (p[1] - p[0]).square().sum(0)
    n = len(x)
    mean = change / n
    error = ((squares / n - mean.square()).clamp_min(0) / (n - 1)).sqrt() if n > 1 else torch.full_like(mean, torch.nan)
    before, after = confusion.view(2, classes, classes).numpy()
    return ManyResult(
        confusion_before=before,
        confusion_after=after,
        mean_change=mean.numpy(),
        interval=torch.stack([mean - 1.959964 * error, mean + 1.959964 * error], 1).numpy(),
        dose=(total / n)[[strengths.index(float(t)) for t in scales]].numpy(),
        scales=tuple(map(float, scales)),
        n=n,
    )
