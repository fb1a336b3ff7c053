"""What the documents' claims become when features that are never active are left out of the count."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np

from sae_core.models.matching import assign


class Agreement(NamedTuple):
    """Mean cosines of matched features over the pairs of members."""

    matched: float
    """of the pairs of the matching over all features in which both are ever active"""
    anew: float
    """of a matching among those features alone, as many as the member with fewer has"""
    dead: float
    """of the pairs in which neither is ever active"""
    dead_pairs: float
    """how many those are, a mean over the pairs of members"""


def agreement(rows: np.ndarray, active: np.ndarray) -> Agreement:
    """One-to-one partners among members' decoder rows [members, d_sae, d], told apart by `active` [members, d_sae].

    Without two dead partners `dead` is NaN.
    """
    units = rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)
    matched, anew, dead, counts = [], [], [], []
    for i, j in combinations(range(len(rows)), 2):
        similarity = units[i] @ units[j].T
        partner = assign(similarity)
        cosine = similarity[np.arange(len(similarity)), partner]
        both, neither = active[i] & active[j][partner], ~active[i] & ~active[j][partner]
        matched.append(cosine[both].mean())
        among = similarity[active[i]][:, active[j]]
        among = among if among.shape[0] <= among.shape[1] else among.T
        anew.append(among[np.arange(len(among)), assign(among)].mean())
        counts.append(neither.sum())
        dead += [cosine[neither].mean()] if neither.any() else []
    return Agreement(*(float(np.mean(v)) if v else float("nan") for v in (matched, anew, dead, counts)))
