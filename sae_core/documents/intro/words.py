"""Where document 003 contradicts itself."""

from __future__ import annotations

from sae_core.documents.report import Entry, show
from sae_core.documents.source import Source


def entries(s: Source) -> list[Entry]:
    """Each with the numbers of a report."""
    fair = s.claimed("FVU of ReLU + L1 and of BatchTopK")
    return [
        Entry(
            19,
            "What the L1 coefficient means",
            "Loss = error + λ · L1 of the code.",
            "The error is averaged over the batch and the L1 summed: at a batch of 128, λ is 128 times what it is at a "
            "batch of 1.",
            f"Both are averaged, so λ means the same at every batch size. With it ReLU + L1 reaches FVU "
            f"{show(fair.documented)}, BatchTopK {show(fair.ours)} at about as many active latents.",
        ),
    ]
