"""What every registered SAE keeps to, and the hand values of the two that are here."""

from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from sae_core.models import matching
from sae_core.models.codes import keep_topk, to_sparse
from sae_core.models.forms import InferenceForm, Selection
from sae_core.models.sae import SAE
from sae_core.store.checkpoints import load, save
from sae_core.store.plan import Plan
from sae_core.training.loop import Training, TrainOptions
from sae_core.variants import build, registry
from sae_core.variants.batch_topk import BatchTopK
from sae_core.variants.kl import KL, KLConfig
from sae_core.variants.relu_l1 import ReluL1Config
from sae_core.variants.tied_topk import CONSISTENCY, TiedTopK, TiedTopKConfig
from sae_core.variants.topk import TopK, TopKConfig

torch.set_num_threads(1)  # models this small only wait for a second thread
D_IN, D_SAE = 36, 24
ALL = sorted(registry())


def small(variant: str, seed: int = 3) -> SAE:
    """A small model of that variant; of a variant that has k, with k = 5."""
    Config: Any = registry()[variant].Config
    more = {"k": 5} if "k" in Config.__dataclass_fields__ else {}
    return build(variant, Config(d_in=D_IN, d_sae=D_SAE, **more), seed=seed)


def pictures(n: int = 40, seed: int = 0) -> Tensor:
    """[n, D_IN] in [0, 1], half of it black, made of a few shared patterns."""
    g = torch.Generator().manual_seed(seed)
    patterns = torch.rand(8, D_IN, generator=g) * (torch.rand(8, D_IN, generator=g) > 0.6)
    return (torch.rand(n, 8, generator=g).pow(3) @ patterns).clamp(0, 1)


def trained(variant: str) -> SAE:
    """A model after some steps, rounded and ready as a loaded one is."""
    sae = small(variant)
    for _ in Training(sae, pictures(), TrainOptions(epochs=5, batch_size=8, lr=0.01)):
        pass
    sae.round_weights()
    sae.eval().requires_grad_(False)
    sae.finish(pictures())
    return sae


def plan_of(sae: SAE) -> Plan:
    return Plan(sae.variant, sae.config, TrainOptions(), "made-up", "train", 40, "0" * 12)


def test_the_variants_of_the_documents_are_registered() -> None:
    assert {"tied_topk", "topk", "relu_l1", "batch_topk", "kl"} <= set(ALL)
    with pytest.raises(ValueError, match=r"no SAE called 'nonsense'; there is .*topk"):
        build("nonsense")


@pytest.mark.parametrize("variant", ALL)
def test_forward_is_decode_of_encode(variant: str) -> None:
    sae, x = trained(variant), pictures()
    out = sae(x)
    assert out.acts.shape == (40, D_SAE) and out.x_hat.shape == (40, D_IN)
    assert torch.equal(out.acts, sae.encode(x))
    assert torch.equal(out.x_hat, sae.decode(sae.encode(x)))
    assert torch.allclose(out.x_hat, out.acts @ sae.W_dec + sae.b_dec)
    assert sae.W_enc.shape == (D_IN, D_SAE) and sae.W_dec.shape == (D_SAE, D_IN)
    assert torch.equal(sae.picture(sae.read(x)), x)


@pytest.mark.parametrize("variant", ALL)
def test_save_then_load_gives_the_same_bits(variant: str, tmp_path: Path) -> None:
    sae, x = trained(variant), pictures()
    save(sae, plan_of(sae), tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.config == sae.config
    for before, after in zip(sae(x), again(x), strict=True):
        assert torch.equal(before, after)
    assert not again.training and not again(x).x_hat.requires_grad


@pytest.mark.parametrize("variant", ALL)
def test_the_loss_falls_on_a_repeated_batch(variant: str) -> None:
    logs = list(Training(small(variant), pictures(16), TrainOptions(epochs=60, batch_size=16, lr=0.01), log_every=1))
    assert len(logs) == 60
    assert logs[-1].losses["mse"] < 0.5 * logs[0].losses["mse"]


@pytest.mark.parametrize("variant", ALL)
def test_a_code_does_not_depend_on_its_batch_mates(variant: str) -> None:
    sae, x = trained(variant), pictures()
    whole = sae(x).acts
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1))
    shuffled = torch.empty_like(whole)
    shuffled[order] = sae(x[order]).acts
    alone = torch.cat([sae(row[None]).acts for row in x])
    for other in (shuffled, alone):  # a product of another size may round otherwise
        assert torch.equal(other != 0, whole != 0)
        assert torch.allclose(other, whole, atol=1e-5)


def test_a_selection_keeps_what_it_says() -> None:
    pre_acts = np.array([[3.0, -1.0, 2.0, 2.0], [-4.0, -2.0, 0.5, -3.0]])
    thresholds = np.array([3.0, -2.0, 0.0, 2.5], np.float32)
    for select, codes in (
        (Selection("topk", relu=False, k=2), [[3, 0, 2, 0], [0, -2, 0.5, 0]]),
        (Selection("topk", relu=True, k=2), [[3, 0, 2, 0], [0, 0, 0.5, 0]]),
        (Selection("all", relu=False), pre_acts),
        (Selection("all", relu=True), [[3, 0, 2, 2], [0, 0, 0.5, 0]]),
        (Selection("threshold", relu=False, thresholds=thresholds), [[0, -1, 2, 0], [0, 0, 0.5, 0]]),
        (Selection("threshold", relu=True, thresholds=thresholds), [[0, 0, 2, 0], [0, 0, 0.5, 0]]),
    ):
        assert np.array_equal(select(pre_acts), np.array(codes)), select


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("by", ["topk", "all", "threshold"])
def test_a_selection_in_torch_is_that_in_numpy(by: Literal["topk", "all", "threshold"], relu: bool) -> None:
    pre_acts = torch.randn(50, D_SAE, generator=torch.Generator().manual_seed(0))  # no ties
    thresholds = torch.linspace(-2, 2, D_SAE) if by == "threshold" else None
    select = Selection(by, relu, k=20 if by == "topk" else 0, thresholds=thresholds)
    acts = select.on(pre_acts)
    assert np.array_equal(acts.numpy(), select(pre_acts.numpy()))
    assert bool((acts < 0).any()) != relu
    pre_acts.requires_grad_()
    select.on(pre_acts).sum().backward()
    assert pre_acts.grad is not None
    assert torch.equal(pre_acts.grad != 0, acts != 0), "what is kept has the gradient"
    assert torch.equal(select.on(torch.stack([pre_acts, -pre_acts]))[0], acts), "also with a dimension of members"


def test_a_form_that_cannot_be_computed_is_refused() -> None:
    W, b, D, c = np.zeros((2, 3)), np.zeros(3), np.zeros((3, 2)), np.zeros(2)
    everything = Selection("all", relu=True)
    with pytest.raises(ValueError, match="looks at least once, not 0 times"):
        InferenceForm(W, b, D, c, everything, passes=0)
    for thresholds in (np.zeros(2, np.float32), np.zeros(3)):
        with pytest.raises(ValueError, match="a threshold for each of 3 latents"):
            InferenceForm(W, b, D, c, Selection("threshold", relu=True, thresholds=thresholds))
    with pytest.raises(ValueError, match="by topk cannot have k = 0"):
        Selection("topk", relu=True)
    with pytest.raises(ValueError, match="belong to a selection by threshold"):
        Selection("threshold", relu=True)
    with pytest.raises(ValueError, match="not 'relu'"):
        Selection("relu", relu=True)  # type: ignore[arg-type]


def test_some_features_keep_their_own_thresholds() -> None:
    rng = np.random.default_rng(0)
    W, b, D, c = (rng.standard_normal(s).astype(np.float32) for s in ((4, 6), 6, (6, 4), 4))
    form = InferenceForm(W, b, D, c, Selection("threshold", relu=False, thresholds=rng.random(6).astype(np.float32)))
    h = rng.standard_normal((50, 4))
    assert np.allclose(form.only([4, 1]).encode(h), form.encode(h)[:, [4, 1]])


@pytest.mark.parametrize("variant", ALL)
def test_the_inference_form_is_the_model(variant: str) -> None:
    sae, x = trained(variant), pictures()
    form = sae.inference_form()
    for array, shape in ((form.W, (D_IN, D_SAE)), (form.b, (D_SAE,)), (form.D, (D_SAE, D_IN)), (form.c, (D_IN,))):
        assert array.shape == shape and array.dtype == np.float32
    out = sae(x)
    codes = form.encode(x.numpy())
    x_hat = form.decode(codes)
    assert np.array_equal(codes != 0, (out.acts != 0).numpy())
    assert (codes != 0).any()
    assert np.allclose(codes, out.acts.numpy(), atol=1e-5)
    assert np.allclose(x_hat, out.x_hat.numpy(), atol=1e-5)


@pytest.mark.parametrize("variant", ALL)
def test_a_sparse_code_holds_the_same_as_the_dense(variant: str) -> None:
    sae, x = trained(variant), pictures()
    acts = sae(x).acts
    indices, values = sae.sparse_code(x)
    assert indices.shape == values.shape == (40, int((acts != 0).sum(-1).max()))
    assert torch.equal(torch.zeros_like(acts).scatter_add(-1, indices, values), acts)
    assert bool((values.abs().diff(dim=-1) <= 0).all()), "the largest magnitude comes first"


def test_a_sparse_code_is_padded_with_zeros() -> None:
    acts = torch.tensor([[0.0, 0.0, 2.0, 0.0], [0.5, 0.0, -3.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    indices, values = to_sparse(acts)
    assert indices.tolist() == [[2, 0, 0], [2, 3, 0], [0, 0, 0]]
    assert values.tolist() == [[2.0, 0.0, 0.0], [-3.0, 1.0, 0.5], [0.0, 0.0, 0.0]]
    assert to_sparse(acts[2:]).values.shape == (1, 0)
    assert to_sparse(acts[:0]).values.shape == (0, 0)


@pytest.mark.parametrize("variant", ALL)
def test_wrong_input_is_refused_in_words(variant: str) -> None:
    sae = small(variant)
    good = pictures(3)
    for call in (sae, sae.sparse_code):
        with pytest.raises(ValueError, match=r"reads \[N, 36\], not \[3, 35\]"):
            call(good[:, 1:])
        with pytest.raises(ValueError, match=r"not \[36\]"):
            call(good[0])
        with pytest.raises(ValueError, match=r"torch\.uint8; divide 8-bit pixels by 255"):
            call((good * 255).to(torch.uint8))
        with pytest.raises(ValueError, match="float32"):
            call(good.double())
        with pytest.raises(ValueError, match="torch tensor, not ndarray"):
            call(good.numpy())  # type: ignore[arg-type]
        for bad in (float("nan"), float("inf")):
            with pytest.raises(ValueError, match="NaN or infinite"):
                call(torch.where(good == good.max(), bad, good))
    with pytest.raises(ValueError, match="no member 1"):
        sae.member(1)
    assert sae.member(0) is sae


@pytest.mark.parametrize("variant", ALL)
def test_rounded_weights_are_float16_and_stay_so(variant: str) -> None:
    sae = small(variant)
    before = {name: p.detach().clone() for name, p in sae.named_parameters()}
    sae.round_weights()
    for name, p in sae.named_parameters():
        assert np.array_equal(p.detach().numpy(), before[name].numpy().astype(np.float16).astype(np.float32))
    once = [p.detach().clone() for p in sae.parameters()]
    sae.round_weights()
    assert all(torch.equal(a, b) for a, b in zip(once, sae.parameters(), strict=True))


@pytest.mark.parametrize("variant", ALL)
@pytest.mark.parametrize("bad", [7e4, float("inf"), float("nan")])
def test_weights_that_float16_cannot_hold_are_refused(variant: str, bad: float, tmp_path: Path) -> None:
    sae = small(variant)
    with torch.no_grad():
        sae.W_enc[0, 0] = bad
    with pytest.raises(ValueError, match="diverged"):
        sae.round_weights()
    with pytest.raises(ValueError, match="round_weights"):
        save(sae, plan_of(sae), tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("variant", ALL)
def test_saving_what_was_not_rounded_is_refused(variant: str, tmp_path: Path) -> None:
    sae = small(variant)
    with pytest.raises(ValueError, match="W_enc is not rounded"):
        save(sae, plan_of(sae), tmp_path / "model")


@pytest.mark.parametrize("variant", ALL)
def test_the_seed_alone_decides_the_first_weights(variant: str) -> None:
    torch.manual_seed(5)
    first = small(variant, seed=3).state_dict()
    after_one = torch.rand(())
    second = small(variant, seed=3).state_dict()
    other = small(variant, seed=4).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["W_enc"], other["W_enc"])
    torch.manual_seed(5)
    assert torch.equal(torch.rand(()), after_one), "building a model leaves torch's own generator alone"


@pytest.mark.parametrize("variant", ALL)
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"d_sae": 0}, "d_sae must be at least 1"),
        ({"d_sae": 4, "k": 5}, "k must be at most d_sae = 4, not 5"),
        ({"k": 0}, "k must be at least 1"),
        ({"d_in": 3.5}, "d_in must be int, not 3.5"),
        ({"d_in": True}, "d_in must be int, not True"),
    ],
)
def test_a_config_names_what_is_wrong(variant: str, wrong: dict[str, float], says: str) -> None:
    Config: Any = registry()[variant].Config
    if not set(wrong) <= set(Config.__dataclass_fields__):
        pytest.skip(f"{variant} has no {', '.join(wrong)}")
    with pytest.raises(ValueError, match=says):
        Config(**wrong)


# ---- top-k


def slow_topk(row: list[float], k: int) -> list[float]:
    """The k largest stay, of equal ones the first; the rest is 0."""
    order = sorted(range(len(row)), key=lambda i: -row[i])  # sorted() is stable
    return [v if i in order[:k] else 0.0 for i, v in enumerate(row)]


@pytest.mark.parametrize("k", [1, 3, 7, 12])
def test_topk_by_a_slow_reference(k: int) -> None:
    x = torch.randn(200, 12, generator=torch.Generator().manual_seed(k))  # about half negative, no ties
    x[:20] = -x[:20].abs() - 0.1  # nothing but negatives: the k largest of them stay
    expected = torch.tensor([slow_topk(row, k) for row in x.tolist()])
    assert torch.equal(keep_topk(x, k), expected)
    assert bool(((keep_topk(x, k) != 0).sum(-1) == k).all())
    assert bool((keep_topk(x[:20], k) <= 0).all())


@pytest.mark.parametrize("k", [1, 3, 7, 12])
def test_topk_with_ties_keeps_the_same_values(k: int) -> None:
    x = torch.randint(-3, 4, (200, 12), generator=torch.Generator().manual_seed(k)).float()
    kept = keep_topk(x, k)
    for row, mine in zip(x.tolist(), kept.tolist(), strict=True):
        assert sorted(mine) == sorted(slow_topk(row, k))  # which of several equal ones is open, how many is not
        assert all(m in (0.0, v) for m, v in zip(mine, row, strict=True))


# ---- hand values


def with_weights(sae: SAE, **weights: list) -> SAE:
    with torch.no_grad():
        for name, value in weights.items():
            getattr(sae, name).copy_(torch.tensor(value))
    return sae.eval()


def test_tied_topk_by_hand() -> None:
    sae = with_weights(
        build("tied_topk", TiedTopKConfig(d_in=2, d_sae=2, k=1)), W_enc=[[3.0, 0.0], [4.0, -2.0]], b_enc=[0.5, -1.0]
    )
    assert torch.allclose(sae.W_dec, torch.tensor([[0.6, 0.8], [0.0, -1.0]]), atol=2**-11)  # rounded: float16
    assert sae.W_dec[0, 0] == np.float32(np.float16(0.6))
    out = sae(torch.tensor([[1.0, 1.0], [-1.0, 0.0], [-1.0, -1.0]]))
    # pre_acts: (3+4+.5, −2−1), (−3+.5, 0−1), (−3−4+.5, 2−1); the larger stays, be it negative
    assert out.acts.tolist() == [[7.5, 0.0], [0.0, -1.0], [0.0, 1.0]]
    assert torch.allclose(out.x_hat, torch.tensor([[4.5, 6.0], [0.0, 1.0], [0.0, -1.0]]), atol=2e-3)
    x = torch.tensor([[1.0, 1.0]])
    assert sae.train().losses(x)["mse"].item() == pytest.approx((3.5**2 + 5.0**2) / 2, abs=1e-4)


def test_topk_by_hand() -> None:
    sae = with_weights(
        build("topk", TopKConfig(d_in=2, d_sae=2, k=1)),
        W_enc=[[1.0, 0.0], [0.0, -2.0]],
        b_enc=[0.5, -1.0],
        W_dec=[[0.6, 0.8], [0.0, -1.0]],
        b_dec=[1.0, 0.5],
    )
    out = sae(torch.tensor([[2.0, 1.5], [-1.0, 1.0], [0.0, -1.5]]))
    # x − b_dec: (1, 1), (−2, .5), (−1, −2); pre_acts: (1.5, −3), (−1.5, −2), (−.5, 3); ReLU of the larger
    assert out.acts.tolist() == [[1.5, 0.0], [0.0, 0.0], [0.0, 3.0]]
    assert torch.allclose(out.x_hat, torch.tensor([[1.9, 1.7], [1.0, 0.5], [1.0, -2.5]]))
    assert sae.inference_form().b.tolist() == [-0.5, 0.0]  # b_enc − b_dec @ W_enc
    losses = sae.losses(torch.tensor([[2.0, 1.5]]))
    assert losses["mse"].item() == pytest.approx((0.1**2 + 0.2**2) / 2)
    assert "aux" not in losses
    sae.revival = "aux"
    assert sae.losses(torch.tensor([[2.0, 1.5]]))["aux"].item() == 0, "nothing is dead"


def test_the_auxiliary_loss_by_hand() -> None:
    sae = with_weights(
        build("topk", TopKConfig(d_in=2, d_sae=2, k=1, aux_weight=0.5, dead_after=1)),
        W_enc=[[1.0, 0.0], [0.0, 1.0]],
        b_enc=[0.0, 0.0],
        W_dec=[[1.0, 0.0], [0.0, 1.0]],
        b_dec=[0.25, 0.25],
    ).train()
    sae.revival = "aux"
    # x − b_dec = (2, 1): latent 0 is active, latent 1 is dead; x_hat = (2.25, .25), residual (0, 1).
    # e_hat = 1 · (0, 1), without b_dec: exactly the residual. With b_dec it would miss by .25 in both pixels.
    assert sae.losses(torch.tensor([[2.25, 1.25]]))["aux"].item() == pytest.approx(0, abs=1e-12)
    # x − b_dec = (2, −1): the dead latent's pre-activation is negative, e_hat = 0, residual (0, −1)
    assert sae.losses(torch.tensor([[2.25, -0.75]]))["aux"].item() == pytest.approx(0.5 * 0.5)


def test_the_auxiliary_loss_revives_dead_latents() -> None:
    x, weak = pictures(64), 12

    def alive(aux_weight: float) -> tuple[int, int]:
        """How many of the weak latents any image activates, before and after training."""
        config = TopKConfig(d_in=D_IN, d_sae=D_SAE, k=2, dead_after=64, aux_weight=aux_weight)
        sae = build("topk", config, seed=0)
        training = Training(sae, x, TrainOptions(epochs=150, batch_size=16, lr=0.003, revival="aux"))
        with torch.no_grad():  # after the training has set its first weights
            sae.W_enc[:, :weak] *= 0.1
            sae.b_enc[:weak] = 0.01  # positive, so that they can learn, but not among the k largest
        before = int((sae(x).acts[:, :weak] != 0).any(0).sum())
        for _ in training:
            pass
        return before, int((sae(x).acts[:, :weak] != 0).any(0).sum())

    before, after = alive(aux_weight=0.0)
    assert before == 0 and after <= 1
    before, after = alive(aux_weight=TopKConfig().aux_weight)
    assert before == 0 and after >= 4


def test_idle_counts_images_since_the_last_activity() -> None:
    sae = build("topk", TopKConfig(d_in=2, d_sae=2, k=1))
    assert isinstance(sae, TopK)
    with_weights(sae, W_enc=[[1.0, 0.0], [0.0, 1.0]], b_enc=[0.0, 0.0]).train()
    sae.losses(torch.tensor([[1.0, 0.0]] * 3))
    sae.losses(torch.tensor([[1.0, 0.0]] * 4))
    assert sae.idle.tolist() == [0, 7]
    sae.losses(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    assert sae.idle.tolist() == [0, 0]
    assert "idle" not in sae.state_dict(), "part of a training, not of the model"


def test_decoder_rows_have_unit_length_after_every_step() -> None:
    sae = small("topk")
    for _ in Training(sae, pictures(), TrainOptions(epochs=3, batch_size=8, lr=0.05), log_every=1):
        assert torch.allclose(sae.W_dec.norm(dim=-1), torch.ones(D_SAE), atol=1e-6)
    tied = trained("tied_topk")
    assert torch.allclose(tied.W_dec.norm(dim=-1), torch.ones(D_SAE), atol=1e-3)
    assert torch.equal(tied.W_dec, tied.W_dec.half().float())


def test_the_first_weights_are_as_documented() -> None:
    tied, topk = small("tied_topk"), small("topk")
    assert torch.allclose(tied.W_enc.T @ tied.W_enc, torch.eye(D_SAE), atol=1e-5), "orthogonal columns"
    assert not tied.b_enc.any()
    assert torch.equal(topk.W_enc.T, topk.W_dec)
    x = pictures()
    x[:, 4] = 0
    topk.start(x)
    assert torch.equal(topk.b_dec, x.mean(0))
    assert torch.equal(topk.W_enc.T, topk.W_dec)
    assert torch.allclose(topk.W_dec.norm(dim=-1), torch.ones(D_SAE))
    assert not topk.W_dec[:, 4].any(), "a pixel that is never lit has no gradient: it must not keep noise"


# ---- an ensemble of tied_topk


def ensemble(members: int = 3) -> TiedTopK:
    sae = build("tied_topk", TiedTopKConfig(d_in=D_IN, d_sae=D_SAE, k=5, members=members, consistency="none"), seed=7)
    assert isinstance(sae, TiedTopK)
    return sae


def test_members_trained_side_by_side_are_as_each_trained_alone() -> None:
    x, opts = pictures(), TrainOptions(epochs=4, batch_size=8, lr=0.01)
    together = ensemble()
    alone = [together.member(i) for i in range(3)]
    assert not torch.equal(alone[0].W_enc, alone[1].W_enc)
    for sae in (together, *alone):
        for _ in Training(sae, x, opts):
            pass
    out = together(x)
    assert out.x_hat.shape == (3, 40, D_IN) and out.acts.shape == (3, 40, D_SAE)
    for i, one in enumerate(alone):
        assert torch.allclose(together.W_enc[i], one.W_enc, atol=2e-4)
        assert torch.allclose(out.x_hat[i], one(x).x_hat, atol=2e-3)
        assert torch.allclose(together.member(i)(x).x_hat, out.x_hat[i], atol=1e-5)


def test_the_loss_of_an_ensemble_is_the_sum_of_its_members() -> None:
    together, x = ensemble(), pictures()
    expected = sum(together.member(i).losses(x)["mse"].item() for i in range(3))
    assert together.losses(x)["mse"].item() == pytest.approx(expected, rel=1e-5)


def test_an_ensemble_says_that_a_member_must_be_chosen() -> None:
    together = ensemble()
    for index in (-1, 3):
        with pytest.raises(ValueError, match=f"no member {index}: this ensemble has 0 to 2"):
            together.member(index)
    with pytest.raises(ValueError, match="ensemble of 3 has no single code: choose a member"):
        together.inference_form()
    assert together.member(2).inference_form().W.shape == (D_IN, D_SAE)


# ---- what holds an ensemble together


def held(how: str, seed: int = 7, **more: Any) -> TiedTopK:
    config = TiedTopKConfig(d_in=D_IN, d_sae=D_SAE, k=5, members=3, consistency=how, consistency_warmup=0, **more)
    sae = build("tied_topk", config, seed=seed)
    assert isinstance(sae, TiedTopK)
    return sae.train()


def slow_losses(sae: TiedTopK, x: Tensor) -> Tensor:
    """The documented loss, member by member and pair by pair, from decode(encode(x)) and the decoder's own rows."""
    config, total, terms = sae.config, torch.zeros(()), []
    acts, rows = sae.encode(x), sae.W_dec
    for i in range(3):
        total = total + (acts[i] @ rows[i] - x).pow(2).mean()
    for i, j in combinations(range(3), 2):
        similarity = rows[i] @ rows[j].T
        if config.consistency == "matching":
            column = matching.assign(similarity.detach().numpy())
            terms.append(1 - similarity[torch.arange(D_SAE), column].mean())
        elif config.consistency == "row-max":
            terms.append(1 - (similarity.amax(1).mean() + similarity.amax(0).mean()) / 2)
        elif config.consistency == "representation":
            terms.append((acts[i] - acts[j]).pow(2).mean())
    return total + config.consistency_weight * (torch.stack(terms).mean() if terms else torch.zeros(()))


@pytest.mark.parametrize("how", CONSISTENCY)
def test_the_fast_losses_and_gradients_of_an_ensemble_are_those_of_the_slow_way(how: str) -> None:
    sae, x = held(how, consistency_weight=3.0), pictures()
    slow = slow_losses(sae, x)
    wanted = torch.autograd.grad(slow, [sae.W_enc, sae.b_enc])
    fast = torch.stack(list(sae.losses(x).values())).sum()
    found = torch.autograd.grad(fast, [sae.W_enc, sae.b_enc])
    assert float(fast.detach()) == pytest.approx(float(slow.detach()), rel=1e-5)
    for a, b in zip(found, wanted, strict=True):
        assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("how", CONSISTENCY)
def test_consistency_brings_its_own_measure_down(how: str) -> None:
    x, opts = pictures(), TrainOptions(epochs=30, batch_size=20, lr=0.01)

    def after(weight: float) -> float:
        sae = held(how if weight else "none", consistency_weight=weight)
        for _ in Training(sae, x, opts):
            pass
        if how == "representation":
            acts = sae.encode(x)
            return float(torch.stack([(acts[i] - acts[j]).pow(2).mean() for i, j in combinations(range(3), 2)]).mean())
        pairs = combinations(range(3), 2)
        return 1 - float(np.mean([matching.mmcs(sae.W_dec[i], sae.W_dec[j], how) for i, j in pairs]))

    if how == "none":
        assert "consistency" not in held(how).losses(x)
    else:
        assert after(1.0) < 0.8 * after(0.0)


def test_consistency_warms_up_as_half_a_cosine() -> None:
    config = TiedTopKConfig(d_in=D_IN, d_sae=D_SAE, k=5, members=2, match_every=1000)
    sae, x = build("tied_topk", config), pictures()
    assert isinstance(sae, TiedTopK)
    found = []
    for _ in range(103):
        found.append(float(sae.losses(x)["consistency"].detach()))
        sae.after_step(1, 1e-3)
    full = found[100]
    assert found[0] == 0 and found[50] == pytest.approx(full / 2, rel=1e-4) and found[102] == pytest.approx(full)
    assert found[25] == pytest.approx(full * 0.5 * (1 + math.cos(math.pi * 0.75)), rel=1e-4)


def test_partners_are_looked_for_every_so_many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    real = matching.partners
    sae = held("matching", match_every=4)

    def looking(units: Tensor, how: str, known: matching.Known) -> Tensor:
        looks.append(int(cast("Tensor", sae.step)))
        return real(units, how, known)

    monkeypatch.setattr(matching, "partners", looking)
    for _ in Training(sae, pictures(), TrainOptions(epochs=2, batch_size=8, lr=0.01)):
        pass
    assert looks == [0, 4, 8]


def test_an_ensemble_goes_on_where_it_was_with_its_partners() -> None:
    x, opts = pictures(), TrainOptions(epochs=2, batch_size=8, lr=0.01)
    whole = held("matching", match_every=7)
    for _ in Training(whole, x, opts, log_every=1):
        pass
    first = Training(held("matching", match_every=7), x, opts, log_every=1)
    for _ in range(5):
        next(first)
    sae = held("matching", seed=1, match_every=7)
    second = Training(sae, x, opts, log_every=1)
    second.restore(first.state())
    for _ in second:
        pass
    assert torch.equal(sae.W_enc, whole.W_enc)
    assert not {"step", "partner", "idle"} & set(sae.state_dict()), "parts of a training, not of the model"


# ---- relu_l1, batch_topk, kl by hand


def test_relu_l1_by_hand() -> None:
    sae = with_weights(
        build("relu_l1", ReluL1Config(d_in=2, d_sae=2, l1_coefficient=0.5)),
        W_enc=[[1.0, 0.0], [1.0, -2.0]],
        b_enc=[0.5, 1.0],
        W_dec=[[0.6, 0.8], [0.0, 1.0]],
        b_dec=[0.1, 0.0],
    )
    x = torch.tensor([[1.0, 1.0], [-1.0, 0.0]])
    # pre_acts: (2.5, −1), (−.5, 1) → acts (2.5, 0), (0, 1); x_hat (1.6, 2), (.1, 1)
    out = sae(x)
    assert out.acts.tolist() == [[2.5, 0.0], [0.0, 1.0]]
    assert torch.allclose(out.x_hat, torch.tensor([[1.6, 2.0], [0.1, 1.0]]))
    losses = sae.losses(x)
    assert float(losses["mse"]) == pytest.approx(((0.6**2 + 1) + (1.1**2 + 1)) / 2), (
        "summed over inputs, mean of images"
    )
    assert float(losses["l1"]) == pytest.approx(0.5 * (2.5 + 1) / 2), "the same at every batch size"
    assert float(sae.losses(x.repeat(3, 1))["l1"]) == pytest.approx(float(losses["l1"]))


def test_l1_cannot_be_cheated_where_rows_are_held() -> None:
    def train(unit_norm: bool) -> SAE:
        sae = build("relu_l1", ReluL1Config(d_in=D_IN, d_sae=D_SAE, l1_coefficient=0.05, unit_norm=unit_norm))
        for _ in Training(sae, pictures(), TrainOptions(epochs=100, batch_size=20, lr=0.01)):
            pass
        return sae

    held_rows, free = train(True), train(False)
    assert torch.allclose(held_rows.W_dec.norm(dim=1), torch.ones(D_SAE), atol=1e-6)
    assert free.W_dec.norm(dim=1).max() > 1.5
    x = pictures()
    assert free(x).acts.sum() < 0.8 * held_rows(x).acts.sum()


def slow_batch_topk(pre_acts: np.ndarray, k: int) -> np.ndarray:
    """The k·B largest of a batch stay, where they are positive."""
    flat = sorted(((v, i, f) for i, row in enumerate(pre_acts) for f, v in enumerate(row)), reverse=True)
    acts = np.zeros_like(pre_acts)
    for v, i, f in flat[: k * len(pre_acts)]:
        acts[i, f] = max(v, 0.0)
    return acts


def test_batch_topk_trains_on_the_largest_of_the_batch() -> None:
    sae, x = small("batch_topk").train(), pictures(16)
    assert isinstance(sae, BatchTopK)
    with torch.no_grad():
        acts = slow_batch_topk(sae._pre_acts(x).double().numpy(), 5)
        assert len(set((acts != 0).sum(1))) > 1, "images take as many as they need"
        expected = float((torch.from_numpy(acts).float() @ sae.W_dec + sae.b_dec - x).pow(2).mean())
        assert float(sae.losses(x)["mse"]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("chunk", [7, 64, 10_000])
def test_the_threshold_lets_exactly_k_per_image_pass(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sae_core.variants.batch_topk.CHUNK", chunk)
    sae, x = small("batch_topk"), pictures(50)
    assert isinstance(sae, BatchTopK)
    sae.start(x)
    with torch.no_grad():
        sae.finish(x)
        everything = sae._pre_acts(x).flatten().sort(descending=True).values
    assert float(everything[5 * 50]) < float(sae.threshold) < float(everything[5 * 50 - 1])
    assert int((sae(x).acts != 0).sum()) == 5 * 50
    assert "threshold" in sae.state_dict()


def test_without_enough_positive_activations_the_threshold_is_0() -> None:
    sae, x = small("batch_topk"), pictures(20)
    assert isinstance(sae, BatchTopK)
    with torch.no_grad():
        sae.b_enc.fill_(-100)
        sae.b_enc[3] = 100
    sae.finish(x)
    assert float(sae.threshold) == 0
    assert int((sae(x).acts != 0).sum()) == 20


def test_kl_by_hand() -> None:
    sae = with_weights(
        build("kl", KLConfig(d_in=2, d_sae=2, rho=0.25, kl_weight=2.0)),
        W_enc=[[1.0, 0.0], [0.0, -1.0]],
        b_enc=[0.0, 0.5],
        W_dec=[[1.0, 0.0], [0.5, 1.0]],
        b_dec=[0.5, 0.0],
    )
    x = torch.tensor([[1.0, 0.1], [0.5, 2.0]])
    # x − b_dec: (.5, .1), (0, 2); acts (.5, .4), (0, 0); x_hat (1.2, .4), (.5, 0)
    out = sae(x)
    assert torch.allclose(out.acts, torch.tensor([[0.5, 0.4], [0.0, 0.0]]))
    assert torch.allclose(out.x_hat, torch.tensor([[1.2, 0.4], [0.5, 0.0]]))
    losses = sae.losses(x)
    assert float(losses["mse"]) == pytest.approx((0.2**2 + 0.3**2 + 0 + 2**2) / 4)
    at = {m: 0.25 * math.log(0.25 / m) + 0.75 * math.log(0.75 / (1 - m)) for m in (0.25, 0.2)}
    assert float(losses["kl"]) == pytest.approx(2 * (at[0.25] + at[0.2]), abs=1e-6)


def test_kl_clamps_mean_activations() -> None:
    sae = build("kl", KLConfig(rho=0.9, kl_weight=1.0, eps=1e-3))
    assert isinstance(sae, KL)
    low, high = sae.penalty(torch.tensor([0.0, 7.0])).tolist()
    assert low == pytest.approx(0.9 * math.log(0.9 / 1e-3) + 0.1 * math.log(0.1 / (1 - 1e-3)), rel=1e-5)
    assert high == pytest.approx(0.9 * math.log(0.9 / (1 - 1e-3)) + 0.1 * math.log(0.1 / 1e-3), rel=1e-3)
    with pytest.raises(ValueError, match="rho must be below 1"):
        KLConfig(rho=1.0)


def test_kl_starts_kaiming_uniform() -> None:
    sae = build("kl", KLConfig(d_in=200, d_sae=400))
    for W, fan_in in ((sae.W_enc, 200), (sae.W_dec, 400)):
        reach = math.sqrt(6 / fan_in)
        assert reach * 0.99 < float(W.abs().max()) <= reach and float(W.std()) == pytest.approx(
            reach / 3**0.5, rel=0.02
        )
    assert not sae.b_enc.any() and not sae.b_dec.any()


# ---- dead latents that are started anew


@pytest.mark.parametrize("variant", ["topk", "tied_topk", "batch_topk", "relu_l1"])
def test_dead_latents_start_anew_from_what_is_reconstructed_worst(variant: str) -> None:
    Config: Any = registry()[variant].Config
    k = {"k": 3} if "k" in Config.__dataclass_fields__ else {}
    sae, x = build(variant, Config(d_in=D_IN, d_sae=D_SAE, dead_after=10, **k)), pictures()
    sae.start(x)
    before = sae.W_enc.detach().clone()
    sae.idle[[2, 5]] = 10
    sae.idle[7] = 9
    with torch.no_grad():
        residual = x - sae.decode(sae.encode(x))
    revived = sae.revive(x, torch.Generator().manual_seed(0))
    assert revived.nonzero().flatten().tolist() == [2, 5]
    alive = ~revived
    assert torch.equal(sae.W_enc[:, alive], before[:, alive]), "the living are left alone"
    length = 0.2 * before[:, alive].norm(dim=0).mean()
    for f in (2, 5):
        row = sae.W_enc[:, f].detach()
        assert float(row.norm()) == pytest.approx(float(length), rel=1e-5)
        cosine = torch.nn.functional.cosine_similarity(row[None], residual)
        assert float(cosine.max()) == pytest.approx(1, abs=1e-5), "the row is an image's residual"
        assert torch.allclose(sae.W_dec[f], row / row.norm(), atol=1e-3)
        assert sae.b_enc[f] == 0 and sae.idle[f] == 0
    assert sae.idle[7] == 9


def test_members_of_an_ensemble_have_their_own_dead_latents() -> None:
    config = TiedTopKConfig(d_in=D_IN, d_sae=D_SAE, k=3, members=2, dead_after=10)
    sae, x = build("tied_topk", config), pictures()
    before = sae.W_enc.detach().clone()
    sae.idle[1, 4] = 10
    revived = sae.revive(x, torch.Generator().manual_seed(0))
    assert revived.nonzero().tolist() == [[1, 4]]
    changed = (sae.W_enc.detach() != before).any(1)
    assert changed.nonzero().tolist() == [[1, 4]]


@pytest.mark.parametrize("members", [1, 2])
def test_the_auxiliary_loss_serves_tied_models_too(members: int) -> None:
    config = TiedTopKConfig(
        d_in=D_IN, d_sae=D_SAE, k=3, members=members, dead_after=1000, aux_weight=0.5, consistency="none"
    )
    sae, x = build("tied_topk", config).train(), pictures()
    sae.revival = "aux"
    assert float(sae.losses(x)["aux"]) == 0
    sae.idle[..., :6] = 10_000
    sae.watch = lambda acts: None  # type: ignore[method-assign]
    sae.sparse_step = False  # which does not ask for it
    found = float(sae.losses(x)["aux"])
    expected = 0.0
    for i in range(members):
        one = sae.member(i)
        pre, rows = (x @ one.W_enc + one.b_enc)[:, :6].relu(), one.W_dec[:6]
        expected += 0.5 * float((pre @ rows - (x - one(x).x_hat)).pow(2).mean())
    assert found == pytest.approx(expected, rel=1e-4)
