"""The sparse training step is the dense one: same losses, gradients and weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from sae_core.models import sparse
from sae_core.models.sae import SAE
from sae_core.models.sparse import ByLatent, Pairs, Passes
from sae_core.training.loop import Training, TrainOptions
from sae_core.variants import build, registry

torch.set_num_threads(1)
D_IN, D_SAE, K = 30, 40, 6
CASES: list[tuple[str, dict[str, Any]]] = [
    ("topk", {}),
    ("topk", {"shrink": 0.0, "aux_weight": 0.0}),
    ("batch_topk", {}),
    ("tied_topk", {}),
    ("tied_topk", {"members": 3, "match_every": 2}),
    ("iterated_topk", {"passes": 1}),
    ("iterated_topk", {"passes": 3}),
    ("iterated_topk", {"passes": 3, "tied": True}),
    ("iterated_topk", {"passes": 4, "step": 0.7}),
]


def images(n: int = 96) -> Tensor:
    g = torch.Generator().manual_seed(0)
    return (torch.rand(n, 8, generator=g, dtype=torch.float64) ** 3) @ torch.rand(8, D_IN, generator=g).double()


def model(variant: str, more: dict[str, Any], by_pairs: bool) -> SAE:
    Config: Any = registry()[variant].Config
    config = Config(d_in=D_IN, d_sae=D_SAE, k=K, dead_after=64, **more)
    sae = build(variant, config, seed=1).double()
    sae.sparse_step = by_pairs
    return sae


def trained(sae: SAE, steps: int = 100) -> list[dict[str, float]]:
    """The losses of each step; the check for float32 is passed by, as float64 shows that only rounding differs."""
    sae.__dict__["_check"] = lambda x: None
    opts = TrainOptions(epochs=20, batch_size=16, lr=0.01, revival="aux")
    losses = []
    for log in Training(sae, images(), opts, log_every=1):
        losses.append(log.losses)
        if log.step == steps:
            break
    return losses


@pytest.mark.parametrize(("variant", "more"), CASES)
def test_a_hundred_steps_by_pairs_give_the_weights_of_the_dense_step(variant: str, more: dict[str, Any]) -> None:
    dense, pairs = model(variant, more, False), model(variant, more, True)
    asked: list[Tensor] = []
    choose = pairs.pairs

    def ask(pre_acts: Tensor) -> Pairs:
        asked.append(pre_acts)
        return choose(pre_acts)

    pairs.__dict__["pairs"] = ask
    ours, theirs = trained(pairs), trained(dense)
    assert len(asked) == 100 * pairs.passes * more.get("members", 1), "it went by pairs"
    assert any(step.get("aux", 0) > 0 for step in theirs) or more.get("aux_weight") == 0.0, "dead latents were there"
    for a, b in zip(ours, theirs, strict=True):
        assert a.keys() == b.keys()
        assert all(a[name] == pytest.approx(b[name], rel=1e-9, abs=1e-12) for name in a)
    for (name, a), b in zip(pairs.state_dict().items(), dense.state_dict().values(), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-10), name
    assert torch.equal(pairs.idle, dense.idle)


def slow(value: Tensor, latent: Tensor, image: Tensor, rows: Tensor, n: int) -> Tensor:
    """out[image] += value · rows[latent], one pair after the other."""
    out = torch.zeros(n, rows.shape[1], dtype=rows.dtype)
    for v, f, i in zip(value, latent, image, strict=True):
        out[i] += v * rows[f]
    return out


@pytest.mark.parametrize("ragged", [False, True])
def test_sums_over_pairs_by_a_slow_reference(ragged: bool) -> None:
    g = torch.Generator().manual_seed(2)
    pre_acts, rows, x = (torch.randn(*s, generator=g, dtype=torch.float64) for s in ((7, 9), (9, 5), (7, 5)))
    if ragged:
        kept = pre_acts > 0.4
        kept[3] = False  # an image without any
        pairs = Pairs.where(kept)
        assert torch.equal(pairs.dense(pre_acts[kept]), torch.where(kept, pre_acts, 0))
    else:
        pairs = Pairs.of(pre_acts.topk(4).indices, 9)
    value = pre_acts.flatten()[pairs.flat]
    assert torch.allclose(pairs.by_image(value, rows), slow(value, pairs.latent, pairs.image, rows, 7))
    expected = slow(value, pairs.image, pairs.latent, x, 9)
    assert torch.allclose(ByLatent([pairs]).sums([value], x), expected)
    twice = ByLatent([pairs, pairs]).sums([value, 3 * value], torch.cat([x, x.flip(0)]))
    assert torch.allclose(twice, expected + slow(3 * value, pairs.image, pairs.latent, x.flip(0), 9))
    assert pairs.active(torch.where(pairs.latent == 2, 0, value)).tolist() == [
        f for f in range(9) if f != 2 and f in pairs.latent
    ]
    assert torch.allclose(pairs.sums(value), slow(value, pairs.image, pairs.latent, torch.ones(7, 1).double(), 9)[:, 0])
    one_by_one = torch.stack([x[i] @ rows[f] for i, f in zip(pairs.image, pairs.latent, strict=True)])
    assert torch.allclose(pairs.products(x, rows), one_by_one)


@pytest.mark.parametrize("variant", ["topk", "batch_topk", "tied_topk", "iterated_topk"])
def test_a_batch_may_be_one_image(variant: str) -> None:
    x, found = images(1), []
    for by_pairs in (True, False):
        sae = model(variant, {}, by_pairs)
        losses = sae.losses(x)
        sum(losses.values(), torch.zeros(())).backward()
        found.append([p.grad for p in sae.parameters()])
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("of_x", [False, True])
def test_the_gradients_are_those_of_numbers(n: int, tied: bool, of_x: bool) -> None:
    g = torch.Generator().manual_seed(3)
    shapes = ((4, 5), (5,), (7, 5), (7,), (7, 5), (7,))
    x, c, W, b, D, scale = (torch.randn(*s, generator=g, dtype=torch.float64).requires_grad_() for s in shapes)
    x.requires_grad_(of_x)

    def choose(pre_acts: Tensor) -> Pairs:
        return Pairs.of(pre_acts.topk(3).indices, 7)

    def through(x: Tensor, c: Tensor, W: Tensor, b: Tensor, D: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        how = Passes(choose, n, step=0.3, relu=True, dead=lambda active: torch.tensor([1, 4, 6]), aux_k=2)
        found = sparse.autoencode(x, W, b, None if tied else D, how, scale if tied else None, c)
        return found.x_hat + 0 * (D.sum() + scale.sum()), found.e_hat

    assert torch.autograd.gradcheck(through, (x, c, W, b, D, scale))
