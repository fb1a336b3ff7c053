"""Where document 003 contradicts itself."""

from __future__ import annotations

import numpy as np

from sae_core.documents.report import Entry, show
from sae_core.documents.source import Source


def _at(curve: np.ndarray, fvu: float) -> np.ndarray:
    """The point [L0, FVU, …] of a curve that has that FVU."""
    return np.asarray(curve[np.abs(curve[:, 1] - fvu).argmin()], dtype=float)


def entries(s: Source) -> list[Entry]:
    """Each with the numbers of a report."""
    fair = s.claimed("FVU of ReLU + L1 and of BatchTopK")
    of = {"relu_l1": fair.documented, "batch_topk": fair.ours}
    relu, batch = (_at(s[f"curve_{name}"], fvu) for name, fvu in of.items())
    return [
        Entry(
            19,
            "What the L1 coefficient means",
            "Loss = error + λ · L1 of the code.",
            "The error is averaged over the batch and the L1 summed: at a batch of 128, λ is 128 times what it is at a "
            "batch of 1.",
            "Both are averaged, so λ means the same at every batch size. With it ReLU + L1 reaches FVU "
            f"{show(fair.documented)} with {relu[0]:.1f} active latents, BatchTopK {show(fair.ours)} with "
            f"{batch[0]:.1f}.",
        ),
    ]
