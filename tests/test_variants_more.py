"""Hand values of jumprelu, gated, matryoshka_batch_topk and matching_pursuit; what all variants keep to is in
`test_variants`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sae_core.datasets import load_dataset
from sae_core.measure.metrics import evaluate
from sae_core.models.sae import SAE
from sae_core.store.train_or_load import fitting
from sae_core.training.loop import Training, TrainOptions
from sae_core.variants import build, registry
from sae_core.variants.gated import Gated, GatedConfig
from sae_core.variants.jumprelu import JumpReLU, JumpReLUConfig
from sae_core.variants.matching_pursuit import MatchingPursuit, MatchingPursuitConfig
from sae_core.variants.matryoshka_batch_topk import MatryoshkaBatchTopK, MatryoshkaBatchTopKConfig
from tests.test_variants import D_IN, D_SAE, pictures, small, with_weights

torch.set_num_threads(1)  # models this small only wait for a second thread


def gradients(sae: SAE, x: Tensor, loss: str) -> dict[str, Tensor]:
    """Of one named loss, by parameter; those that have none are left out."""
    sae.zero_grad(set_to_none=True)
    sae.losses(x)[loss].backward()
    return {name: p.grad for name, p in sae.named_parameters() if p.grad is not None}


# ---- jumprelu


def two_latents(**more: Any) -> JumpReLU:
    """W_enc the identity, thresholds 1 and 0.5, rows (1, 0) and (0, 1)."""
    sae = build("jumprelu", JumpReLUConfig(d_in=2, d_sae=2, bandwidth=0.4, **more))
    assert isinstance(sae, JumpReLU)
    unit = [[1.0, 0.0], [0.0, 1.0]]
    with_weights(sae, W_enc=unit, b_enc=[0.0, 0.25], W_dec=unit, b_dec=[0.5, 0.0], log_threshold=[0.0, math.log(0.5)])
    return sae


# pre_acts = x − (.5, 0) + (0, .25): (1.1, .45), (.9, .75), (2, −1)
X = torch.tensor([[1.6, 0.2], [1.4, 0.5], [2.5, -1.25]])


def test_jumprelu_by_hand() -> None:
    sae = two_latents(target=2.0, sparsity=3.0)
    out = sae(X)
    assert torch.allclose(out.acts, torch.tensor([[1.1, 0.0], [0.0, 0.75], [2.0, 0.0]]))
    assert torch.allclose(out.x_hat, torch.tensor([[1.6, 0.0], [0.5, 0.75], [2.5, 0.0]]))
    losses = sae.losses(X)
    assert float(losses["mse"].detach()) == pytest.approx((0.2**2 + 0.9**2 + 0.25**2 + 1.25**2) / 6)
    assert float(losses["sparsity"].detach()) == pytest.approx(3 * (1 / 2 - 1) ** 2), "L0 is 1, half of the target"
    assert float(two_latents(target=0.0, sparsity=3.0).losses(X)["sparsity"].detach()) == pytest.approx(3 * 1)
    select = sae.inference_form().select
    assert select.by == "threshold" and select.thresholds is not None
    assert np.allclose(np.asarray(select.thresholds), [1, 0.5])


def test_the_thresholds_learn_by_what_is_near_them() -> None:
    """Within .2 of them: latent 0 at 1.1 and .9, latent 1 at .45; each counts 1/ε = 2.5."""
    of_l0 = gradients(two_latents(target=0.0, sparsity=3.0), X, "sparsity")
    assert set(of_l0) == {"log_threshold"}, "nothing else learns of a step"
    # ∂L0/∂θ = −2.5 · (2, 1) / 3, times the weight 3, times ∂θ/∂log θ = θ
    assert torch.allclose(of_l0["log_threshold"], torch.tensor([-2.5 * 2 * 1.0, -2.5 * 1 * 0.5]))
    of_mse = gradients(two_latents(target=0.0), X, "mse")
    # x_hat − x: (0, −.2), (−.9, .25), (0, 1.25); ∂mse/∂acts is that / 3, and ∂acts/∂θ = −2.5 θ for what is near
    error, near = torch.tensor([[0, -0.2], [-0.9, 0.25], [0, 1.25]]), torch.tensor([[1.0, 1], [1, 0], [0, 0]])
    theta = torch.tensor([1.0, 0.5])
    assert torch.allclose(of_mse["log_threshold"], theta * (error / 3 * near).sum(0) * -2.5 * theta, atol=1e-6)
    # and the encoder by what is kept alone
    kept = torch.tensor([[1.0, 0], [0, 1], [1, 0]])
    assert torch.allclose(of_mse["b_enc"], (error / 3 * kept).sum(0), atol=1e-6)


def test_jumprelu_comes_to_its_target() -> None:
    for target in (3.0, 7.0):
        sae = build("jumprelu", JumpReLUConfig(d_in=D_IN, d_sae=D_SAE, target=target, sparsity=0.3))
        assert isinstance(sae, JumpReLU)
        for _ in Training(sae, pictures(), TrainOptions(epochs=100, batch_size=20, lr=0.02)):
            pass
        assert float((sae(pictures()).acts != 0).sum(-1).float().mean()) == pytest.approx(target, rel=0.15)
        assert bool((sae.threshold > 0).all()) and float(sae.threshold.detach().std()) > 1e-3, "each has its own"


# ---- gated


def gated_by_hand() -> Gated:
    sae = build("gated", GatedConfig(d_in=2, d_sae=2, l1_coefficient=0.5))
    assert isinstance(sae, Gated)
    with_weights(
        sae,
        W_enc=[[2.0, 0.0], [0.0, 1.0]],
        b_enc=[0.5, -0.5],
        b_gate=[-1.0, 0.25],
        W_dec=[[0.6, 0.8], [0.0, 1.0]],
        b_dec=[1.0, 0.0],
        r_mag=[math.log(2.0), 0.0],
    )
    return sae


def test_gated_by_hand() -> None:
    sae, x = gated_by_hand(), torch.tensor([[3.0, 1.0], [1.5, 0.3], [0.0, -2.0]])
    # seen: (4, 1), (1, .3), (−2, −2); gate = seen / (2, 1) + (−1, .25): (1, 1.25), (−.5, .55), (−2, −1.75)
    # pre_acts = seen + (.5, −.5): (4.5, .5), (1.5, −.2), (−1.5, −2.5): ReLU of those whose gate is open
    out = sae(x)
    assert torch.allclose(out.acts, torch.tensor([[4.5, 0.5], [0.0, 0.0], [0.0, 0.0]]), atol=1e-6)
    assert torch.allclose(sae.gate(sae._pre_acts(x)), torch.tensor([[1, 1.25], [-0.5, 0.55], [-2, -1.75]]), atol=1e-6)
    select = sae.inference_form().select
    assert np.allclose(np.asarray(select.thresholds), [0.5 + 1.0 * 2, -0.5 - 0.25]), "θ = b_enc − b_gate · exp(r_mag)"
    losses = {name: float(loss.detach()) for name, loss in sae.losses(x).items()}
    # x_hat: (1, 0) + 4.5 (.6, .8) + .5 (0, 1) = (3.7, 4.1), and b_dec twice
    assert losses["mse"] == pytest.approx((0.7**2 + 3.1**2 + 0.5**2 + 0.3**2 + 1 + 4) / 3, rel=1e-5)
    assert losses["l1"] == pytest.approx(0.5 * (1 + 1.25 + 0.55) / 3, rel=1e-5)
    # by the gate: (1, 0) + (.6, .8) + 1.25 (0, 1) = (1.6, 2.05);  (1, .55);  (1, 0)
    assert losses["gate"] == pytest.approx((1.4**2 + 1.05**2 + 0.5**2 + 0.25**2 + 1 + 4) / 3, rel=1e-5)


def test_what_the_gate_makes_leaves_the_decoder_alone() -> None:
    sae, x = gated_by_hand(), torch.tensor([[3.0, 1.0], [1.5, 0.3]])
    by_gate, by_code = gradients(sae, x, "gate"), gradients(sae, x, "mse")
    assert "W_dec" not in by_gate and {"W_enc", "b_gate", "r_mag"} <= set(by_gate)
    assert {"W_enc", "b_enc", "W_dec", "b_dec"} <= set(by_code) and "b_gate" not in by_code, "a gate has no slope"


# ---- matryoshka_batch_topk


@pytest.mark.parametrize(
    ("prefixes", "sizes"),
    [
        ("4, 8", [4, 8, 24]),
        ("", [24]),
        ("0.25,0.5", [6, 12, 24]),
        ("3,0.5", [3, 12, 24]),
        ("0.01,0.02,0.99", [1, 24]),
    ],
)
def test_prefixes_are_numbers_or_shares(prefixes: str, sizes: list[int]) -> None:
    assert MatryoshkaBatchTopKConfig(d_sae=24, k=5, prefixes=prefixes).sizes == sizes


@pytest.mark.parametrize("wrong", ["24", "4,4", "8,4", "0", "-3", "30,0.5", "4,nan"])
def test_prefixes_that_do_not_nest_are_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="prefixes must ascend from 1 to below d_sae = 24, not"):
        MatryoshkaBatchTopKConfig(d_sae=24, k=5, prefixes=wrong)


@pytest.mark.parametrize("wrong", ["a", "4;8", "2.5"])
def test_prefixes_that_are_no_numbers_are_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="prefixes must be whole numbers or shares below 1, with commas between them"):
        MatryoshkaBatchTopKConfig(d_sae=24, k=5, prefixes=wrong)


def test_matryoshka_by_hand() -> None:
    sae = build("matryoshka_batch_topk", MatryoshkaBatchTopKConfig(d_in=2, d_sae=3, k=2, prefixes="1,2"))
    assert isinstance(sae, MatryoshkaBatchTopK)
    rows = [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]
    with_weights(sae, W_enc=[[1.0, 0, 0.6], [0, 1.0, 0.8]], b_enc=[0.0] * 3, W_dec=rows, b_dec=[0.5, 0.0]).train()
    x = torch.tensor([[2.5, 1.0], [0.5, 0.5]])
    # x − b_dec: (2, 1), (0, .5); pre_acts (2, 1, 2), (0, .5, .4): the four largest of the batch are 2, 1, 2 and .5
    nested = sae.prefixes(sae.select_batch(sae._pre_acts(x)))
    assert torch.allclose(nested[0], torch.tensor([[2.5, 0.0], [0.5, 0.0]])), "by the first latent"
    assert torch.allclose(nested[1], torch.tensor([[2.5, 1.0], [0.5, 0.5]])), "by the first two"
    assert torch.allclose(nested[2], torch.tensor([[3.7, 2.6], [0.5, 0.5]])), "by all"
    losses = sae.losses(x)
    mse = [(1 + 0.5**2) / 4, 0.0, (1.2**2 + 1.6**2) / 4]
    assert float(losses["mse"].detach()) == pytest.approx(sum(mse) / 3)
    alone = build("matryoshka_batch_topk", MatryoshkaBatchTopKConfig(d_in=2, d_sae=3, k=2, prefixes=""))
    alone.load_state_dict(sae.state_dict())
    plain = build("batch_topk", MatryoshkaBatchTopKConfig(d_in=2, d_sae=3, k=2))
    plain.load_state_dict(sae.state_dict())
    for name, grad in gradients(alone.train(), x, "mse").items():
        assert torch.allclose(grad, gradients(plain.train(), x, "mse")[name], atol=1e-6), "with one it is batch_topk"


def test_the_first_latents_of_matryoshka_reconstruct_by_themselves() -> None:
    def by_the_first(variant: str) -> float:
        sae = small(variant)
        for _ in Training(sae, pictures(), TrainOptions(epochs=60, batch_size=20, lr=0.01)):
            pass
        acts = sae(pictures()).acts
        first = torch.cat([acts[:, :6], torch.zeros_like(acts[:, 6:])], -1)  # a quarter of 24: one of the prefixes
        return float((sae.decode(first) - pictures()).pow(2).mean().detach())

    assert by_the_first("matryoshka_batch_topk") < 0.7 * by_the_first("batch_topk")


# ---- matching_pursuit


def pursuit_by_hand(k: int) -> MatchingPursuit:
    sae = build("matching_pursuit", MatchingPursuitConfig(d_in=2, d_sae=3, k=k))
    assert isinstance(sae, MatchingPursuit)
    with_weights(sae, W_enc=[[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]], b_dec=[1.0, 0.0])
    return sae


def test_matching_pursuit_by_hand() -> None:
    x = torch.tensor([[3.0, 1.0], [0.0, -0.5], [0.0, 1.0]])
    # x − b_dec: (2, 1) → sees (2, 1, 2); (−1, −.5) → (−1, −.5, −1); (−1, 1) → (−1, 1, .2)
    one, two, three = (pursuit_by_hand(k)(x) for k in (1, 2, 3))
    assert one.acts[1:].tolist() == [[0, 0, 0], [0, 1, 0]]
    assert one.acts[0].tolist() == [2, 0, 0], "of equal ones the first"
    # what is left: (0, 1) → (0, 1, .8): latent 1;  of (−1, −.5) nothing is like it;  (−1, 0) → (−1, 0, −.6): nothing
    assert two.acts.tolist() == [[2, 1, 0], [0, 0, 0], [0, 1, 0]] == three.acts.tolist()
    assert torch.allclose(two.x_hat[0], x[0]) and two.x_hat[1].tolist() == [1, 0]
    form = pursuit_by_hand(2).inference_form()
    assert (form.pursuit, form.passes, form.select.k) == (True, 2, 1)
    losses = pursuit_by_hand(1).losses(x)
    assert float(losses["mse"].detach()) == pytest.approx((1 + 1.25 + 1) / 6), "left: (0, 1), (−1, −.5), (−1, 0)"


def slow_pursuit(x: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    """One image [d_in] after the other, by the definition."""
    acts = np.zeros(len(rows))
    for _ in range(k):
        seen = rows @ x
        f = int(seen.argmax())
        acts[f] += max(seen[f], 0)
        x = x - max(seen[f], 0) * rows[f]
    return acts


@pytest.mark.parametrize("n", [3, 40])
def test_matching_pursuit_by_a_slow_reference(n: int) -> None:
    """Of 3 images what is left is looked at again; of 40 the products of rows are made once."""
    sae = small("matching_pursuit")
    assert isinstance(sae, MatchingPursuit) and (sae.passes * n < D_SAE) == (n == 3)
    x = pictures(n)
    sae.start(pictures())
    rows, left = sae.W_dec.detach().double().numpy(), (x - sae.b_dec.detach()).double().numpy()
    expected = np.stack([slow_pursuit(row, rows, 5) for row in left])
    assert np.allclose(sae(x).acts.detach().numpy(), expected, atol=1e-5)
    assert torch.allclose(sae.W_dec.norm(dim=1), torch.ones(D_SAE), atol=1e-6)


def test_the_gradient_of_a_pursuit_goes_through_all_its_picks() -> None:
    x = pictures(6).double()
    sae = small("matching_pursuit").double()
    sae.start(x)
    with torch.no_grad():  # where rows are orthogonal no pick changes another's value
        sae.W_enc += 0.3 * torch.rand(D_IN, D_SAE, generator=torch.Generator().manual_seed(2))

    def loss(W: Tensor, b: Tensor) -> Tensor:
        found: Tensor = torch.func.functional_call(sae, {"W_enc": W, "b_dec": b}, x, strict=False)
        return found

    sae.__dict__["forward"] = lambda x: sae.losses(x)["mse"]
    inputs = (sae.W_enc.detach().clone().requires_grad_(), sae.b_dec.detach().clone().requires_grad_())
    assert torch.autograd.gradcheck(loss, inputs)
    with torch.no_grad():
        acts = sae.encode(x)
        assert float(sae.losses(x)["mse"]) == pytest.approx(float((sae.decode(acts) - x).pow(2).mean()), rel=1e-9)


# ---- what every variant's own recipe makes of few images


@pytest.mark.slow
@pytest.mark.parametrize("variant", sorted(registry()))
def test_no_recipe_collapses_on_the_embedded_digits(variant: str) -> None:
    images, test = load_dataset("digits", "train"), load_dataset("digits", "test")
    cls, x = registry()[variant], torch.tensor(images.x)
    Config: Any = cls.Config
    opts = TrainOptions(**cls.recipe_for(len(x)))
    sae = build(variant, Config(**fitting(cls, images)), seed=opts.seed)
    for _ in Training(sae, x, opts):
        pass
    sae.eval().requires_grad_(False).finish(x)
    assert evaluate(sae, test.x).fvu < 0.3
    found = evaluate(sae, x)
    assert found.fvu < 0.3 and found.dead < 0.5 * sae.config.d_sae, found
    wanted = getattr(sae.config, "k", getattr(sae.config, "target", None))
    if wanted is not None:
        assert found.l0 == pytest.approx(wanted, rel=0.3), "as many are active as was asked for"
