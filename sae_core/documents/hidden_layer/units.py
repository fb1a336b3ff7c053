"""Document 004: what the classifier's neurons and the SAEs' features respond to, and how full the space is."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sae_core.documents.running import Run
from sae_core.documents.source import SCRAMBLED
from sae_core.measure import geometry
from sae_core.measure.metrics import batches
from sae_core.measure.spread import effective
from sae_core.models.sae import SAE

BINS = 40
"""of a unit's histogram, beside the one of exact zeros"""


@torch.no_grad()
def measure(run: Run, saes: dict[float, SAE], x: Tensor, labels: Tensor, where: dict[str, Any]) -> None:
    """What each of the 49 neurons and of the 98 features of both SAEs responds to, on the test images.

    Arrays "units/KIND/…", KIND "neurons", "rho0.1" or "rho0.999": `classes` [units, 11] mean activation over each
    class's images, `histogram` [units, 1 + BINS] shares of the images at exactly 0 and in each bin up to `top`.
    """
    first = next(iter(saes.values()))
    hidden = torch.cat([first.read(part) for part in batches(x, "cpu")])
    kinds = {"neurons": hidden} | {
        f"rho{rho:g}": torch.cat([sae(part).acts for part in hidden.split(1000)]) for rho, sae in saes.items()
    }
    responds, arrays = {}, run.report.arrays
    for kind, acts in kinds.items():
        values, top = acts.numpy(), float(acts.max())
        means = np.stack([values[labels.numpy() == c].mean(0) for c in range(SCRAMBLED + 1)], 1)
        counts = [np.histogram(v[v != 0], BINS, (0, top))[0] for v in values.T]
        histogram = np.concatenate([(values == 0).sum(0)[:, None], np.stack(counts)], 1) / len(values)
        arrays |= {f"units/{kind}/classes": means, f"units/{kind}/histogram": histogram}
        arrays[f"units/{kind}/top"] = np.array([top])
        responds[kind] = effective(means)
    medians = {kind: float(np.nanmedian(v)) for kind, v in responds.items()}
    alone = {kind: int((v < 2).sum()) for kind, v in responds.items()}
    run.claim(
        "a neuron is not a concept: classes that a unit responds to alike, median over the units",
        "in words",
        medians["neurons"],
        [medians[f"rho{rho:g}"] for rho in saes],
        note="Exp of the entropy of a unit's mean activation by class: 1 is one class, 11 all alike. Documented: the "
        f"{hidden.shape[1]} neurons. Ours: the 98 features at ρ = 0.1 and at 0.999. Those that respond to fewer "
        f"than 2: neurons {alone['neurons']}, features {' and '.join(str(alone[f'rho{rho:g}']) for rho in saes)}.",
        **where,
    )
    packed = {}
    for rho, sae in saes.items():
        cosines = np.abs(geometry.cosines(sae.W_dec.numpy()))[np.triu_indices(sae.W_dec.shape[0], 1)]
        packed[rho] = float(np.median(cosines)), float(cosines.max())
    run.claim(
        "superposition: more features than neurons, so that their directions overlap: median |cosine| of two, "
        "at ρ = 0.1 and at ρ = 0.999",
        "in words",
        None,
        [median for median, _ in packed.values()],
        split="weights",
        n=int(first.W_dec.shape[0]),
        note=f"98 directions in 49 dimensions cannot all be at right angles (cosine 0). The most alike two: "
        f"{', '.join(f'{most:.3f} at ρ = {rho:g}' for rho, (_, most) in packed.items())}.",
    )
