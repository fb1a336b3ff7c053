"""Features of one model against another's: which belongs to which, and how much two dictionaries agree.

MMCS, "mean max cosine similarity", has two readings: the best partner of each row whatever the others have
(`row-max`, Sharkey et al. 2022), and a one-to-one assignment of largest sum (`matching`, which the program of the
source documents computes under that name). The first is never below the second.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

MATCHING, ROW_MAX = "matching", "row-max"


def cosines(a: Tensor, b: Tensor) -> Tensor:
    """Cosine of every row of a [m, d] with every row of b [n, d] → [m, n]; 0 for a row of zeros."""
    return nn.functional.normalize(a, dim=-1) @ nn.functional.normalize(b, dim=-1).t()


def assign(similarity: np.ndarray) -> np.ndarray:
    """The column of each row [m ≤ n] in the one-to-one assignment with the largest sum (Hungarian method)."""
    rows, columns = linear_sum_assignment(similarity, maximize=True)
    assert np.array_equal(rows, np.arange(len(rows)))
    return columns


@torch.no_grad()
def partners(units: Tensor, how: str = MATCHING) -> Tensor:
    """For unit columns [n, d, d_sae] of n models: which of model j belongs to column f of model i, [n, n, d_sae]."""
    n, _, d_sae = units.shape
    found = torch.arange(d_sae, device=units.device).repeat(n, n, 1)
    for i, j in combinations(range(n), 2):
        similarity = units[i].t() @ units[j]
        if how == MATCHING:
            there = torch.from_numpy(assign(similarity.float().cpu().numpy())).to(units.device)
            found[i, j], found[j, i] = there, there.argsort()
        else:
            found[i, j], found[j, i] = similarity.argmax(1), similarity.argmax(0)
    return found


def agreement(W: Tensor, shrink: Tensor, partner: Tensor, one_to_one: bool = True) -> Tensor:
    """Mean cosine of partners over the pairs of n models: a scalar; W [n, d, d_sae], shrink [n, 1, d_sae] is 1 / ‖W‖.

    One-to-one partners are each other's, so the gradient of every pair is a sum of columns and needs no scattering:
    as much work as the value itself.
    """
    n, d, d_sae = W.shape
    ends = [(i, j) for i in range(n) for j in range(n) if i != j]

    def of(units: Tensor, i: int, j: int) -> Tensor:
        return units[j].gather(1, partner[i, j].expand(d, d_sae))

    if one_to_one:
        with torch.no_grad():
            units, theirs = W * shrink, torch.zeros_like(W)
            for i, j in ends:
                theirs[i] += of(units, i, j)
        once = ((W * theirs).sum(-2, keepdim=True) * shrink).sum() / (len(ends) * d_sae)
        return 2 * once - once.detach()  # its value, with the gradient of both ends of every pair
    units = W * shrink
    return torch.stack([(units[i] * of(units, i, j)).sum() for i, j in ends]).sum() / (len(ends) * d_sae)


@torch.no_grad()
def mmcs(a: Tensor, b: Tensor, how: str = MATCHING) -> float:
    """Mean cosine of matched rows of a [m, d] and b [n, d]; for `row-max` the mean of both directions."""
    similarity = cosines(a, b)
    if how == ROW_MAX:
        return float(similarity.amax(1).mean() + similarity.amax(0).mean()) / 2
    if similarity.shape[0] > similarity.shape[1]:
        similarity = similarity.t()
    array = similarity.cpu().numpy()
    return float(array[np.arange(len(array)), assign(array)].mean())
