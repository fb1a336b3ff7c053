"""The closed form against setting a latent to 0 and decoding again, and the notebook's shares against its loop."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sae_core.measure.importance import Importance, ablation, importance, importance_of
from sae_core.measure.lists import compare, overlap, shared_and_distinctive
from sae_core.models.classifier import Classifier, ClassifierConfig
from sae_core.models.sae import SAE
from sae_core.variants import build, registry
from sae_core.variants.kl import KL, KLConfig
from sae_core.variants.tied_topk import TiedTopKConfig
from sae_core.variants.topk import TopKConfig

torch.set_num_threads(1)  # models this small only wait for a second thread
D_IN, D_SAE, N = 36, 24, 60
ALL = sorted(registry())


def small(variant: str) -> SAE:
    """A small model of that variant, as it starts."""
    Config: Any = registry()[variant].Config
    more = {"k": 5} if "k" in Config.__dataclass_fields__ else {}
    return build(variant, Config(d_in=D_IN, d_sae=D_SAE, **more), seed=3).eval()


def data(n: int = N, d: int = D_IN, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pictures [n, d] and labels [n] of the classes 0, 1, 2 and 7, every one of them there."""
    r = np.random.default_rng(seed)
    labels = np.array([0, 1, 2, 7])[np.arange(n) % 4]
    r.shuffle(labels)
    pictures = r.random((n, d)) * (r.random((n, d)) > 0.5) + 0.3 * (np.arange(d) % 8 == labels[:, None])
    return pictures.astype(np.float32).clip(0, 1), labels


def slow_ablation(acts: np.ndarray, x: np.ndarray, W_dec: np.ndarray, b_dec: np.ndarray) -> np.ndarray:
    """What each latent's absence adds to each image's error: set to 0, decode, compare. [N, d_sae]"""
    error = ((acts @ W_dec + b_dec - x) ** 2).mean(1)
    added = np.zeros_like(acts)
    for f in range(acts.shape[1]):
        without = acts.copy()
        without[:, f] = 0
        added[:, f] = ((without @ W_dec + b_dec - x) ** 2).mean(1) - error
    return added


def slow_of(sae: SAE, h: Tensor) -> np.ndarray:
    """The same for a model, its code and its weights in float64."""
    with torch.no_grad():
        tensors = (sae.encode(h), h, sae.W_dec, sae.b_dec)
    return slow_ablation(*(t.detach().double().numpy() for t in tensors))


def test_ablation_by_hand() -> None:
    acts = torch.tensor([[2.0, 1.0], [0.0, 3.0]])
    W_dec = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    error = torch.tensor([[0.5, -1.0], [0.0, 0.0]])
    # image 0, latent 0: ((0.5 − 2)² + 1 − (0.25 + 1)) / 2 = 1; latent 1: (0.1² + 1.8² − 1.25) / 2 = 1
    # image 1, latent 0 is not active; latent 1: (1.8² + 2.4²) / 2 = 4.5
    assert torch.allclose(ablation(acts, error, W_dec), torch.tensor([[1.0, 1.0], [0.0, 4.5]]))
    # A latent that overshoots does harm: e = (3, 0) is all its own.
    assert ablation(torch.tensor([[3.0, 0.0]]), torch.tensor([[3.0, 0.0]]), W_dec).tolist() == [[-4.5, 0.0]]


@pytest.mark.parametrize("variant", ALL)
def test_the_closed_form_is_the_loop(variant: str) -> None:
    sae, x = small(variant), torch.from_numpy(data()[0])
    with torch.no_grad():
        acts, W_dec, b_dec = sae.encode(x), sae.W_dec, sae.b_dec
        exact = ablation(acts.double(), (acts.double() @ W_dec.double() + b_dec.double()) - x.double(), W_dec.double())
        single = ablation(acts, sae.decode(acts) - x, W_dec)
    slow = slow_of(sae, x)
    assert (slow != 0).any() and not slow[acts.numpy() == 0].any()
    assert np.allclose(exact.numpy(), slow, rtol=1e-5, atol=1e-14)
    assert np.allclose(single.numpy(), slow, rtol=1e-5, atol=1e-5 * np.abs(slow).max())
    assert not single.numpy()[acts.numpy() == 0].any(), "exactly 0 where a latent is not active"


@pytest.mark.parametrize("variant", ALL)
def test_importance_is_the_mean_of_the_loop(variant: str) -> None:
    sae, (x, labels) = small(variant), data()
    found = importance(sae, x, labels, dataset="made-up", split="train")
    slow = slow_of(sae, torch.from_numpy(x))
    assert found.classes == (0, 1, 2, 7) and found.n.tolist() == [15, 15, 15, 15, 60]
    assert (found.dataset, found.split) == ("made-up", "train")
    rows = [slow[labels == c].mean(0) for c in found.classes] + [slow.mean(0)]
    assert np.allclose(found.increase, rows, rtol=1e-5, atol=1e-6 * np.abs(rows).max())
    assert found.increase.dtype == np.float64
    acts = sae.encode(torch.from_numpy(x)).detach().double().numpy()
    assert np.allclose(found.mean_acts, [acts[labels == c].mean(0) for c in found.classes] + [acts.mean(0)])
    assert np.allclose(found.share.sum(1), 1)
    assert np.allclose(found.share, found.increase / found.increase.sum(1, keepdims=True))
    assert (found.notebook is not None) == (variant == "kl")


@pytest.mark.parametrize("variant", ["kl", "topk"])
@pytest.mark.parametrize("batch_size", [1, 7, 59, 60, 1000])
def test_the_size_of_the_batches_does_not_matter(variant: str, batch_size: int) -> None:
    sae, (x, labels) = small(variant), data()
    whole, seen = importance(sae, x, labels, batch_size=30), []
    found = importance(sae, x, labels, batch_size=batch_size, progress=lambda done, n: seen.append((done, n)))
    assert seen[-1] == (60, 60) and len(seen) == -(-60 // batch_size)
    assert np.array_equal(found.n, whole.n)
    assert np.allclose(found.increase, whole.increase, rtol=1e-5, atol=1e-8)
    assert np.allclose(found.mean_acts, whole.mean_acts, rtol=1e-6)
    if whole.notebook is not None and found.notebook is not None:
        assert np.allclose(found.notebook, whole.notebook, rtol=1e-5)


def test_a_stream_of_parts_is_as_the_whole() -> None:
    sae, (x, labels) = small("kl"), data()
    order = np.argsort(labels, kind="stable")
    done: list[int] = []
    parts = [(torch.from_numpy(x[i]), torch.from_numpy(labels[i])) for i in (order[:20], order[20:45], order[45:])]
    found = importance_of(sae, iter(parts), (7, 2, 1, 0), dataset="d", split="s", progress=done.append)
    whole = importance(sae, x, labels)
    assert done == [20, 45, 60] and found.classes == (7, 2, 1, 0)
    for name in ("n", "increase", "mean_acts", "notebook"):
        assert np.allclose(getattr(found, name)[[3, 2, 1, 0, 4]], getattr(whole, name), rtol=1e-5, atol=1e-8), name


def test_it_measures_what_the_sae_reads() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        classifier = Classifier(ClassifierConfig(d_in=784, d_hidden=D_IN)).eval()
    sae, (x, labels) = small("kl"), data(20, 784)
    sae.attach(classifier, None)
    slow = slow_of(sae, classifier.hidden(torch.from_numpy(x)).detach())
    assert np.allclose(importance(sae, x, labels).increase[-1], slow.mean(0), rtol=1e-4, atol=1e-8)


# ---- the shares as document 004 counts them


def loop_as_documented(sae: KL, x: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """The notebook's procedure, step by step: its loss, called on a batch or on one image, before and after."""
    h = torch.from_numpy(x).double()
    config = sae.config

    def loss(x_hat: Tensor, target: Tensor, code: Tensor) -> float:
        mean = code.mean(0).clamp(config.eps, 1 - config.eps)  # of one image's code [d_sae] this is one number
        kl = config.rho * (config.rho / mean).log() + (1 - config.rho) * ((1 - config.rho) / (1 - mean)).log()
        return float(((x_hat - target) ** 2).mean() + config.kl_weight * kl.sum())

    def decode(code: Tensor) -> Tensor:
        return code @ sae.W_dec.double() + sae.b_dec.double()

    def shares(codes: Tensor, targets: Tensor, before: float) -> np.ndarray:
        found = []
        for f in range(codes.shape[1]):
            without = codes.clone()
            without[:, f] = 0
            found.append(loss(decode(without), targets, without) - before)
        return np.array(found) / sum(found)

    with torch.no_grad():
        codes = sae.encode(torch.from_numpy(x)).double()
        x_hat = decode(codes)
        one_by_one = np.array([loss(x_hat[i], h[i], codes[i]) for i in range(len(h))])
        rows = {}
        for c in np.unique(labels):
            of_class = torch.from_numpy(labels == c)
            rows[str(c)] = shares(codes[of_class], h[of_class], one_by_one[of_class.numpy()].mean())
        rows["all"] = shares(codes, h, loss(x_hat, h, codes))
    return rows


@pytest.mark.parametrize("rho", [0.1, 0.999])
@pytest.mark.parametrize("kl_weight", [1e-4, 1e-2])
def test_the_notebooks_shares_are_its_loop(rho: float, kl_weight: float) -> None:
    sae = build("kl", KLConfig(d_in=D_IN, d_sae=D_SAE, rho=rho, kl_weight=kl_weight), seed=5).eval()
    assert isinstance(sae, KL)
    with torch.no_grad():
        sae.b_enc[3], sae.b_enc[4] = -100.0, 100.0  # never active, and beyond the clamp
    x, labels = data()
    found, slow = importance(sae, x, labels), loop_as_documented(sae, x, labels)
    assert found.notebook is not None
    assert list(slow) == ["0", "1", "2", "7", "all"]
    for row, expected in zip(found.notebook, slow.values(), strict=True):
        assert np.allclose(row, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())
        assert row.sum() == pytest.approx(1)
    assert np.array_equal(found.order(-1, notebook=True), np.argsort(-found.notebook[-1], kind="stable"))


def test_the_notebooks_constant_draws_shares_together() -> None:
    sae = build("kl", KLConfig(d_in=D_IN, d_sae=D_SAE, rho=0.999, kl_weight=1e-2), seed=5).eval()
    found = importance(sae, *data())
    assert found.notebook is not None
    assert np.abs(found.notebook[0] - 1 / D_SAE).max() < 0.5 * np.abs(found.share[0] - 1 / D_SAE).max()


# ---- orders and lists


def made_up(increase: list[list[float]]) -> Importance:
    rows = np.array(increase)
    n = np.array([1] * (len(rows) - 1) + [len(rows) - 1])
    return Importance("made-up", "train", tuple(range(len(rows) - 1)), n, rows, np.zeros_like(rows), None)


def test_orders_and_shares_by_hand() -> None:
    found = made_up([[1.0, 3.0, -1.0, 1.0], [0.0, 0.0, 0.0, 0.0], [0.5, 1.5, -0.5, 0.5]])
    assert found.share.tolist() == [[0.25, 0.75, -0.25, 0.25], [0.0, 0.0, 0.0, 0.0], [0.25, 0.75, -0.25, 0.25]]
    assert found.order(0).tolist() == [1, 0, 3, 2] and found.order(-1).tolist() == [1, 0, 3, 2]
    assert found.top(0, 2).tolist() == [1, 0] and len(found.top(0)) == 4
    turns = made_up([[0.0, 1.0] * 50] * 2)
    assert turns.order(0).tolist() == [*range(1, 100, 2), *range(0, 100, 2)], "ties by number"
    assert turns.top(0).tolist() == list(range(1, 60, 2))
    counted = replace(found, notebook=-found.increase)
    assert counted.order(0, notebook=True).tolist() == counted.top(0, notebook=True).tolist() == [2, 0, 3, 1]
    own = shared_and_distinctive(counted, 1, notebook=True)
    assert own.tops.tolist() == [[2], [0]]
    with pytest.raises(ValueError, match='only an SAE of variant "kl"'):
        found.order(0, notebook=True)


def test_shared_and_distinctive_by_hand() -> None:
    found = made_up([[9, 8, 0, 0, 1], [9, 0, 8, 0, 1], [0, 0, 8, 9, 1], [0, 0, 0, 8, 9], [5, 2, 4, 4, 3]])
    lists = shared_and_distinctive(found, n=2)
    assert lists.tops.tolist() == [[0, 1], [0, 2], [3, 2], [4, 3]]
    assert lists.lists.tolist() == [2, 1, 2, 2, 1]
    assert [own.tolist() for own in lists.distinctive] == [[1], [], [], [4]]
    assert lists.shared.tolist() == [0, 2, 3]
    assert lists.lists.dtype == lists.distinctive[1].dtype == np.int64
    three = shared_and_distinctive(made_up([[0, 8, 9, 0], [0, 7, 9, 0], [9, 0, 8, 0], [0, 0, 0, 0]]), n=2)
    assert three.lists.tolist() == [1, 2, 3, 0] and three.shared.tolist() == [2, 1], "those in most lists first"
    even = shared_and_distinctive(made_up([[1.0] * 50, [1.0, 0.0] * 25, [1.0] * 50]))
    assert even.tops[0].tolist() == list(range(30))
    in_both, in_one = [*range(11), *range(12, 30, 2)], [*range(11, 30, 2), *range(30, 50, 2)]
    assert even.shared.tolist() == in_both + in_one, "ties by number"
    assert shared_and_distinctive(made_up([[1.0] * 50] * 3), n=40).shared.tolist() == list(range(40))
    one = shared_and_distinctive(made_up([[1, 2, 3], [1, 2, 3]]), n=2)
    assert one.distinctive[0].tolist() == [2, 1] and one.shared.tolist() == [1, 2]


def test_overlap_by_hand() -> None:
    tops = [np.array([1, 2, 3, 4]), np.array([4, 3, 8, 9]), np.array([5, 6])]
    assert overlap(tops).tolist() == [[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]]
    assert overlap([tops[0], tops[0][:2]]).tolist() == [[1.0, 1.0], [1.0, 1.0]], "of the shorter list"
    assert overlap([]).shape == (0, 0)
    assert overlap([np.array([7]), np.array([7])]).tolist() == [[1.0, 1.0], [1.0, 1.0]]
    longer = np.arange(40)
    assert overlap([longer, longer[::-1]]).tolist() == [[1.0, 1.0], [1.0, 1.0]], "of whole lists"
    assert compare([]).features.dtype == compare([]).shared.dtype == np.int64


# ---- what is refused


def test_wrong_input_is_refused_in_words() -> None:
    sae, (x, labels) = small("topk"), data()
    with pytest.raises(ValueError, match="no image was given"):
        importance(sae, x[:0], labels[:0])
    with pytest.raises(ValueError, match="no image was given"):
        importance_of(sae, [], (0, 1))
    with pytest.raises(ValueError, match="60 images but 59 labels"):
        importance(sae, x, labels[1:])
    with pytest.raises(ValueError, match=r"reads \[N, 36\], not \[60, 35\]"):
        importance(sae, x[:, 1:], labels)
    part = (torch.from_numpy(x), torch.from_numpy(labels))
    with pytest.raises(ValueError, match=r"a label 7, but the classes are \[0, 1, 2\]"):
        importance_of(sae, [part], (0, 1, 2))
    with pytest.raises(ValueError, match=r"a label 4, but the classes are \[0\]"):
        importance_of(sae, [(part[0][:1], torch.tensor([4]))], (0,))
    with pytest.raises(ValueError, match="no image of class 3, 9"):
        importance_of(sae, [part], (0, 1, 2, 3, 7, 9))
    with pytest.raises(ValueError, match="classes must differ"):
        importance_of(sae, [part], (0, 1, 1))
    with pytest.raises(ValueError, match=r"labels must be \[60\].*not \[59\]"):
        importance_of(sae, [(part[0], part[1][1:])], (0, 1, 2, 7))


def test_shapes_that_do_not_belong_together_are_refused() -> None:
    acts, error, W_dec = torch.zeros(3, 4), torch.zeros(3, 5), torch.zeros(4, 5)
    for wrong in ((acts[:2], error, W_dec), (acts, error, W_dec[:3]), (acts[0], error, W_dec), (acts, error, W_dec.T)):
        with pytest.raises(ValueError, match=r"must be \[N, d_sae\], \[N, d_in\] and \[d_sae, d_in\]"):
            ablation(*wrong)
    for wrong in ((acts, error[..., None], W_dec), (acts, error, W_dec[..., None])):
        with pytest.raises(ValueError, match=r"not \[3, 4\], \[3, 5(, 1)?\] and \[4, 5(, 1)?\]"):
            ablation(*wrong)
    with pytest.raises(ValueError, match="the error has 5 inputs, the decoder 4"):
        ablation(acts, error, W_dec[:, 1:])


def test_what_is_read_only_is_copied_in_silence() -> None:
    sae, (x, labels) = small("topk"), data()
    x.flags.writeable = labels.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = importance(sae, x, labels)
        assert np.array_equal(found.increase, importance(sae, torch.tensor(x), torch.tensor(labels)).increase)
    assert (found.dataset, found.split) == ("", "")


def test_an_ensemble_says_that_a_member_must_be_chosen() -> None:
    together, (x, labels) = build("tied_topk", TiedTopKConfig(d_in=D_IN, d_sae=D_SAE, k=5, members=2)), data()
    with pytest.raises(ValueError, match="choose a member"):
        importance(together, x, labels)
    assert importance(together.member(1), x, labels).increase.shape == (5, D_SAE)


def test_a_model_that_is_never_active_has_no_shares() -> None:
    sae, (x, labels) = build("topk", TopKConfig(d_in=D_IN, d_sae=D_SAE, k=5)).eval(), data()
    with torch.no_grad():
        sae.b_enc.fill_(-100)
    found = importance(sae, x, labels)
    assert not found.increase.any() and not found.share.any() and not found.mean_acts.any()
