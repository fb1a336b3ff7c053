"""Features of one model against another's: which belongs to which, and how much two dictionaries agree.

MMCS, "mean max cosine similarity", has two readings: the best partner of each row whatever the others have
(`row-max`, Sharkey et al. 2022), and a one-to-one assignment of largest sum (`matching`, which the program of the
source documents computes under that name). The first is never below the second.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn
from torch.autograd import Function

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
def partners(units: Tensor, how: str = MATCHING, known: Known | None = None) -> Tensor:
    """For unit columns [n, d, d_sae] of n models: which of model j belongs to column f of model i, [n, n, d_sae].

    `known` makes it faster where the columns have changed little since it was asked last, and the same.
    """
    n, _, d_sae = units.shape
    found = torch.arange(d_sae, device=units.device).repeat(n, n, 1)
    pairs = list(combinations(range(n), 2))
    if how == MATCHING:
        columns = (known or Known()).assign({(i, j): units[i].t() @ units[j] for i, j in pairs})
        for i, j in pairs:
            found[i, j], found[j, i] = columns[i, j], columns[i, j].argsort()
        return found
    for i, j in pairs:
        similarity = units[i].t() @ units[j]
        found[i, j], found[j, i] = similarity.argmax(1), similarity.argmax(0)
    return found


class Known:
    """The assignments of before with the prices that prove them best, so that what still holds is not looked for anew.

    An assignment of row f to column a(f) has the largest sum if and only if the columns can be given prices v with

    ```
    similarity[f, a(f)] − v[a(f)]  ≥  similarity[f, j] − v[j]      for all f and j
    ```

    (duality of the assignment problem: no row would rather have another column). Raising the price of each column to
    what some row would give for it ends if the assignment is best, and with the prices of before at once: one pass
    over the similarities instead of a search. If it does not end soon, the Hungarian method is asked.
    """

    SWEEPS = 6
    """how often prices are raised before it is asked"""
    TOLERANCE = 1e-6
    """what a row may lack: float32's rounding of a cosine"""

    def __init__(self) -> None:
        self._of: dict[tuple[int, int], _Assigned] = {}
        self.asked = 0
        """how often the Hungarian method was"""

    def assign(self, similarities: dict[tuple[int, int], Tensor]) -> dict[tuple[int, int], Tensor]:
        """As `assign` for the square similarity [n, n] of each pair of models, on its device; those that are to be
        looked for are so side by side."""
        anew = {pair: s for pair, s in similarities.items() if not self._holds(pair, s)}
        self.asked += len(anew)
        with ThreadPoolExecutor(torch.get_num_threads()) as threads:  # SciPy's method lets others compute meanwhile
            columns = threads.map(lambda s: assign(s.float().cpu().numpy()), anew.values())
        for (pair, s), column in zip(anew.items(), columns, strict=True):
            self._of[pair].becomes(torch.from_numpy(column).to(s.device))
        return {pair: self._of[pair].column for pair in similarities}

    def _holds(self, pair: tuple[int, int], similarity: Tensor) -> bool:
        """Whether the assignment of before is proved best."""
        of, n = self._of.get(pair), len(similarity)
        if of is None or len(of.price) != n:
            self._of[pair] = _Assigned(similarity.new_zeros(0, dtype=torch.long), similarity.new_zeros(n))
            return False
        if of.pause > 0:
            of.pause -= 1
            return False
        return self._raise(of.price, of.column, similarity)

    def _raise(self, price: Tensor, column: Tensor, similarity: Tensor) -> bool:
        """Raise prices in place; whether they prove the assignment."""
        lacks = similarity - similarity.gather(1, column[:, None])
        offers = torch.empty_like(lacks)
        for _ in range(self.SWEEPS):
            wanted = torch.add(lacks, price[column][:, None], out=offers).amax(0)
            if bool((wanted - price).max() <= self.TOLERANCE):
                return True
            torch.maximum(price, wanted, out=price)
        return False


@dataclass
class _Assigned:
    column: Tensor
    price: Tensor
    changed: int = 0
    """times in a row that it was another, up to 16"""
    pause: int = 0
    """so many calls to come raise no price: it will have changed again"""

    def becomes(self, column: Tensor) -> None:
        same = len(self.column) == 0 or torch.equal(column, self.column)
        self.changed = 0 if same else min(self.changed + 1, 16)
        if self.pause == 0:
            self.pause = self.changed
        self.column = column


def agreement(W: Tensor, shrink: Tensor, partner: Tensor, one_to_one: bool = True) -> Tensor:
    """Mean cosine of partners over the pairs of n models: a scalar; W [n, d, d_sae], shrink [n, 1, d_sae] is 1 / ‖W‖.

    One-to-one partners are each other's, so the gradient of every pair is a sum of columns and needs no scattering.
    """
    n, d, d_sae = W.shape
    others = torch.tensor([[j for j in range(n) if j != i] for i in range(n)], device=W.device)
    # [n, d_sae, n − 1]: where in all rows, member by member, the partners of each are
    theirs = (partner.gather(1, others[:, :, None].expand(n, n - 1, d_sae)) + others[:, :, None] * d_sae).mT
    if one_to_one:
        return _OneToOne.apply(W, shrink, theirs)
    unit = (W * shrink).mT
    return (unit.unsqueeze(-2) * unit.reshape(n * d_sae, d)[theirs]).sum() / theirs.numel()


class _OneToOne(Function):
    """`agreement` where partners are each other's: of a row w of direction u, whose partners add up to t, the gradient
    is 2 (t − (u · t) u) / ‖w‖ over the number of cosines, as each is also one of its partner's."""

    @staticmethod
    def forward(ctx: Any, W: Tensor, shrink: Tensor, theirs: Tensor) -> Tensor:
        unit = (W * shrink).mT
        table = unit.reshape(-1, unit.shape[-1])
        t = nn.functional.embedding_bag(theirs.flatten(0, 1), table, mode="sum").view_as(unit)
        cosine = (unit * t).sum(-1, keepdim=True)
        ctx.gradient = t.addcmul_(cosine, unit, value=-1).mul_(shrink.mT * (2 / theirs.numel()))
        return cosine.sum() / theirs.numel()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return (ctx.gradient * grads[0]).mT, None, None


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
