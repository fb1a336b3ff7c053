"""Making the statistics of each latent over a data set."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sae_core.datasets import ImageSet
from sae_core.measure.features import FEW, TOP, FeatureStats
from sae_core.measure.importance import ablation
from sae_core.measure.metrics import batches
from sae_core.models.sae import SAE


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
