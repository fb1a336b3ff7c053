"""Whose feature is whose: the assignment, both readings of MMCS, and the fast gradient beside the slow one."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sae_core.measure import geometry
from sae_core.models.matching import MATCHING, ROW_MAX, Known, agreement, assign, cosines, mmcs, partners


def dictionaries(n: int = 3, d: int = 7, d_sae: int = 6, seed: int = 0) -> Tensor:
    """W [n, d, d_sae] of n models; columns are features."""
    return torch.randn(n, d, d_sae, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def shrink_of(W: Tensor) -> Tensor:
    return 1 / W.norm(dim=-2, keepdim=True)


def slow_best_sum(similarity: np.ndarray) -> float:
    """The largest sum over all one-to-one assignments, each tried."""
    rows = range(len(similarity))
    return max(sum(similarity[i, p[i]] for i in rows) for p in permutations(rows))


def slow_agreement(W: Tensor, partner: Tensor) -> Tensor:
    """Mean over ordered pairs and features of the cosine with the partner, a column at a time."""
    n, _, d_sae = W.shape
    found = []
    for i in range(n):
        for j in range(n):
            for f in range(d_sae) if i != j else ():
                a, b = W[i, :, f], W[j, :, partner[i, j, f]]
                found.append((a @ b) / (a.norm() * b.norm()))
    return torch.stack(found).mean()


def test_cosines_by_hand() -> None:
    a, b = torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([[0.0, 2.0], [-3.0, -4.0]])
    assert torch.allclose(cosines(a, b), torch.tensor([[0.8, -1.0], [0.0, 0.0]]))


def test_cosines_are_those_of_numpy() -> None:
    W = dictionaries(2)
    a, b = W[0].t(), W[1].t()
    assert torch.allclose(cosines(a, b).double(), torch.from_numpy(geometry.cosines(a.numpy(), b.numpy())), atol=1e-6)
    assert np.array_equal(geometry.cosines(a.numpy()), geometry.cosines(a.numpy(), a.numpy()))


@pytest.mark.parametrize("seed", range(5))
def test_an_assignment_has_the_largest_sum(seed: int) -> None:
    similarity = np.random.default_rng(seed).normal(size=(6, 6))
    found = assign(similarity)
    assert sorted(found) == list(range(6))
    assert similarity[np.arange(6), found].sum() == pytest.approx(slow_best_sum(similarity))


def test_a_permuted_dictionary_is_found_again() -> None:
    W = dictionaries(1)[0]
    order = torch.randperm(6, generator=torch.Generator().manual_seed(1))
    both = torch.stack([W, 2.5 * W[:, order]])  # lengths do not count
    for how in (MATCHING, ROW_MAX):
        found = partners(both * shrink_of(both), how)
        assert torch.equal(order[found[0, 1]], torch.arange(6))
        assert torch.equal(found[1, 0], order)
        assert mmcs(both[0].t(), both[1].t(), how) == pytest.approx(1)
        assert float(agreement(both, shrink_of(both), found, how == MATCHING)) == pytest.approx(1)


def test_row_max_is_never_below_the_matching() -> None:
    W = dictionaries(4, d=5, d_sae=9)
    for i, j in combinations(range(4), 2):
        assert mmcs(W[i].t(), W[j].t(), ROW_MAX) >= mmcs(W[i].t(), W[j].t(), MATCHING)


def test_both_readings_of_mmcs_by_hand() -> None:
    a = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    b = torch.tensor([[1.0, 0.0], [0.0, -1.0]])
    # cosines: [[1, 0], [.6, −.8]]; one to one: max(1 − .8, 0 + .6) / 2; row-max: ((1 + .6) + (1 + 0)) / 2 / 2
    assert mmcs(a, b, MATCHING) == pytest.approx(0.3)
    assert mmcs(a, b, ROW_MAX) == pytest.approx(0.65)


def test_dictionaries_of_two_sizes_are_matched_from_the_smaller() -> None:
    rows = dictionaries(1)[0].t()
    assert mmcs(rows, rows[2:5]) == pytest.approx(1)
    assert mmcs(rows[2:5], rows) == pytest.approx(1)


def test_what_still_holds_is_proved_and_what_does_not_is_looked_for() -> None:
    known, similarity = Known(), torch.tensor([[0.9, 0.8], [0.7, 0.1]])

    def of(similarity: Tensor, pair: tuple[int, int] = (0, 1)) -> list[int]:
        return known.assign({pair: similarity})[pair].tolist()

    # 0.8 + 0.7 against 0.9 + 0.1: row 0 gives up the column that it likes best
    assert of(similarity) == [1, 0] and known.asked == 1
    assert of(similarity) == [1, 0] and known.asked == 1
    similarity[1, 1] = 0.59  # 0.9 + 0.59 is still less, by 0.01
    assert of(similarity) == [1, 0] and known.asked == 1
    similarity[1, 1] = 0.61
    assert of(similarity) == [0, 1] and known.asked == 2
    assert of(torch.eye(2).flip(0), (0, 2)) == [1, 0] and known.asked == 3, "another pair"
    assert of(similarity) == [0, 1] and known.asked == 4, "one that changed is not proved at once"
    assert of(similarity) == [0, 1] and known.asked == 4
    assert of(torch.eye(3)) == [0, 1, 2] and known.asked == 5, "of another size"
    assert of(torch.eye(3)) == [0, 1, 2] and known.asked == 5


@pytest.mark.parametrize("far", [1e-4, 1e-3, 1e-2, 1e-1])
def test_assignments_that_follow_each_other_are_those_of_a_search(far: float) -> None:
    generator, known = torch.Generator().manual_seed(0), Known()
    a, b = (torch.randn(120, 30, generator=generator) for _ in range(2))
    for _ in range(60):
        a, b = a + far * torch.randn(120, 30, generator=generator), b + far * torch.randn(120, 30, generator=generator)
        similarity = cosines(a, b)
        assert known.assign({(0, 1): similarity})[0, 1].tolist() == assign(similarity.numpy()).tolist()
    assert known.asked <= 40 if far < 1e-3 else known.asked >= 2, known.asked


def test_members_that_train_have_the_partners_of_a_search() -> None:
    W, known = dictionaries(), Known()
    for _ in range(30):
        W = W + 0.01 * torch.randn(W.shape, generator=torch.Generator().manual_seed(1), dtype=W.dtype)
        units = W * shrink_of(W)
        assert torch.equal(partners(units, MATCHING, known), partners(units))


@pytest.mark.parametrize("how", [MATCHING, ROW_MAX])
def test_agreement_and_its_gradient_are_those_of_the_slow_way(how: str) -> None:
    W = dictionaries().requires_grad_()
    partner = partners((W * shrink_of(W)).detach(), how)
    fast = agreement(W, shrink_of(W), partner, how == MATCHING)
    (fast_gradient,) = torch.autograd.grad(fast, W)
    slow = slow_agreement(W, partner)
    (slow_gradient,) = torch.autograd.grad(slow, W)
    assert torch.allclose(fast, slow)
    assert torch.allclose(fast_gradient, slow_gradient)


def test_agreement_is_mmcs_averaged_over_the_pairs() -> None:
    W = dictionaries()
    for how in (MATCHING, ROW_MAX):
        pairs = [mmcs(W[i].t(), W[j].t(), how) for i, j in combinations(range(3), 2)]
        found = agreement(W, shrink_of(W), partners(W * shrink_of(W), how), how == MATCHING)
        assert float(found) == pytest.approx(np.mean(pairs))


def test_the_gradient_brings_members_together() -> None:
    W = nn.Parameter(dictionaries().float())
    optimizer = torch.optim.Adam([W], lr=0.05)
    first = None
    for _ in range(60):
        shrink = shrink_of(W)
        value = agreement(W, shrink, partners((W * shrink).detach()))
        first = float(value) if first is None else first
        optimizer.zero_grad()
        (1 - value).backward()
        optimizer.step()
    assert first is not None and float(value) > first + 0.2
