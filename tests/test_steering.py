"""Edits of a code: by hand, over every registered SAE, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from sae_core.sae import SAE, build, registry
from sae_core.steering import MODES, edit_code, slider_bounds, slider_range, steer


@pytest.fixture(params=sorted(registry()))
def sae(request: pytest.FixtureRequest) -> SAE:
    return build(request.param, registry()[request.param].Config(d_sae=64, k=8)).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def x() -> Tensor:
    return torch.rand(5, 784, generator=torch.Generator().manual_seed(0))


class ByHand(SAE):
    """Two inputs, two latents: acts = x, x_hat = acts @ [[1, 2], [0, 3]] + [10, 20]."""

    variant = "by_hand"

    def __init__(self) -> None:
        super().__init__(SAE.Config(d_in=2, d_sae=2))
        self.W_dec = torch.tensor([[1.0, 2.0], [0.0, 3.0]])
        self.b_dec = torch.tensor([10.0, 20.0])

    def encode(self, x: Tensor) -> Tensor:
        return x.clone()


class Doubled(ByHand):
    """Reads twice the picture and shows half of what it has."""

    def read(self, x: Tensor) -> Tensor:
        return 2 * x

    def picture(self, h: Tensor) -> Tensor:
        return h / 2


def test_by_hand() -> None:
    x = torch.tensor([[1.0, 2.0]])
    plain = steer(ByHand(), x, {1: 5.0}, "plain")
    assert plain.acts.tolist() == [[1, 2]]
    assert plain.edited.tolist() == [[1, 5]]
    assert plain.x_hat.tolist() == [[11, 28]]
    assert plain.steered.tolist() == [[11, 37]]
    assert steer(ByHand(), x, {1: 5.0}).steered.tolist() == [[1, 11]]  # x + (37 − 28) on the second pixel


def test_an_sae_that_reads_something_else() -> None:
    x = torch.tensor([[1.0, 2.0]])
    result = steer(Doubled(), x, {0: 0.0})
    assert result.acts.tolist() == [[2, 4]]
    assert result.x_hat.tolist() == [[6, 18]]  # half of [12, 36]
    assert result.steered.tolist() == [[0, 0]]  # half of [2, 4] − 2 · [1, 2]


def test_nothing_edited_is_the_input_bit_by_bit(sae: SAE, x: Tensor) -> None:
    assert torch.equal(steer(sae, x, {}).steered, sae.picture(sae.read(x)))
    now = steer(sae, x[:1], {}).acts
    assert torch.equal(steer(sae, x[:1], {f: float(now[0, f]) for f in range(64)}).steered, x[:1])
    assert torch.equal(steer(sae, x, {}, "plain").steered, steer(sae, x, {}).x_hat)


def test_an_edit_reaches_its_feature_only(sae: SAE, x: Tensor) -> None:
    result = steer(sae, x, {3: 1.5, 40: 0.0})
    assert (result.edited[:, 3] == 1.5).all()
    assert (result.edited[:, 40] == 0).all()
    others = [f for f in range(64) if f not in (3, 40)]
    assert torch.equal(result.edited[:, others], result.acts[:, others])


def test_the_change_is_the_edited_rows(sae: SAE, x: Tensor) -> None:
    result = steer(sae, x, {3: 1.5})
    wanted = (1.5 - result.acts[:, 3:4]) * sae.W_dec[3]
    torch.testing.assert_close(result.steered - x, wanted, atol=1e-5, rtol=1e-4)
    plain = steer(sae, x, {3: 1.5}, "plain")
    torch.testing.assert_close(plain.steered - plain.x_hat, wanted, atol=1e-5, rtol=1e-4)


def test_the_code_given_stays_as_it_was() -> None:
    acts = torch.zeros(2, 4)
    assert edit_code(acts, {1: 2.0})[:, 1].tolist() == [2, 2]
    assert not acts.any()


def test_numpy_numbers_are_taken() -> None:
    assert edit_code(torch.zeros(1, 4), {np.int64(1): np.float32(2)})[0, 1] == 2


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ({4: 1.0}, "there is no feature 4: this SAE has 0 to 3"),
        ({-1: 1.0}, "there is no feature -1"),
        ({1.0: 1.0}, "there is no feature 1.0"),
        ({True: 1.0}, "there is no feature True"),
        ({2: float("nan")}, "feature 2 cannot be set to nan"),
        ({2: float("inf")}, "feature 2 cannot be set to inf"),
        ({2: 1e300}, "feature 2 cannot be set to 1e"),  # infinite as float32
    ],
)
def test_what_cannot_be_applied_is_said(edits: dict[int, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        edit_code(torch.zeros(1, 4), edits)


def test_an_unknown_mode_is_said(x: Tensor) -> None:
    with pytest.raises(ValueError, match=f"one of {', '.join(MODES)}, not 'both'"):
        steer(build("topk", None), x, {}, "both")


STATS = SimpleNamespace(minimum=np.array([0, -2, 0, 0]), maximum=np.array([4.0, 3.0, 0.0, 8.0]))


@pytest.mark.parametrize(
    ("feature", "now", "wanted"),
    [
        (0, 1.0, (0, 4)),
        (0, 5.0, (0, 5)),  # further than on the split
        (1, 1.0, (-2, 3)),
        (1, -2.5, (-2.5, 3)),
        (2, 0.0, (0, 4)),  # never active: the median of 4, 3 and 8
        (2, 6.0, (0, 6)),
    ],
)
def test_slider_range(feature: int, now: float, wanted: tuple[float, float]) -> None:
    assert slider_range(STATS, feature, now) == wanted  # type: ignore[arg-type]


@pytest.mark.parametrize(("now", "wanted"), [(3.0, (0, 6)), (-3.0, (-6, 0)), (0.0, (0, 1))])
def test_slider_range_without_statistics(now: float, wanted: tuple[float, float]) -> None:
    assert slider_range(None, 0, now) == wanted


def test_a_model_without_a_single_active_feature_has_sliders() -> None:
    stats = SimpleNamespace(minimum=np.zeros(3), maximum=np.zeros(3))
    low, high = slider_bounds(stats)  # type: ignore[arg-type]
    assert low.tolist() == [0, 0, 0]
    assert high.tolist() == [1, 1, 1]
