"""What limits a dictionary, by hand values and against a search over every choice."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sae_core.cli import main
from sae_core.datasets import load_dataset
from sae_core.measure import limits
from sae_core.store.checkpoints import load
from sae_core.variants import build
from sae_core.variants.topk import TopKConfig

D = torch.tensor([[1.0, 0, 0], [0.6, 0.8, 0], [0, 0, 2.0], [0, 0, 0]])
C = torch.tensor([0.0, 0.0, 1.0])


def best(x: Tensor, rows: list[int]) -> np.ndarray:
    """The least squared distance from x to what these rows span."""
    found, *_ = np.linalg.lstsq(D[rows].T.double().numpy(), (x - C).double().numpy(), rcond=None)
    return np.asarray(((D[rows].T.double().numpy() @ found - (x - C).double().numpy()) ** 2).sum())


def test_refitting_by_hand() -> None:
    x = torch.tensor([[2.0, 4.0, 1.0], [3.0, 5.0, 7.0], [1.0, 1.0, 1.0]])
    acts = torch.tensor([[0.5, 0.5, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 0]])
    # the first: 4 = .8 z1, 2 = z0 + .6 z1; the second: 7 = 1 + 2 z2
    expected = torch.tensor([[-1.0, 5.0, 0, 0], [0, 0, 3.0, 0], [0, 0, 0, 0]])
    assert torch.allclose(limits.refit(x, acts, D, C), expected, atol=1e-5)


def test_refitting_latents_that_are_the_same_or_empty_shares_what_they_add() -> None:
    twins = torch.tensor([[1.0, 0], [1.0, 0], [0.0, 0]])
    codes = limits.refit(torch.tensor([[4.0, 0]]), torch.tensor([[1.0, 1.0, 1.0]]), twins, torch.zeros(2))
    assert torch.allclose(codes, torch.tensor([[2.0, 2.0, 0.0]]))


def test_a_pursuit_by_hand() -> None:
    x = torch.tensor([[2.0, 4.0, 1.0], [0.3, 0.0, 9.0], [5.0, 5.0, 5.0]])
    acts = torch.tensor([[1.0, 0, 0, 0], [1.0, 1.0, 0, 0], [0, 0, 0, 0]])  # one, two and none
    # the first: along row 1 lie .6 · 2 + .8 · 4 = 4.4; the second: row 2 at length 1 has 8, then row 0 has .3
    expected = torch.tensor([[0, 4.4, 0, 0], [0.3, 0, 4.0, 0], [0, 0, 0, 0]])
    assert torch.allclose(limits.omp(x, acts, D, C), expected, atol=1e-5)


def test_no_choice_of_one_is_better_than_the_pursuits_and_no_value_than_the_refitted() -> None:
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    for k in (1, 2):
        acts = torch.zeros(40, 4)
        acts[:, :k] = 1.0
        refitted, pursued = (f(x, acts, D, C) @ D + C for f in (limits.refit, limits.omp))
        of_refitted, of_pursued = ((made - x).double().pow(2).sum(1).numpy() for made in (refitted, pursued))
        assert np.allclose(of_refitted, [best(one, list(range(k))) for one in x], atol=1e-5)
        least = np.array([min(best(one, list(rows)) for rows in combinations(range(3), k)) for one in x])
        assert (of_pursued >= least - 1e-5).all()
        if k == 1:
            assert np.allclose(of_pursued, least, atol=1e-5)


def test_better_values_leave_less_and_a_model_is_measured_as_it_is_used() -> None:
    x = np.abs(np.random.default_rng(0).standard_normal((300, 784))).astype(np.float32) / 4
    sae = build("topk", TopKConfig(d_sae=64, k=6), seed=1).eval()
    heard: list[tuple[int, int]] = []
    found = limits.measure(sae, x, lambda what, done, of: heard.append((done, of)))
    h = torch.from_numpy(x)
    with torch.no_grad():
        out = sae(h)
        refitted = limits.refit(h, out.acts, sae.W_dec, sae.b_dec) @ sae.W_dec + sae.b_dec
    variance = (h - h.mean(0)).double().pow(2).sum()
    assert found.fvu == pytest.approx(float((out.x_hat - h).double().pow(2).sum() / variance), rel=1e-5)
    assert found.fvu_refit == pytest.approx(float((refitted - h).double().pow(2).sum() / variance), rel=1e-5)
    assert found.fvu_omp < found.fvu_refit < found.fvu
    assert (found.n, found.l0) == (300, 6.0)
    assert heard == [(0, 300), (250, 300)]


def test_the_documents_model_and_the_iterated_one(mnist_dir: Path) -> None:
    x = load_dataset("mnist", "test", mnist_dir).x[:100]
    for name in ("iterated-topk-1024-k20", "tied-topk-1024-k50"):
        found = limits.measure(load(name), x)
        assert found.fvu_refit < found.fvu
        assert found.l0 == pytest.approx(20 if "k20" in name else 50)


def test_the_command_says_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["limits", "strokes-512-k20", "--dataset", "digits", "--images", "30", "--json"]
    assert main(asked) == 0
    said = json.loads(capsys.readouterr().out)
    assert set(said) == {"l0", "fvu", "fvu_refit", "fvu_omp", "n", "split"}
    assert (said["split"], said["n"]) == ("digits/test", 30)
    assert said["fvu_omp"] < said["fvu"]
    assert main([*asked[:5], "0"]) == 1
    assert "at least one image" in capsys.readouterr().err
