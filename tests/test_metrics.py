"""Every formula by hand, and that a stream of batches gives what the whole gives."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sae_core.measure import metrics
from sae_core.measure.metrics import RunningMetrics, evaluate, evaluate_network, pearson, with_scrambled
from sae_core.measure.usage import usage
from sae_core.models.classifier import Classifier, ClassifierConfig, Generator, GeneratorConfig
from sae_core.variants import build
from sae_core.variants.tied_topk import TiedTopKConfig
from sae_core.variants.topk import TopKConfig


def running(x: torch.Tensor, x_hat: torch.Tensor, acts: torch.Tensor) -> metrics.Metrics:
    all_of_it = RunningMetrics()
    all_of_it.update(x, x_hat, acts)
    return all_of_it.compute()


def test_pearson_by_hand() -> None:
    x = torch.tensor([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0], [0.0, 1.0, 2.0], [1.0, 0.0, 0.0]])
    x_hat = torch.tensor([[1.0, 3.0, 5.0], [2.0, 1.0, 0.0], [0.0, 2.0, 1.0], [0.0, 1.0, 0.0]])
    # a line; a falling line; (−1, 0, 1)·(−1, 1, 0) / (√2 √2); (2, −1, −1)·(−1, 2, −1) / 9 · … = −3/6
    assert metrics.pearson(x, x_hat).tolist() == pytest.approx([1.0, -1.0, 0.5, -0.5])


def test_pearson_is_numpys() -> None:
    g = torch.Generator().manual_seed(0)
    x, x_hat = torch.rand(20, 784, generator=g), torch.rand(20, 784, generator=g)
    x_hat = 0.4 * x + x_hat
    expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(x.numpy(), x_hat.numpy(), strict=True)]
    assert metrics.pearson(x, x_hat).tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("level", [0.0, 0.1, 1.0])
def test_pearson_of_a_constant_image_is_zero(level: float) -> None:
    flat = torch.full((1, 784), level)
    other = torch.linspace(0, 1, 784)[None]
    assert metrics.pearson(flat, other).item() == 0
    assert metrics.pearson(other, flat).item() == 0
    assert metrics.pearson(flat, torch.full((1, 784), 0.3)).item() == 0
    assert metrics.pearson(flat, flat).item() == 0


def test_pearson_of_the_largest_and_the_smallest_numbers() -> None:
    x = torch.linspace(0, 1, 784)[None]
    for scale in (3e38, 1e-30):
        r = metrics.pearson(x, scale * x)
        assert r.dtype == torch.float64 and r.item() == pytest.approx(1)


def test_mse_and_l0_by_hand() -> None:
    x, x_hat = torch.tensor([[0.0, 1.0], [1.0, 1.0]]), torch.tensor([[0.5, 0.0], [1.0, 1.0]])
    assert metrics.mse(x, x_hat).tolist() == pytest.approx([(0.25 + 1) / 2, 0.0])
    assert metrics.l0(torch.tensor([[0.0, -1.0, 1e-9], [0.0, 0.0, 0.0]])).tolist() == [2, 0]


def test_all_metrics_by_hand() -> None:
    x = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    x_hat = torch.tensor([[0.5, 1.0], [1.0, 0.5], [1.0, 1.0], [0.0, 0.0]])
    acts = torch.tensor([[1.0, 0.0, 0.0], [-2.0, 3.0, 0.0], [0.0, 0.0, 0.0], [0.5, 0.0, 0.0]])
    m = running(x, x_hat, acts)
    # the per-pixel mean is (.5, .5): each of the 4 images is 2 · .25 from it; the error is .25 + .25
    assert m.fvu == pytest.approx(0.5 / 2.0)
    assert m.mse == pytest.approx(0.5 / 8)
    assert m.pearson == pytest.approx((1 + 1 + 0 + 0) / 4)
    assert m.l0 == pytest.approx((1 + 2 + 0 + 1) / 4)
    assert (m.dead, m.rare, m.in_use, m.n) == (1, 0, 2, 4)
    assert type(m.dead) is type(m.rare) is type(m.in_use) is type(m.n) is int and all(type(v) is float for v in m[:4])


def test_fvu_is_zero_when_perfect_and_one_for_the_mean_image() -> None:
    x = torch.rand(50, 10, generator=torch.Generator().manual_seed(0))
    acts = torch.ones(50, 3)
    assert running(x, x, acts).fvu == 0
    assert running(x, x.mean(0).expand_as(x), acts).fvu == pytest.approx(1, abs=1e-6)


def test_a_constant_image_has_no_correlation() -> None:
    """Of 784 equal pixels in float64 the mean is rounded, and what is left of each is not 0."""
    grey, other = torch.tensor([[0.3], [0.9]], dtype=torch.float64).expand(2, 784), torch.rand(2, 784).double()
    assert pearson(grey, other).tolist() == pearson(other, grey).tolist() == pearson(grey, grey).tolist() == [0, 0]
    both = torch.stack([grey[0], other[0]])
    assert pearson(both, both).tolist() == [0, pytest.approx(1)]


def test_networks_by_hand() -> None:
    """Of three pictures the last is a scrambled one."""
    x, labels = torch.tensor([[0.25], [0.75], [1.0]]), torch.tensor([0, 0, 2])
    classifier = Classifier(ClassifierConfig(d_in=1, d_hidden=1, classes=3)).requires_grad_(False)
    for p, value in zip(classifier.parameters(), ([[1.0]], [0.0], [[0.0, 1.0, 0.0]], [0.5, 0.0, -1.0]), strict=True):
        p.copy_(torch.tensor(value))
    # tanh of 0.25 is below 0.5: it says 0, then twice 1.
    assert evaluate_network(classifier, x, labels, scrambled=2) == (pytest.approx(1 / 3), 0.5, 3)
    generator = Generator(GeneratorConfig(d_in=1, d_hidden=1, reads="c")).requires_grad_(False)
    generator.attach(classifier)
    generator.W.zero_()
    generator.b.zero_()  # always 0.5
    assert evaluate_network(generator, x, labels, scrambled=2) == (0.125, 0.0625, 3)
    assert isinstance(evaluate_network(generator, x, labels, scrambled=2), metrics.GeneratorMetrics)


def test_a_scrambled_copy_follows_its_seed() -> None:
    x, labels = torch.rand(3, 784), torch.tensor([1, 0, 1])
    found, classes = with_scrambled(x, labels, scrambled=2)
    assert classes.tolist() == [1, 0, 1, 2, 2, 2] and torch.equal(found[:3], x)
    assert torch.equal(found, with_scrambled(x, labels, 0, scrambled=2)[0])
    assert not torch.equal(found, with_scrambled(x, labels, 1, scrambled=2)[0])


def test_fvu_is_not_a_number_where_nothing_varies() -> None:
    for n in (1, 3, 7):
        x = torch.rand(1, 784, generator=torch.Generator().manual_seed(n)).expand(n, -1)
        m = running(x, x + 0.1, torch.ones(n, 2))
        assert math.isnan(m.fvu) and m.mse == pytest.approx(0.01, rel=1e-3)
    black = running(torch.zeros(3, 4), torch.full((3, 4), 0.5), torch.ones(3, 2))
    assert math.isnan(black.fvu) and black.mse == 0.25


def test_a_stream_gives_what_the_whole_gives_in_any_order() -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.rand(103, 30, generator=g)
    x_hat = x + 0.1 * torch.randn(103, 30, generator=g)
    acts = torch.relu(torch.randn(103, 20, generator=g) - 2.2)
    whole = running(x, x_hat, acts)
    assert 0 < whole.dead < 20
    order = torch.randperm(103, generator=g)
    for index in (torch.arange(103), order):
        stream = RunningMetrics()
        for part in index.split(10):
            stream.update(x[part], x_hat[part], acts[part])
        assert stream.compute() == pytest.approx(whole, rel=1e-9)


def test_nothing_to_measure_and_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="no image was given"):
        RunningMetrics().compute()
    with pytest.raises(ValueError, match="no image was given"):
        evaluate(build("topk", TopKConfig(d_in=4, d_sae=4, k=1)), np.zeros((0, 4), np.float32))
    with pytest.raises(ValueError, match="choose a member"):
        evaluate(build("tied_topk", TiedTopKConfig(d_in=4, d_sae=4, k=1, members=2)), torch.rand(3, 4))
    for x_hat, acts in (((3, 5), (3, 2)), ((3, 4), (2, 3, 2))):
        with pytest.raises(ValueError, match="choose a member"):
            RunningMetrics().update(torch.zeros(3, 4), torch.zeros(x_hat), torch.zeros(acts))


@pytest.mark.parametrize("variant", ["tied_topk", "topk"])
def test_evaluate_measures_the_model(variant: str) -> None:
    sae = build(variant, (TopKConfig if variant == "topk" else TiedTopKConfig)(d_in=20, d_sae=16, k=3)).eval()
    x = np.random.default_rng(0).random((57, 20), np.float32)
    with torch.no_grad():
        out = sae(torch.from_numpy(x))
    a, b = x.astype(np.float64), out.x_hat.numpy().astype(np.float64)
    m = evaluate(sae, x, batch_size=10)
    assert m == pytest.approx(evaluate(sae, torch.from_numpy(x)), rel=1e-6)
    assert m.fvu == pytest.approx(((a - b) ** 2).sum() / ((a - a.mean(0)) ** 2).sum(), rel=1e-5)
    assert m.mse == pytest.approx(((a - b) ** 2).mean(), rel=1e-5)
    assert m.pearson == pytest.approx(np.mean([np.corrcoef(p, q)[0, 1] for p, q in zip(a, b, strict=True)]), rel=1e-5)
    active = out.acts.numpy() != 0
    assert m.l0 == pytest.approx(active.sum(1).mean()) and m.dead == (~active.any(0)).sum() and m.n == 57
    assert m.dead + m.rare + m.in_use == 16


def test_dead_rare_and_in_use_are_three_tenths_of_a_percent_apart() -> None:
    found = usage(np.array([0, 1, 2, 3, 1000]), 1000)
    assert found.words.tolist() == ["dead", "rare", "rare", "in use", "in use"]
    assert found.said() == "2 in use, 2 rare, 1 dead"
    assert usage(np.array([29, 30]), 10_000).words.tolist() == ["rare", "in use"]
    assert usage(np.array([1, 2]), 360).words.tolist() == ["rare", "in use"]  # 0.28 and 0.56 %
    assert usage(np.array([179, 180]), 60_000).words.tolist() == ["rare", "in use"]
    assert usage(np.array([2999, 3000]), 1_000_000).words.tolist() == ["rare", "in use"]
    many = np.array([0, 3_000_000], np.int32)  # as they are stored; a thousand times as many is beyond int32
    assert usage(many, 3_000_000).words.tolist() == ["dead", "in use"]
    for wrong in (-1, 11):
        with pytest.raises(ValueError, match="cannot activate"):
            usage(np.array([0, wrong]), 10)
    stream = RunningMetrics()
    acts = torch.zeros(1000, 3)
    acts[:2, 1], acts[[0, 500, 999], 2] = 1, -1
    for part in acts.split(300):
        stream.update(torch.rand(len(part), 4), torch.rand(len(part), 4), part)
    assert stream.compute()[4:7] == (1, 1, 1)


def test_every_metric_has_its_formula() -> None:
    assert set(metrics.FORMULAS) == set(metrics.Metrics._fields) - {"n"}
