"""How much each latent matters: what setting it to 0 does to the reconstruction, in closed form and for each class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sae_core.measure.metrics import batches
from sae_core.models.sae import SAE


def ablation(acts: Tensor, error: Tensor, W_dec: Tensor) -> Tensor:
    """What setting each latent alone to 0 adds to each image's mean squared error: [N, d_sae].

    ```
    (‖e − a_f d_f‖² − ‖e‖²) / d_in = (a_f² ‖d_f‖² − 2 a_f ⟨e, d_f⟩) / d_in,     e = x_hat − x, d_f = W_dec[f]
    ```

    acts [N, d_sae], error = e [N, d_in], W_dec [d_sae, d_in]: one matrix product instead of d_sae decodings. The code
    is decoded again as it is, without choosing other latents in place of f. Below 0 where f does harm; exactly 0 where
    it is not active. ValueError for shapes that do not belong together.
    """
    if acts.ndim != 2 or error.ndim != 2 or W_dec.ndim != 2 or (len(acts), len(W_dec)) != (len(error), acts.shape[1]):
        shapes = f"{list(acts.shape)}, {list(error.shape)} and {list(W_dec.shape)}"
        raise ValueError(f"acts, error and W_dec must be [N, d_sae], [N, d_in] and [d_sae, d_in], not {shapes}")
    if error.shape[1] != W_dec.shape[1]:
        raise ValueError(f"the error has {error.shape[1]} inputs, the decoder {W_dec.shape[1]}")
    return acts * (acts * W_dec.pow(2).sum(-1) - 2 * (error @ W_dec.T)) / error.shape[1]


@dataclass(frozen=True)
class Importance:
    """Importance of every latent for each class and, in the last row, for all images together."""

    dataset: str
    split: str
    classes: tuple[int, ...]
    """the label of each row but the last"""
    n: np.ndarray
    """[classes + 1] images of each row"""
    increase: np.ndarray
    """[classes + 1, d_sae] mean over the row's images of what ablating the latent adds to their mean squared error"""
    mean_acts: np.ndarray
    """[classes + 1, d_sae] mean activation over the row's images, active or not"""
    notebook: np.ndarray | None
    """[classes + 1, d_sae] the shares as document 004 counts them; None for an SAE without its penalty (see
    `importance_of`)"""

    @property
    def share(self) -> np.ndarray:
        """[classes + 1, d_sae] increase over the sum of its row: sums to 1, or is 0 where nothing matters."""
        return _shares(self.increase)

    def order(self, row: int, notebook: bool = False) -> np.ndarray:
        """All latents [d_sae], the most important for that row first; row −1 is all images.

        `notebook` orders by the document's shares; ValueError where there are none.
        """
        if not notebook:
            return np.argsort(-self.increase[row], kind="stable")
        if self.notebook is None:
            raise ValueError('the notebook\'s importance needs its penalty, which only an SAE of variant "kl" has')
        return np.argsort(-self.notebook[row], kind="stable")

    def top(self, row: int, n: int = 30, notebook: bool = False) -> np.ndarray:
        """The n most important latents for that row, the first of `order`."""
        return self.order(row, notebook)[:n]


@torch.no_grad()
def importance_of(
    sae: SAE,
    parts: Iterable[tuple[Tensor, Tensor]],
    classes: Sequence[int],
    *,
    dataset: str = "",
    split: str = "",
    progress: Callable[[int], None] | None = None,
) -> Importance:
    """Importance over any stream of (pictures [B, 784], labels [B]), such as digits and then scrambled images.

    One pass with sums in float64: memory does not grow with the number of images, and the size of the batches does not
    matter. `progress(done)` is called after each batch.

    For the `kl` SAE also document 004's shares, from its loss = MSE + Σ_g penalty(m_g), m the mean activations:

    ```
    class:  MSE without f + Σ_g penalty(m_g, m_f = 0)  −  mean over its images of [MSE + penalty(mean of the code)]
    all:    MSE without f + Σ_g penalty(m_g, m_f = 0)  −  [MSE + Σ_g penalty(m_g)]
    ```

    over the sum of the row. A class's baseline asks its loss of one image at a time: the mean over a batch is then one
    over the image's latents, and one penalty stands against d_sae of them. That difference is the same for every
    latent and draws the shares towards 1 / d_sae. The row of all images is free of it; in both, penalty(0) −
    penalty(m_f) is added to what the error says of f.

    ValueError for an ensemble, for no image at all or none of a class, and for a label that is not among the classes.
    """
    if sae.W_enc.ndim != 2:
        raise ValueError("an ensemble has no single code: choose a member")
    if len(set(classes)) != len(classes):
        raise ValueError(f"the classes must differ, not {list(classes)}")
    W_dec = sae.W_dec
    device, d_sae, known = W_dec.device, len(W_dec), torch.tensor(list(classes), dtype=torch.int64)
    n = torch.zeros(len(known), dtype=torch.float64)
    increase = torch.zeros(len(known), d_sae, dtype=torch.float64)
    total = torch.zeros(len(known), d_sae, dtype=torch.float64)
    single = torch.zeros(len(known), dtype=torch.float64)  # the penalty of each image by itself
    for pictures, labels in parts:
        h = sae.read(pictures.to(device))
        x_hat, acts = sae(h)
        one_hot = _one_hot(labels, known, len(acts)).to(device)
        n += one_hot.sum(0).cpu()
        increase += (one_hot.T @ ablation(acts, x_hat - h, W_dec).double()).cpu()
        acts = acts.double()
        total += (one_hot.T @ acts).cpu()
        if (each := sae.penalty(acts.mean(1))) is not None:
            single += (one_hot.T @ each).cpu()
        if progress:
            progress(int(n.sum()))
    if not n.sum():
        raise ValueError("there is nothing to measure: no image was given")
    if not n.all():
        raise ValueError(f"there is no image of class {', '.join(str(int(c)) for c in known[n == 0])}")
    rows, of_classes = torch.cat([n, n.sum()[None]]), slice(len(known))
    mean_increase = (torch.cat([increase, increase.sum(0)[None]]) / rows[:, None]).numpy()
    means = torch.cat([total, total.sum(0)[None]]) / rows[:, None]
    notebook = None
    penalty, silent = sae.penalty(means), sae.penalty(torch.zeros_like(means))
    if penalty is not None and silent is not None:
        baseline = penalty.sum(1)
        without = baseline[:, None] - penalty + silent
        baseline[of_classes] = single / n
        notebook = _shares(mean_increase + (without - baseline[:, None]).numpy())  # MSE itself cancels
    return Importance(
        dataset=dataset,
        split=split,
        classes=tuple(known.tolist()),
        n=rows.long().numpy(),
        increase=mean_increase,
        mean_acts=means.numpy(),
        notebook=notebook,
    )


def importance(
    sae: SAE,
    pictures: np.ndarray | Tensor,
    labels: np.ndarray | Tensor,
    *,
    dataset: str = "",
    split: str = "",
    progress: Callable[[int, int], None] | None = None,
    batch_size: int = 1000,
) -> Importance:
    """`importance_of` over pictures [N, 784] float32 and their labels [N]; the classes are the labels that occur.

    `progress(done, N)` is called after each batch. ValueError for an ensemble, no image, or unequal lengths.
    """
    if len(pictures) != len(labels):
        raise ValueError(f"there are {len(pictures)} images but {len(labels)} labels")
    if not len(pictures):
        raise ValueError("there is nothing to measure: no image was given")
    of_images = labels.cpu() if isinstance(labels, Tensor) else torch.tensor(labels)  # labels may be read-only
    done = (lambda so_far: progress(so_far, len(pictures))) if progress else None
    return importance_of(
        sae,
        zip(batches(pictures, sae.W_dec.device, batch_size), of_images.split(batch_size), strict=True),
        of_images.unique().tolist(),
        dataset=dataset,
        split=split,
        progress=done,
    )


def _one_hot(labels: Tensor, classes: Tensor, n: int) -> Tensor:
    """[n, classes] float64: 1 at each image's class. ValueError for a label that is not among them."""
    if labels.shape != (n,):
        raise ValueError(f"labels must be [{n}], one for each image, not {list(labels.shape)}")
    labels = labels.cpu()
    one_hot = labels[:, None] == classes
    strange = labels[~one_hot.any(1)]
    if len(strange):
        raise ValueError(f"there is a label {int(strange[0])}, but the classes are {classes.tolist()}")
    return one_hot.double()


def _shares(rows: np.ndarray) -> np.ndarray:
    """Each row over its sum; 0 where that is 0."""
    total = rows.sum(1, keepdims=True)
    return np.divide(rows, total, out=np.zeros_like(rows), where=total != 0)
