"""What is done to the rows of a dictionary, by hand values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sae_core.datasets import digits as embedded
from sae_core.models.rows import normalise_rows, picture_side, smooth_rows
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
