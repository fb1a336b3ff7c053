"""Where the source documents contradict themselves, and what was made of it, in words."""

from __future__ import annotations

from typing import Any

import numpy as np

from sae_core.documents.ensemble import words as ensemble
from sae_core.documents.hidden_layer import words as hidden_layer
from sae_core.documents.intro import words as intro
from sae_core.documents.report import Entry, show
from sae_core.documents.source import Source


def entries(source: Source) -> list[Entry]:
    """Those of the report's document."""
    document = {"ensemble": ensemble, "intro": intro, "experiment3": hidden_layer}[source.report.name]
    return document.entries(source)


def remarks(source: Source) -> list[str]:
    """Smaller slips of the document, a sentence each."""
    if source.report.name != "intro":
        return []
    return [
        "The document links Gao et al. for BatchTopK; that paper’s TopK keeps k of each image, BatchTopK (Bussmann et "
        "al. 2024) k · B of a batch of B.",
        "Its example cannot run: `dict_dim`, `foward_pass` and a returned name are not defined.",
        "Its overcomplete factor: 12,288 × 4 is 49,152.",
    ]


def compact(value: Any, by_epoch: bool) -> str:
    """A claim's value in a few characters: of a long list its first and last, or its smallest and largest."""
    if isinstance(value, list) and len(value) > 3:
        if by_epoch:
            return f"{show(value[0])} → {show(value[-1])}"
        return f"{show(min(value))} – {show(max(value))}"
    if isinstance(value, list):
        return ", ".join(show(v) for v in value)
    return "–" if isinstance(value, float) and np.isnan(value) else show(value)
