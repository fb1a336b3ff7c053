"""Edits of a code: by hand, over every registered SAE, and what is refused; the fast ways beside slow readable ones."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sae_core.datasets import ImageSet, dataset_info, default_data_dir, load_dataset
from sae_core.measure import describe, features
from sae_core.measure.importance import Importance
from sae_core.models.classifier import Classifier, ClassifierConfig
from sae_core.models.sae import SAE
from sae_core.steering.asking import logits_of, opinion
from sae_core.steering.edits import MODES, Edit, Edits, check_reach, checked, edit_code, scaled, steer
from sae_core.steering.many import SCALES, apply_to_many
from sae_core.steering.mind import change_mind, likely, random_edits
from sae_core.steering.sliders import slider_bounds, slider_range, slider_ranges, top_by_importance, used
from sae_core.store import catalogue
from sae_core.store.checkpoints import load, load_classifier
from sae_core.variants import build, build_network, registry
from sae_core.variants.tied_topk import TiedTopKConfig
from sae_core.variants.topk import TopKConfig


@pytest.fixture(params=sorted(registry()))
def sae(request: pytest.FixtureRequest) -> SAE:
    Config: Any = registry()[request.param].Config
    k = {"k": 8} if "k" in Config.__dataclass_fields__ else {}
    return build(request.param, Config(d_in=784, d_sae=64, **k)).eval().requires_grad_(False)


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
    numpys: Any = {np.int64(1): np.float32(2)}
    assert edit_code(torch.zeros(1, 4), numpys)[0, 1] == 2


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
        ({1: "x"}, "feature 1 cannot be set to 'x'"),
        ({1: None}, "feature 1 cannot be set to None"),
        ({1: [1]}, r"feature 1 cannot be set to \[1\]"),
        ({1: True}, "feature 1 cannot be set to True"),
    ],
)
def test_what_cannot_be_applied_is_said(edits: dict[int, Any], words: str) -> None:
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
        (0, 5.0, (0, 10)),  # twice its value goes further than the split
        (1, 1.0, (-2, 3)),
        (1, -2.5, (-5, 3)),
        (2, 0.0, (0, 4)),  # never active: the median of 4, 3 and 8
        (2, 6.0, (0, 12)),
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


def test_slider_bounds_by_hand() -> None:
    stats = SimpleNamespace(minimum=np.array([0.1, 0, 0, -2]), maximum=np.array([0.75, 0.25, 0, -1]))
    low, high = slider_bounds(stats)  # type: ignore[arg-type]
    assert low.tolist() == [0, 0, 0, -2] and high.tolist() == [0.75, 0.25, 0.5, 0]


# ---- scale, clamp, solo, strength


def test_each_edit_by_hand() -> None:
    acts = torch.tensor([[1.0, -2.0, 4.0, 0.0, 5.0]])
    edits: Edits = {0: 3.0, 1: Edit("scale", 0.5), 2: Edit("clamp", low=0, high=3), 3: Edit("set", 7)}
    assert edit_code(acts, edits).tolist() == [[3, -1, 3, 7, 5]]
    assert edit_code(acts, {1: Edit("clamp", low=-1, high=3), 4: Edit("scale", -2)}).tolist() == [[1, -1, 4, 0, -10]]
    assert Edit("set", 7)(acts[0, :2]).tolist() == [7, 7]
    assert Edit("clamp", low=2, high=2)(acts[0, :2]).tolist() == [2, 2]
    assert Edit("set", float(np.finfo(np.float32).max)).value == np.finfo(np.float32).max, "the largest there is"


def test_solo_leaves_the_rest_at_zero_edited_or_not() -> None:
    acts = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    assert edit_code(acts, {}, [2, 0]).tolist() == [[1, 0, 3, 0]]
    assert edit_code(acts, {0: 9.0, 1: 9.0}, [0]).tolist() == [[9, 0, 0, 0]]
    assert edit_code(acts, {}, []).tolist() == [[0, 0, 0, 0]]
    assert edit_code(acts, {}, np.array([1, 1])).tolist() == [[0, 2, 0, 0]]
    assert steer(ByHand(), acts[:, :2], {}, "plain", solo=[1]).steered.tolist() == [[10, 26]]
    with pytest.raises(ValueError, match="there is no feature 4: this SAE has 0 to 3"):
        edit_code(acts, {}, [4])


@pytest.mark.parametrize("mode", MODES)
def test_what_changes_nothing_is_the_same_bit_by_bit(sae: SAE, x: Tensor, mode: str) -> None:
    untouched = steer(sae, x[:1], {}, mode)
    edits: Edits = {0: Edit("scale", 1), 1: Edit("clamp", low=-99, high=99), 2: float(untouched.acts[0, 2])}
    same = steer(sae, x[:1], edits, mode, solo=used(untouched.acts[0]))
    assert torch.equal(same.steered, untouched.steered)
    assert mode == "plain" or torch.equal(same.steered, x[:1])


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (("double", 1), "an edit is one of set, scale, clamp, not 'double'"),
        (("set",), "set takes value"),
        (("scale", None, 0, 1), "scale takes value"),
        (("clamp", 1.0, 0, 1), "clamp takes low and high, not value"),
        (("clamp", None, 0), "clamp takes low and high"),
        (("clamp", None, 2, 1), "clamp needs low ≤ high, not 2.0 and 1.0"),
        (("scale", float("nan")), "scale takes a finite number, not nan"),
        (("set", 1e39), "set takes a finite number"),
        (("clamp", None, 0, float("inf")), "clamp takes a finite number, not inf"),
        (("set", True), "set takes a finite number, not True"),
        (("set", "1"), "set takes a finite number, not '1'"),
    ],
)
def test_an_edit_that_makes_no_sense_is_refused(made: tuple[Any, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Edit(*made)


def test_checked_edits_are_numbers_where_they_set_a_value() -> None:
    edits: Any = {np.int64(2): Edit("set", 3), 0: Edit("scale", 2), 1: 4}
    assert checked(edits, 3) == {2: 3.0, 0: Edit("scale", 2), 1: 4.0}
    with pytest.raises(ValueError, match="there is no feature 3"):
        checked({3: Edit("scale", 2)}, 3)


def test_how_far_an_edit_goes() -> None:
    edits: Edits = {0: 1e6, 1: Edit("scale", -1e6), 2: Edit("clamp", low=-3e38, high=3e38), 3: Edit("set", 0)}
    check_reach(edits)
    for beyond in (1.1e6, Edit("scale", -3e38), Edit("set", 3e38), Edit("clamp", low=2e6, high=3e6),
                   Edit("clamp", low=-3e6, high=-2e6)):  # fmt: skip
        with pytest.raises(ValueError, match=r"feature 5 is taken to .*, but ±1,000,000 is as far"):
            check_reach({5: beyond})


def test_strength_by_hand() -> None:
    acts = torch.tensor([[1.0, 4.0, 3.0]])
    edits: Edits = {0: 2.0, 1: Edit("scale", 0.0)}
    wanted = {0: [1, 4, 3], 0.5: [1.5, 2, 3], 1: [2, 0, 3], 2: [3, -4, 3], -1: [0, 8, 3]}
    assert {t: scaled(edits, acts, t)[0].tolist() for t in wanted} == wanted
    assert scaled(edits, acts, 0.5, solo=[0]).tolist() == [[1.5, 2, 1.5]]
    with pytest.raises(ValueError, match="the strength must be a finite number"):
        scaled(edits, acts, float("nan"))


def test_no_strength_and_all_of_it_are_exact() -> None:
    acts = torch.randn(50, 20, generator=torch.Generator().manual_seed(0))
    edits = {f: 1 / (f + 3) for f in range(10)}
    assert torch.equal(scaled(edits, acts, 0), acts)
    assert torch.equal(scaled(edits, acts, 1), edit_code(acts, edits))


# ---- groups and ranges


def test_the_features_a_code_uses() -> None:
    assert used(torch.tensor([0.0, 1.0, -3.0, 0.0, 2.0, 1.0])) == [2, 4, 1, 5]
    assert used(torch.zeros(3)) == []
    assert used(torch.ones(1000)) == list(range(1000)), "ties by number"
    with pytest.raises(ValueError, match="one code is"):
        used(torch.zeros(1, 3))


def test_the_features_a_class_needs() -> None:
    increase = np.array([[1.0, 3.0, 2.0], [9.0, 0.0, 1.0], [5.0, 1.5, 1.5]])
    found = Importance("d", "s", (4, 7), np.array([1, 1, 2]), increase, increase, None)
    assert top_by_importance(found, 4, 2) == [1, 2]
    assert top_by_importance(found, 7) == [0, 2, 1]
    even = Importance("d", "s", (4,), np.array([1, 1]), np.ones((2, 40)), np.ones((2, 40)), None)
    assert top_by_importance(even, 4) == list(range(30))
    with pytest.raises(ValueError, match=r"classes \[4, 7\], not 0"):
        top_by_importance(found, 0)


@pytest.mark.parametrize("stats", [STATS, None])
def test_ranges_of_all_features_are_those_of_each(stats: Any) -> None:
    now = np.array([5.0, -2.5, 0.0, 1.0], np.float32)
    low, high = slider_ranges(stats, now)
    assert [(a, b) for a, b in zip(low, high, strict=True)] == [slider_range(stats, f, float(now[f])) for f in range(4)]


# ---- what the classifier says


@pytest.fixture(scope="module")
def images() -> ImageSet:
    """MNIST's test images, where they are."""
    return load_dataset("mnist" if dataset_info("mnist").is_here(Path(default_data_dir())) else "digits", "test")


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load_classifier("exp3-classifier")


HIDDEN = "exp3-kl-98-rho0.1"
ENSEMBLE = build("tied_topk", TiedTopKConfig(members=2))


@pytest.fixture(params=[*sorted(registry()), HIDDEN])
def reading(request: pytest.FixtureRequest, images: ImageSet) -> SAE:
    """Every variant on pixels, a few latents and a code to speak of; and an SAE on the classifier's hidden layer."""
    if request.param == HIDDEN:
        return load(HIDDEN)
    Config: Any = registry()[request.param].Config
    k = {"k": 8} if "k" in Config.__dataclass_fields__ else {}
    sae = build(request.param, Config(d_in=784, d_sae=64, **k))
    sae.start(torch.tensor(images.x[:200]))
    return sae.eval().requires_grad_(False)


def few(images: ImageSet, n: int) -> ImageSet:
    return replace(images, x=images.x[:n], labels=images.labels[:n])


def says(sae: SAE, classifier: Classifier, x: Tensor, acts: Tensor, mode: str) -> Tensor:
    """Readable: logits of a picture x [784] with another code [d_sae]."""
    h = sae.read(x[None])
    changed = sae.decode(acts[None])
    h = h + (changed - sae.decode(sae.encode(h))) if mode == "error-preserving" else changed
    return (classifier.logits(h) if sae.reader is not None else classifier(h.clamp(0, 1)))[0]


def test_the_classifier_sees_what_is_shown_or_its_own_layer(classifier: Classifier) -> None:
    pixels, hidden = build("topk", None), load(HIDDEN)
    x = torch.tensor([[-1.0, 2.0] * 392])
    assert torch.equal(logits_of(pixels, classifier, x), classifier(torch.tensor([[0.0, 1.0] * 392])))
    h = torch.rand(3, 49)
    assert hidden.reader is not classifier  # loaded twice, and the same
    assert torch.equal(logits_of(hidden, classifier, h), classifier.logits(h))
    biased = load_classifier("exp3-classifier")
    biased.b_in.data += 1
    assert torch.equal(logits_of(hidden, biased, h), biased(hidden.picture(h).clamp(0, 1))), (
        "a layer that is nearly its"
    )
    other = build_network("classifier", seed=5)
    assert isinstance(other, Classifier)
    assert torch.equal(logits_of(hidden, other, h), other(hidden.picture(h)))  # not its layer: by way of the picture


@pytest.mark.parametrize("mode", MODES)
def test_opinion_before_and_after(reading: SAE, classifier: Classifier, images: ImageSet, mode: str) -> None:
    x = torch.tensor(images.x[:3])
    acts = reading(reading.read(x)).acts
    edits: Edits = {used(acts[0])[0]: 0.0, 5: Edit("scale", 3.0), 9: 2.0}
    before, after = opinion(reading, classifier, x, edits, mode)
    for i in range(3):
        for found, code in ((before[i], acts[i]), (after[i], edit_code(acts[i], edits))):
            torch.testing.assert_close(
                found, says(reading, classifier, x[i], code, mode).softmax(-1), atol=1e-5, rtol=0
            )
    if mode == "error-preserving":
        torch.testing.assert_close(before, classifier.probabilities(x))


def two_say(weights: list[float], than: float) -> Classifier:
    """Says class 1 rather than 0 where the weighted sum of the pixels is larger than that."""
    scale = 2.0**-20  # where tanh is what it is given
    made = Classifier(ClassifierConfig(d_in=len(weights), d_hidden=len(weights), classes=2)).requires_grad_(False)
    made.W_in.copy_(scale * torch.eye(len(weights)))
    made.b_in.zero_()
    made.W_out.copy_(torch.tensor([[0.0, w / scale] for w in weights]))
    made.b_out.copy_(torch.tensor([0.0, -than]))
    return made


class Pixels(SAE):
    """A latent a pixel: acts = x, x_hat = acts + bias."""

    variant = "pixels"

    def __init__(self, *bias: float) -> None:
        super().__init__(SAE.Config(d_in=len(bias), d_sae=len(bias)))
        self.W_enc = self.W_dec = torch.eye(len(bias))
        self.b_dec = torch.tensor(bias)

    def encode(self, x: Tensor) -> Tensor:
        return x.clone()


def went_to(*maximum: float, means: Any = ((),), class_n: Any = ()) -> Any:
    """Statistics of latents that went up to there."""
    high = np.array(maximum)
    of_classes = {"class_means": np.array(means), "class_n": np.array(class_n)}
    return SimpleNamespace(minimum=np.zeros(len(high)), maximum=high, **of_classes)


def test_opinion_of_a_few_features_alone_by_hand() -> None:
    before, after = opinion(Pixels(0, 0), two_say([1, 1], 1), torch.tensor([[0.75, 0.5]]), {}, solo=[1])
    assert before.log().diff().tolist() == [[pytest.approx(0.25)]]
    assert after.log().diff().tolist() == [[pytest.approx(-0.5)]]


# ---- change its mind


def test_a_change_of_mind_by_hand() -> None:
    sae, black = Pixels(*[0] * 12), torch.zeros(12)
    found = change_mind(sae, two_say([1] * 12, 2), black, 1)
    assert found.success and list(found.edits.values()) == [1, 1, 1], "at a margin of 0 it does not say so yet"
    assert [s.margin for s in found.path] == [-1, 0, 1]
    assert not change_mind(sae, two_say([1] * 12, 2), black, 1, max_edits=2).success
    assert len(change_mind(sae, two_say([1] * 12, 100), black, 1).edits) == 10, "as many as it may"
    assert not change_mind(sae, two_say([0] * 12, 1), black, 1).edits, "what raises nothing is not taken"


def test_random_edits_by_hand() -> None:
    """Half of what is tried does it: pixel 0 at 1, not at a half; pixel 1 at a half, not at a quarter."""
    stats, black, says = went_to(1, 0.5), torch.zeros(2), two_say([1, 2], 0.9375)

    def share(n: int, trials: int, seed: int = 0, mode: str = "error-preserving", bias: float = 0.0) -> float:
        drawn = torch.Generator().manual_seed(seed)
        return random_edits(Pixels(bias, 0), says, black, 1, n, drawn, mode=mode, stats=stats, trials=trials)

    assert share(1, 2000) == pytest.approx(0.5, abs=0.05)
    assert share(1, 2000, mode="error-preserving", bias=0.46875) == pytest.approx(0.5, abs=0.05)
    # Of a reconstruction that has 0.47 more of pixel 0: any of its values, and of pixel 1 both.
    assert share(1, 2000, mode="plain", bias=0.46875) == 1
    assert share(2, 2000) == 1, "all that there are: 0.5 + 2 · 0.25 is enough"
    once = [share(1, 1, seed) for seed in range(40)]
    assert set(once) == {0, 1} and once == [share(1, 1, seed) for seed in range(40)]
    undecided = two_say([0, 0], 0)
    assert random_edits(Pixels(0, 0), undecided, black, 1, 1, torch.Generator(), stats=stats) == 0, "a margin of 0"


def test_candidates_by_hand() -> None:
    some, now = torch.tensor([0.45, 0.4, 0.0]), torch.full((1, 3), 0.5)

    def first(weights: list[float], stats: Any, acts: Tensor = some, target: int = 1, most: int = 2) -> list[int]:
        return likely(Pixels(0, 0, 0), two_say(weights, 1), acts, now, target, stats, most)

    # The strongest that is active, then by what is left of the sliders: 0.55, 0.6 and 0.7.
    assert first([1, 1, 1], went_to(1, 1, 0.7)) == [0, 2]
    assert first([1, -1, 1], went_to(1, 1, 0.3)) == [0, 1], "0.4 down to 0, where the slope is down"
    nothing = torch.zeros(3)
    assert first([1, 0.5, 0.75], None, nothing, most=3) == [0, 2, 1]
    assert first([1, 0.5, 0.75], went_to(1, 10, 1), nothing, most=3) == [1, 0, 2]
    # of the statistics of two classes their difference counts, of one class nothing
    both = went_to(1, 10, 1, means=[[0.5, 0.5], [0.75, 0.5], [0, 1]], class_n=[5, 5])
    assert first([1, 0.5, 0.75], both, nothing, most=3) == [2, 0, 1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = went_to(1, 10, 1, means=[[0.0], [0.0], [1.0]], class_n=[5])
        assert first([-1, -0.5, -0.75], one, nothing, target=0, most=3) == [1, 0, 2]


def test_without_candidates_it_tries_the_likely(classifier: Classifier, images: ImageSet) -> None:
    sae, x, target = load("topk-1024-k50"), torch.tensor(images.x[0]), (int(images.labels[0]) + 1) % 10
    stats = features.read(catalogue.find("topk-1024-k50")[0], "mnist", "train")
    h = sae.read(x[None])
    tried = likely(sae, classifier, sae.encode(h)[0], h, target, stats)
    assert set(tried) != set(likely(sae, classifier, sae.encode(h)[0], h, target))
    found, wanted = (change_mind(sae, classifier, x, target, stats=stats, candidates=c) for c in (None, tried))
    assert found.edits == wanted.edits
    found, wanted = (
        change_mind(sae, classifier, x, target, stats=stats, candidates=c, steps=[0.1], max_edits=100)
        for c in (None, tried)
    )
    assert found.edits == wanted.edits


def margin(logits: Tensor, target: int) -> float:
    return float(logits[target] - max(v for c, v in enumerate(logits.tolist()) if c != target))


def slow_step(
    sae: SAE,
    classifier: Classifier,
    x: Tensor,
    target: int,
    mode: str,
    code: Tensor,
    candidates: list[int],
    ranges: dict[int, tuple[float, float]],
) -> dict[tuple[int, float], float]:
    """Readable: the margin after a full decoding of every single edit of a code, one at a time."""
    found = {}
    for f in candidates:
        for value in {float(np.float32(share * end)) for share in (0, 0.5, 1) for end in ranges[f]}:
            if value != float(code[f]):
                single = edit_code(code, {f: value})
                found[f, value] = margin(says(sae, classifier, x, single, mode), target)
    return found


@pytest.mark.parametrize("mode", MODES)
def test_a_step_is_the_best_of_every_single_edit(
    reading: SAE, classifier: Classifier, images: ImageSet, mode: str
) -> None:
    stats = describe.describe(reading, few(images, 500))
    for i in range(3):
        x = torch.tensor(images.x[i])
        target = int(opinion(reading, classifier, x[None], {}, mode)[0][0].topk(2 + i).indices[1 + i])
        code = reading.encode(reading.read(x[None]))[0]
        candidates = list(dict.fromkeys([*used(code)[:6], 1, 40, 60]))
        ranges = {f: slider_range(stats, f, float(code[f])) for f in candidates}
        found = change_mind(reading, classifier, x, target, mode=mode, candidates=candidates, stats=stats, max_edits=3)
        assert list(found.edits.items()) == [(s.feature, s.value) for s in found.path]
        for step in found.path:
            slow = slow_step(reading, classifier, x, target, mode, code, candidates, ranges)
            assert slow[step.feature, step.value] == pytest.approx(step.margin, abs=1e-4)
            assert step.margin == pytest.approx(max(slow.values()), abs=1e-4)
            code = edit_code(code, {step.feature: step.value})
            candidates.remove(step.feature)
        if not found.success and len(found.path) < 3:
            now = margin(says(reading, classifier, x, code, mode), target)
            slow = slow_step(reading, classifier, x, target, mode, code, candidates, ranges)
            assert max(slow.values()) <= now + 1e-4


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("measured", [True, False])
def test_what_a_change_of_mind_says_holds(
    reading: SAE, classifier: Classifier, images: ImageSet, mode: str, measured: bool
) -> None:
    stats = describe.describe(reading, few(images, 500)) if measured else None
    x = torch.tensor(images.x[0])
    target = int(opinion(reading, classifier, x[None], {}, mode)[0][0].topk(3).indices[2])
    found = change_mind(reading, classifier, x, target, mode=mode, stats=stats)
    before, after = opinion(reading, classifier, x[None], found.edits, mode)
    np.testing.assert_allclose(found.probabilities_before, before[0], atol=1e-6)
    np.testing.assert_allclose(found.probabilities_after, after[0], atol=1e-6)
    assert found.success == (int(after.argmax()) == target)
    assert [s.feature for s in found.path] == list(found.edits)
    assert all(a.margin < b.margin for a, b in zip(found.path, found.path[1:], strict=False))
    assert all(s.margin <= 0 for s in found.path[:-1])
    if found.path:  # an untrained SAE may have no edit that helps
        assert found.path[-1].probability == pytest.approx(float(after[0, target]), abs=1e-6)
    acts = steer(reading, x[None], {}).acts[0].numpy()
    low, high = slider_ranges(stats, acts)
    for step in found.path:
        assert step.was == acts[step.feature] != step.value
        assert np.float32(low[step.feature]) <= step.value <= np.float32(high[step.feature])


def test_what_is_said_already_needs_no_edit(reading: SAE, classifier: Classifier, images: ImageSet) -> None:
    x = torch.tensor(images.x[0])
    target = int(classifier(x[None]).argmax())
    found = change_mind(reading, classifier, x, target)
    assert found.success and not found.edits and not found.path
    assert np.array_equal(found.probabilities_before, found.probabilities_after)


def test_it_ends_when_it_may_not_or_cannot_go_on(classifier: Classifier, images: ImageSet) -> None:
    sae, x, target = load("topk-1024-k50"), torch.tensor(images.x[0]), (int(images.labels[0]) + 1) % 10
    assert not change_mind(sae, classifier, x, target, max_edits=0).edits
    one = change_mind(sae, classifier, x, target, max_edits=1, candidates=[3, 4, 5])
    assert set(one.edits) <= {3, 4, 5} and len(one.edits) <= 1
    assert not change_mind(sae, classifier, x, target, candidates=[]).success
    silent = [f for f in range(100) if f not in used(sae(x[None]).acts[0])]
    assert not change_mind(sae, classifier, x, target, candidates=silent, steps=[0.0]).edits  # 0 is what they are


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"target": 11}, "there is no class 11: this classifier has 0 to 10"),
        ({"target": True}, "there is no class True"),
        ({"x": torch.zeros(1, 784)}, r"one picture is \[784\], not \[1, 784\]"),
        ({"x": torch.zeros(783)}, "reads"),
        ({"x": torch.full((784,), torch.nan)}, "NaN"),
        ({"mode": "both"}, "the mode must be one of"),
        ({"candidates": [1024]}, "there is no feature 1024"),
        ({"steps": [0.0, 1.5]}, "steps are shares of a slider, from 0 to 1"),
        ({"sae": ENSEMBLE}, "choose a member"),
    ],
)
def test_what_cannot_be_asked_is_said(classifier: Classifier, wrong: dict[str, Any], words: str) -> None:
    asked: dict[str, Any] = {"sae": build("topk", None), "x": torch.zeros(784), "target": 1, "mode": "plain"} | wrong
    sae, x, target = (asked.pop(key) for key in ("sae", "x", "target"))
    with pytest.raises(ValueError, match=words):
        change_mind(sae, classifier, x, target, **asked)
    with pytest.raises(ValueError, match=words):
        random_edits(sae, classifier, x, target, 1, torch.Generator(), **asked)


def test_candidates_are_the_images_and_the_classs(classifier: Classifier) -> None:
    sae = build("topk", TopKConfig(d_sae=8, k=2))
    acts, now = torch.tensor([0.0, 1.0, 0, 5.0, 2.0, 0, 0, 0]), torch.rand(1, 784)
    means = np.zeros((8, 10))
    means[0, 7], means[5, 7], means[5, 2], means[3, 7] = 1.0, 4.0, 36.0, 0.5
    stats: Any = SimpleNamespace(minimum=np.zeros(8), maximum=np.ones(8), class_means=means, class_n=np.full(10, 5))
    assert likely(sae, classifier, acts, now, 7, stats, most=4) == [3, 4, 0, 1]  # 5 is less a 7's than other digits'
    assert likely(sae, classifier, acts, now, 7, stats, most=5)[:4] == [3, 4, 0, 1]
    assert sorted(likely(sae, classifier, acts, now, 7, stats)) == list(range(8))
    assert sorted(likely(sae, classifier, acts, now, 10, stats)) == list(range(8))  # a class the statistics have not


def test_without_statistics_the_slope_of_the_margin_decides(images: ImageSet, classifier: Classifier) -> None:
    """Readable: what a thousandth of the way changes, one feature at a time."""
    sae, x, target = load(HIDDEN), torch.tensor(images.x[2:3]), 8
    out = sae(h := sae.read(x))
    low, high = slider_ranges(None, out.acts[0].numpy())
    gains = []
    for f in range(98):
        ends = []
        for end in (low[f], high[f]):
            step = float(end - out.acts[0, f]) / 1000
            moved = classifier.logits(h.double().float() + step * sae.W_dec[f])[0].double()
            ends.append(margin(moved, target) - margin(classifier.logits(h)[0].double(), target))
        gains.append(max(ends))
    found = likely(sae, classifier, out.acts[0], h, target, most=98)
    active = used(out.acts[0])
    assert found[:49] == active[:49]
    rest = [f for f in np.argsort(-np.array(gains)).tolist() if f not in active[:49]]
    assert len(set(found[49:59]) & set(rest[:10])) >= 9  # float32 steps blur who is tenth


# ---- the control


def test_random_edits_are_those_that_are_tried(classifier: Classifier, images: ImageSet) -> None:
    """Single edits: the share is that of all (feature, value) pairs, each feature as likely as the others."""
    sae, x = load(HIDDEN), torch.tensor(images.x[0])
    stats = features.read(catalogue.find(HIDDEN)[0], "mnist", "train")
    acts = sae(sae.read(x[None])).acts[0]
    label = int(images.labels[0])
    target = int(classifier(x[None])[0].topk(2).indices[1])
    candidates = [*used(acts)[:20], 0, 1, 2, 3]
    by_feature = []
    for f in dict.fromkeys(candidates):
        low, high = slider_range(stats, f, float(acts[f]))
        values = {np.float32(s * end) for s in (0, 0.5, 1) for end in (low, high)} - {acts[f].item()}
        codes = [edit_code(acts, {f: float(v)}) for v in values]
        by_feature.append(np.mean([margin(says(sae, classifier, x, c, "plain"), target) > 0 for c in codes]))
    found = random_edits(
        sae, classifier, x, target, 1, torch.Generator().manual_seed(0),
        mode="plain", candidates=candidates, stats=stats, trials=4000,
    )  # fmt: skip
    assert found == pytest.approx(np.mean(by_feature), abs=0.03)
    assert target != label


def test_random_edits_follow_their_seed_and_their_number(classifier: Classifier, images: ImageSet) -> None:
    sae, x = load(HIDDEN), torch.tensor(images.x[0])
    said = int(classifier(x[None]).argmax())
    other = torch.tensor(load_dataset("digits", "test").x[0])
    near = int(classifier(other[None])[0].topk(2).indices[1])
    rates = [random_edits(sae, classifier, other, near, 20, torch.Generator().manual_seed(s)) for s in (7, 7, 8)]
    assert 0 < rates[0] < 1
    assert rates[0] == rates[1] != rates[2]
    assert random_edits(sae, classifier, x, said, 0, torch.Generator()) == 1
    assert random_edits(sae, classifier, x, (said + 1) % 10, 0, torch.Generator()) == 0
    with pytest.raises(ValueError, match="100 trials of 3 edits are not possible: there are 2 candidates"):
        random_edits(sae, classifier, x, 3, 3, torch.Generator(), candidates=[1, 2, 1])


def test_on_mnist_few_edits_change_its_mind_and_random_ones_do_not(mnist_dir: Path, classifier: Classifier) -> None:
    images = load_dataset("mnist", "test", mnist_dir)
    sae = load("topk-1024-k50")
    stats = features.read(catalogue.find("topk-1024-k50")[0], "mnist", "train")
    changed, at_random = [], []
    for i in range(12):
        x, target = torch.tensor(images.x[i]), (int(images.labels[i]) + 1 + i % 9) % 10
        found = change_mind(sae, classifier, x, target, stats=stats)
        changed.append(found.success)
        generator = torch.Generator().manual_seed(i)
        at_random.append(random_edits(sae, classifier, x, target, len(found.edits), generator, stats=stats, trials=50))
    assert np.mean(changed) >= 0.8
    assert np.mean(at_random) <= 0.2


# ---- over many images


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("solo", [None, [1, 2, 3, 5, 8, 13]])
def test_many_images_are_each_by_itself(
    reading: SAE, classifier: Classifier, images: ImageSet, mode: str, solo: list[int] | None
) -> None:
    n = 13
    x, labels = torch.tensor(images.x[:n]), images.labels[:n]
    edits: Edits = {3: 2.0, 5: Edit("scale", 3.0), 8: Edit("clamp", low=0, high=0.5)}
    found = apply_to_many(reading, classifier, images.x[:n], labels, edits, mode, solo, batch_size=5)
    p = {}
    for t in SCALES:
        acts = reading.encode(reading.read(x))
        codes = scaled(edits, acts, t, solo)
        p[t] = torch.stack([says(reading, classifier, x[i], codes[i], mode) for i in range(n)]).double().softmax(-1)
    for t, confusion in ((0, found.confusion_before), (1, found.confusion_after)):
        slow = np.zeros((11, 11), int)
        for label, row in zip(labels, p[t], strict=True):
            slow[label, int(row.argmax())] += 1
        assert np.array_equal(confusion, slow)
    change = (p[1] - p[0]).numpy()
    np.testing.assert_allclose(found.mean_change, change.mean(0), atol=1e-5)
    reach = 1.959964 * change.std(0, ddof=1) / np.sqrt(n)
    np.testing.assert_allclose(found.interval, np.stack([change.mean(0) - reach, change.mean(0) + reach], 1), atol=1e-4)
    np.testing.assert_allclose(found.dose, [p[t].mean(0).numpy() for t in SCALES], atol=1e-4)
    assert (found.n, found.scales) == (n, SCALES)
    whole = apply_to_many(reading, classifier, x, torch.tensor(labels), edits, mode, solo)
    np.testing.assert_allclose(whole.dose, found.dose, atol=1e-6)
    np.testing.assert_allclose(whole.interval, found.interval, atol=1e-6)


def test_no_edit_changes_nothing_over_many(reading: SAE, classifier: Classifier, images: ImageSet) -> None:
    found = apply_to_many(reading, classifier, images.x[:20], images.labels[:20], {}, scales=(2, 0))
    assert np.array_equal(found.confusion_before, found.confusion_after)
    assert not found.mean_change.any() and not found.interval.any()
    assert np.array_equal(found.dose[0], found.dose[1])
    assert found.confusion_before.sum() == 20
    assert np.array_equal(found.confusion_before.sum(1), np.bincount(images.labels[:20], minlength=11))


def test_a_single_image_has_no_interval(classifier: Classifier, images: ImageSet) -> None:
    found = apply_to_many(build("topk", None), classifier, images.x[:1], images.labels[:1], {0: 1.0}, scales=[1])
    assert np.isnan(found.interval).all()
    assert np.isfinite(found.mean_change).all() and found.dose.shape == (1, 11)


def test_two_images_by_hand() -> None:
    x = np.array([[0.25], [0.75]], np.float32)
    found = apply_to_many(Pixels(0), two_say([2], 1), x, np.array([0, 1]), {0: Edit("scale", 0.0)}, scales=[1, 0])
    assert found.confusion_before.tolist() == [[1, 0], [0, 1]] and found.confusion_after.tolist() == [[1, 0], [1, 0]]
    p = 1 / (1 + np.exp([0.5, -0.5, 1]))  # of class 1: of both before, of any after
    change = p[2] - p[:2]
    reach = 1.959964 * change.std(ddof=1) / 2**0.5
    np.testing.assert_allclose(found.interval[1], [change.mean() - reach, change.mean() + reach], rtol=1e-5)
    np.testing.assert_allclose(found.dose[:, 1], [p[2], p[:2].mean()], rtol=1e-6)
    kinds = {name: getattr(found, name).dtype.name for name in ("confusion_after", "mean_change", "interval", "dose")}
    assert kinds == {"confusion_after": "int64", **dict.fromkeys(("mean_change", "interval", "dose"), "float64")}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"labels": np.zeros(2, int)}, "there are 3 images but labels of shape"),
        ({"labels": np.array([0, 11, 2])}, "the classifier knows classes 0 to 10"),
        ({"labels": np.array([0, -1, 2])}, "the classifier knows classes 0 to 10"),
        ({"x": np.zeros((0, 784), np.float32), "labels": np.zeros(0, int)}, "nothing to measure"),
        ({"x": np.zeros((3, 783), np.float32)}, r"this SAE reads \[N, 784\]"),
        ({"scales": [0, float("nan")]}, "strengths must be finite"),
        ({"edits": {1024: 1.0}}, "there is no feature 1024"),
        ({"solo": [-1]}, "there is no feature -1"),
        ({"mode": "both"}, "the mode must be one of"),
        ({"sae": ENSEMBLE}, "choose a member"),
    ],
)
def test_what_cannot_be_applied_to_many_is_said(classifier: Classifier, wrong: dict[str, Any], words: str) -> None:
    x = np.zeros((3, 784), np.float32)
    asked: dict[str, Any] = {"sae": build("topk", None), "x": x, "labels": np.zeros(3, int), "edits": {}} | wrong
    with pytest.raises(ValueError, match=words):
        apply_to_many(classifier=classifier, **asked)
