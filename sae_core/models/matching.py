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
def partners(units: Tensor, how: str = MATCHING, known: Known | None = None) -> Tensor:
    """For unit columns [n, d, d_sae] of n models: which of model j belongs to column f of model i, [n, n, d_sae].

    `known` makes it faster where the columns have changed little since it was asked last, and the same.
    """
    n, _, d_sae = units.shape
    found = torch.arange(d_sae, device=units.device).repeat(n, n, 1)
    for i, j in combinations(range(n), 2):
        similarity = units[i].t() @ units[j]
        if how == MATCHING:
            found[i, j] = (known or Known()).assign((i, j), similarity)
            found[j, i] = found[i, j].argsort()
        else:
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
        self._of: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        self.asked = 0
        """how often the Hungarian method was"""

    def assign(self, pair: tuple[int, int], similarity: Tensor) -> Tensor:
        """As `assign` for a square similarity [n, n] of that pair of models, on its device."""
        column, price = self._of.get(pair, (None, similarity.new_zeros(len(similarity))))
        if column is not None and self._raise(price, column, similarity):
            return column
        column = torch.from_numpy(assign(_cpu(similarity))).to(similarity.device)
        self._of[pair] = column, price
        self.asked += 1
        return column

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


def _cpu(similarity: Tensor) -> np.ndarray:
    return np.asarray(similarity.float().cpu().numpy())


def agreement(W: Tensor, shrink: Tensor, partner: Tensor, one_to_one: bool = True) -> Tensor:
    """Mean cosine of partners over the pairs of n models: a scalar; W [n, d, d_sae], shrink [n, 1, d_sae] is 1 / ‖W‖.

    One-to-one partners are each other's, so the gradient of every pair is a sum of columns and needs no scattering:
    as much work as the value itself.
    """
    n, d, d_sae = W.shape
    pairs = n * (n - 1)
    rows, unit = W.mT, (W * shrink).mT
    others = torch.tensor([[j for j in range(n) if j != i] for i in range(n)], device=W.device)
    # [n, d_sae, n − 1]: where in all rows, member by member, the partners of each are
    theirs = (partner.gather(1, others[:, :, None].expand(n, n - 1, d_sae)) + others[:, :, None] * d_sae).mT
    if one_to_one:
        with torch.no_grad():
            table = unit.reshape(n * d_sae, d)
            of_partners = nn.functional.embedding_bag(theirs.reshape(-1, n - 1), table, mode="sum").view(n, d_sae, d)
        once = ((rows * of_partners).sum(-1) * shrink.squeeze(-2)).sum() / (pairs * d_sae)
        return 2 * once - once.detach()  # its value, with the gradient of both ends of every pair
    found = unit.reshape(n * d_sae, d)[theirs]  # [n, d_sae, n − 1, d]
    return (unit.unsqueeze(-2) * found).sum() / (pairs * d_sae)


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
