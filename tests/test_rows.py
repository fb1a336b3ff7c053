"""What is done to the rows of a dictionary, by hand values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sae_core.datasets import digits as embedded
from sae_core.models.rows import draw_rows, normalise_rows, picture_side, smooth_rows
from sae_core.training.loop import Training, TrainOptions
from sae_core.variants import build
from sae_core.variants.iterated_topk import IteratedTopKConfig


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return embedded.load("train", Path()).x[:300].reshape(-1, 784)


def test_rows_come_to_unit_length_and_a_row_of_zeros_stays() -> None:
    rows = torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, -2.0]])
    normalise_rows(rows)
    assert torch.allclose(rows, torch.tensor([[0.6, 0.8], [0.0, 0.0], [0.0, -1.0]]))


def test_smoothing_by_hand() -> None:
    rows = torch.tensor([[1.0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1.0, 0, 0, 0, 0], [1.0] * 9])
    smooth_rows(rows, 3, 0.1)
    corner = [0.8, 0.1, 0, 0.1, 0, 0, 0, 0, 0]  # two neighbours
    middle = [0, 0.1, 0, 0.1, 0.6, 0.1, 0, 0.1, 0]  # four
    assert torch.allclose(rows, torch.tensor([corner, middle, [1.0] * 9]))


def test_many_rows_are_smoothed_as_one_by_one() -> None:
    rows = torch.randn(1200, 784, generator=torch.Generator().manual_seed(0))
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])
    pictures = torch.nn.functional.pad(rows.view(-1, 1, 28, 28), (1, 1, 1, 1), mode="replicate")
    slow = rows + 0.05 * torch.nn.functional.conv2d(pictures, kernel.view(1, 1, 3, 3)).view(-1, 784)
    smooth_rows(rows, 28, 0.05)
    assert torch.allclose(rows, slow, atol=1e-5)


def test_pictures_are_told_from_other_activations(digits: np.ndarray) -> None:
    noise = torch.randn(500, 784, generator=torch.Generator().manual_seed(0))
    assert picture_side(torch.from_numpy(digits)) == 28
    assert picture_side(noise) == 0
    assert picture_side(noise + 5) == 0, "what all have in common is no likeness of neighbours"
    assert picture_side(torch.from_numpy(digits)[:, :783]) == 0


@pytest.mark.parametrize("tied", [False, True])
def test_rows_are_smoothed_where_pictures_are_read_and_by_so_much_as_asked(digits: np.ndarray, tied: bool) -> None:
    for smooth, pictures in ((0.0, True), (2.0, False), (2.0, True)):
        sae = build("iterated_topk", IteratedTopKConfig(d_sae=32, k=5, smooth=smooth, tied=tied))
        x = torch.from_numpy(digits)
        sae.start(x if pictures else torch.randn(100, 784))
        before = sae.W_enc.detach().clone()
        for step in range(1, 17):
            sae.after_step(step, 1e-3)
        expected = before.t().clone()
        if smooth and pictures:
            for _ in range(2):
                smooth_rows(expected, 28, 8 * 1e-3 * 2.0)
        assert torch.allclose(sae.W_enc.t(), expected, atol=1e-6)
        assert torch.allclose(sae.W_dec.norm(dim=1), torch.ones(32), atol=1e-5)


def test_a_row_is_drawn_to_its_line_by_hand() -> None:
    rows, to = torch.tensor([[3.0, 1.0], [0.0, 2.0], [4.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.6, 0.8]])
    draw_rows(rows, to, 0.5)
    # the third: 4 · .6 = 2.4 along (.6, .8), that is (1.44, 1.92)
    assert torch.allclose(rows, torch.tensor([[1.5, 1.0], [0.0, 2.0], [2.72, 0.96]]))
    draw_rows(rows, to, 1.0)
    assert torch.allclose(rows[:2], torch.tensor([[0.0, 1.0], [0.0, 2.0]]))


@pytest.mark.parametrize("more", [{}, {"smooth": 1.0}, {"tied": True}, {"pull": 30.0}])
@pytest.mark.parametrize("revival", ["aux", "reinit"])
def test_what_hardly_moves_is_neither_read_nor_written(digits: np.ndarray, more: dict[str, Any], revival: str) -> None:
    x = torch.from_numpy(digits)
    sae = build("iterated_topk", IteratedTopKConfig(d_sae=48, k=5, still=0.1, dead_after=200, **more), seed=0)
    options = TrainOptions(epochs=8, batch_size=50, lr=1e-2, revival=revival, revive_every=8)
    logs = list(Training(sae, x, options))
    still = (x.std(0, correction=0) <= 0.1) & (x.std(0, correction=0) > 0)
    assert still.sum() > 50
    assert not sae.W_enc[still].any() and not sae.W_dec[:, still].any()
    assert sae.W_enc[x.std(0, correction=0) > 0.1].any(1).all()
    assert logs[-1].losses["mse"] < logs[0].losses["mse"] / 2
    with torch.no_grad():
        inked = torch.where(still, 1 - x, x)
        assert torch.equal(sae(x).acts, sae(inked).acts), "ink in the margin changes nothing"
        assert torch.allclose(sae(x).x_hat[:, still], x.mean(0)[still].expand(len(x), -1), atol=1e-6)


def test_rows_that_read_are_drawn_to_those_that_write(digits: np.ndarray) -> None:
    x, cosine = torch.from_numpy(digits), {}
    for pull in (0.0, 10.0):
        sae = build("iterated_topk", IteratedTopKConfig(d_sae=32, k=5, pull=pull, smooth=0.0), seed=0)
        list(Training(sae, x, TrainOptions(epochs=8, batch_size=50, lr=1e-2)))
        cosine[pull] = torch.cosine_similarity(sae.W_enc.t(), sae.W_dec, dim=1).mean().item()
    assert cosine[10.0] > cosine[0.0] + 0.05, cosine
