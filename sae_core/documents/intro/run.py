"""Document 003: what sparsity is for, how L1 can be cheated, and ReLU + L1 against BatchTopK."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from sae_core.device import resolve
from sae_core.documents.running import Run
from sae_core.measure import geometry
from sae_core.measure.metrics import Metrics, batches, evaluate, l0
from sae_core.models.sae import SAE
from sae_core.store.checkpoints import load
from sae_core.training.loop import Training, TrainOptions
from sae_core.variants import build, networks
from sae_core.variants.batch_topk import BatchTopKConfig
from sae_core.variants.relu_l1 import ReluL1Config

RELU, BATCH = "relu-l1-1024", "batch-topk-1024-k50"
CURVE = ((20, 1.2), (100, 0.23))
"""more points of the comparison: k of `batch_topk`, l1_coefficient of `relu_l1` that comes near it"""


def run(run: Run) -> None:
    """Train or find the two bundled models, train the cheats, and compare."""
    relu = load(run.model("relu_l1", ReluL1Config(), RELU).path)
    batch = load(run.model("batch_topk", BatchTopKConfig(), BATCH).path)
    at_50 = {"relu_l1": evaluate(relu, run.test.x), "batch_topk": evaluate(batch, run.test.x)}
    points = [at_50]
    for k, coefficient in CURVE[: 0 if run.quick else None]:
        points.append(
            {
                "relu_l1": evaluate(_train(run, "relu_l1", ReluL1Config(l1_coefficient=coefficient)), run.test.x),
                "batch_topk": evaluate(_train(run, "batch_topk", BatchTopKConfig(k=k)), run.test.x),
            }
        )
    points.sort(key=lambda p: p["batch_topk"].l0)
    arrays = run.report.arrays
    for name in ("relu_l1", "batch_topk"):
        arrays[f"curve_{name}"] = np.array([[p[name].l0, p[name].fvu, p[name].pearson, p[name].dead] for p in points])
    dense = _train(run, "relu_l1", ReluL1Config(l1_coefficient=0.0))
    free = _train(run, "relu_l1", ReluL1Config(unit_norm=False))
    no_l1, cheat = _look(run, dense), _look(run, free)
    held = _look(run, relu)
    arrays["decoder_norms_free"] = free.W_dec.norm(dim=-1).numpy()
    arrays["decoder_norms_held"] = relu.W_dec.norm(dim=-1).numpy()
    with torch.no_grad():
        each = torch.cat([l0(batch(x).acts) for x in batches(run.test.x, "cpu")]).numpy()
    arrays["l0_of_images"] = np.bincount(each)
    arrays["l0_by_digit"] = np.array([each[run.test.labels == c].mean() for c in range(10)])
    for name, sae in (("dense", dense), ("sparse", relu)):
        rows = sae.row_pictures()[1]
        best = np.argsort(-np.linalg.norm(rows, axis=1), kind="stable")[:100]
        arrays[f"rows_{name}"] = rows[best].astype(np.float16)
    b, r = at_50["batch_topk"], at_50["relu_l1"]
    run.claim(
        "without a sparsity term the identity wins: FVU at L1 = 0",
        "in words",
        no_l1.metrics.fvu,
        held.metrics.fvu,
        note=f"Documented: L1 = 0, where {no_l1.metrics.l0:.0f} of 1,024 latents are active. Ours: with L1, "
        f"{held.metrics.l0:.0f} active.",
    )
    run.claim(
        "without a sparsity term features are no parts of digits: energy in the best 10×10 window, median",
        "in words",
        no_l1.locality,
        held.locality,
        split="weights",
        n=1024,
        note="Documented: L1 = 0. Ours: with L1.",
    )
    run.claim(
        "L1 can be cheated by scale: L1 of the code, decoder rows free against held at unit length",
        "in words",
        cheat.l1,
        held.l1,
        note=f"Free rows grow to {cheat.norm:.2f} (median), and {cheat.metrics.l0:.0f} latents are active at FVU "
        f"{cheat.metrics.fvu:.3f}; held: {held.metrics.l0:.0f} at {held.metrics.fvu:.3f}.",
    )
    run.claim(
        f"FVU of ReLU + L1 and of BatchTopK at {_actives(r.l0, b.l0)} active latents, "
        + ("1 epoch" if run.quick else f"{networks()['relu_l1'].recipe['epochs']} epochs"),
        None,
        r.fvu,
        b.fvu,
        note=f"Documented: ReLU + L1 (L0 {r.l0:.1f}, Pearson {r.pearson:.4f}). Ours: BatchTopK (L0 {b.l0:.1f}, Pearson "
        f"{b.pearson:.4f}).",
    )
    run.claim(
        "active latents of an image under BatchTopK: fewest and most",
        None,
        [int(each.min()), int(each.max())],
        [round(float(v), 1) for v in arrays["l0_by_digit"]],
        note="Ours: the mean by digit 0–9. k is an average: an image takes as many as it needs.",
    )


class Look(NamedTuple):
    """What is compared of one trained model."""

    metrics: Metrics
    l1: float
    """mean over test images of Σ_f |acts|"""
    norm: float
    """median length of a decoder row"""
    locality: float
    """median share of a decoder row's energy in its best 10×10 window"""


@torch.no_grad()
def _look(run: Run, sae: SAE) -> Look:
    total = sum(float(sae(x).acts.abs().sum()) for x in batches(run.test.x, "cpu"))
    rows = sae.row_pictures()[1]
    return Look(
        evaluate(sae, run.test.x),
        total / len(run.test),
        float(np.median(np.linalg.norm(rows, axis=1))),
        float(np.median(geometry.locality(rows))),
    )


def _train(run: Run, variant: str, config: object) -> SAE:
    """A model that is only compared and not kept, by the recipe of its variant."""
    where = resolve(run.device)
    options = {**networks()[variant].recipe, "seed": run.report.seed, **({"epochs": 1} if run.quick else {})}
    sae = build(variant, config, seed=run.report.seed).to(where)  # type: ignore[arg-type]
    x = torch.tensor(run.train.x).to(where)
    for log in Training(sae, x, TrainOptions(**options)):
        run.on_stage(f"{variant}, {_few(config)}", log.step, log.steps)
    sae.round_weights()
    sae.eval().requires_grad_(False).finish(x)
    return sae.cpu()


def _actives(one: float, other: float) -> str:
    """Two L0 in words: "about 50" where they are near each other."""
    return "about 50" if max(abs(one - 50), abs(other - 50)) < 2 else f"{one:.0f} and {other:.0f}"


def _few(config: object) -> str:
    """What of a config differs from its default, in words."""
    values, standard = vars(config), vars(type(config)())
    return ", ".join(f"{k} {v}" for k, v in values.items() if v != standard[k]) or "as bundled"
