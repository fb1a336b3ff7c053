"""The Digits page: its rankings and comparisons by hand, and what a person can do in it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from sae_core.datasets import load_dataset
from sae_core.figures import digits as figures
from sae_core.measure import geometry, lists
from sae_core.measure.features import FEW, TOP, FeatureStats
from sae_core.measure.lists import KEY_SHARE, by_first_class, by_lift, key_features
from sae_core.measure.metrics import pearson
from tests.stepping import mounted, step
from ui.base import models

pytestmark = pytest.mark.without_mnist
ROOT = Path(__file__).parent.parent
MODEL = "tied-topk-1024-k50"


def _stats() -> FeatureStats:
    """Five features over two classes of 100 and 300 images."""
    rates = np.array([[1.0, 1.0], [0.5, 0.1], [0.04, 0.0], [0.2, 0.5], [0.0, 0.0]], np.float32)
    means = np.array([[5.0, 4.0], [2.0, 0.5], [3.0, 0.0], [0.1, 2.0], [0.0, 0.0]], np.float32)
    class_n = np.array([100, 300])
    return FeatureStats(
        dataset="digits",
        split="train",
        n=400,
        count=np.round(rates @ class_n).astype(int),
        mean_active=np.ones(5, np.float32),
        maximum=np.ones(5, np.float32),
        minimum=np.zeros(5, np.float32),
        class_rates=rates,
        class_means=means,
        class_n=class_n,
        top_indices=np.full((5, TOP), -1),
        top_values=np.zeros((5, TOP), np.float32),
        mean_picture=np.zeros((5, 784), np.uint8),
    )


def test_rankings_by_hand() -> None:
    stats = _stats()
    # Feature 2 has the largest lift for class 0 and is active on 4 of its images only: too few to say so.
    assert [o.tolist() for o in key_features(stats, "lift")] == [[1, 0, 3], [3, 0, 1]]
    assert [o.tolist() for o in key_features(stats, "mean")] == [[0, 2, 1, 3], [0, 3, 1]]
    harm = np.array([[3, 1], [1, 0], [2, 0], [1, 5], [9, 9]], np.float32)
    assert [o.tolist() for o in key_features(replace(stats, importance=harm), "importance")] == [
        [0, 2, 1, 3],
        [3, 0, 1],
    ]
    # A smaller share changes nothing while the images are fewer than FEW.
    assert key_features(stats, "lift", 0.01)[0].tolist() == [1, 0, 3]
    assert key_features(stats, "lift", 0.6)[0].tolist() == [0]


def test_the_least_share_is_enough() -> None:
    rates, often = np.array([[0.25, 0.5], [0.24, 0.5]]), np.array([0.3, 0.3])
    assert [o.tolist() for o in by_lift(rates, often, least=0.25)] == [[0], [0, 1]]
    assert [o.tolist() for o in by_lift(rates, often, np.array([100, 20]), least=0.25)] == [[0], [0, 1]]
    assert [o.tolist() for o in by_lift(rates, often, np.array([100, 18]), least=0.25)] == [[0], []], (
        "FEW of its images"
    )
    turns = by_lift(np.tile([[0.25], [0.5]], (50, 1)), np.full(100, 0.5), np.array([100]))
    assert turns[0].tolist() == [*range(1, 100, 2), *range(0, 100, 2)], "ties by number"


def test_union_by_hand() -> None:
    lists = [np.array([4, 1, 2]), np.array([2, 4, 3]), np.array([], int)]
    features, groups = by_first_class(lists, 2)
    assert features.tolist() == [4, 1, 2] and groups.tolist() == [0, 0, 1]
    features, groups = by_first_class(lists, 3)
    assert features.tolist() == [4, 1, 2, 3] and groups.tolist() == [0, 0, 1, 1]
    none, of_none = by_first_class([np.array([], int)], 3)
    assert len(none) == len(of_none) == 0 and none.dtype == of_none.dtype == np.int64
    features, groups = by_first_class([np.array([4, 9, 2]), np.array([3, 2])], 3)
    assert features.tolist() == [4, 9, 3, 2] and groups.tolist() == [0, 0, 1, 1], "2 is earlier in the other list"


def test_sharing_by_hand() -> None:
    found = lists.compare([np.array([4, 1, 2]), np.array([2, 4, 3]), np.array([7, 4, 9])], top=2)
    assert dict(zip(found.features.tolist(), found.lists.tolist(), strict=True)) == {1: 1, 2: 1, 4: 3, 7: 1}
    assert found.shared.tolist() == [[2, 1, 1], [1, 2, 1], [1, 1, 2]]
    assert found.own == [[1], [2], [7]]


def test_cosines_by_hand() -> None:
    cosine = geometry.cosines(np.array([[3, 0, 1, 0], [0, 2, 1, 0]], np.float16).T)
    assert cosine[0, 1] == 0 and cosine[0, 2] == pytest.approx(0.5**0.5) and cosine[0, 0] == pytest.approx(1)
    assert np.isfinite(cosine).all(), "a class without any activation"


def test_figures_say_what_they_show() -> None:
    stats, names = _stats(), ["0", "1"]
    bars = figures.mean_code_bars(np.array([0, 2]), stats.class_means[[0, 2], 0], np.ones(2), "0", "digits/train", 100)
    assert list(bars.data[0].y) == [5, 3] and list(bars.data[0].x) == ["#0", "#2"]
    square = figures.mean_code_map(stats.class_means[:, 0], "0", "digits/train", 100)
    assert np.shape(square.data[0].z) == (3, 3) and np.isnan(np.array(square.data[0].z)).sum() == 4
    signed = figures.mean_code_map(np.array([-1.0, 2.0]), "0", "digits/train", 100)
    assert signed.data[0].zmid == 0
    rates = figures.key_feature_rates(
        np.array([1, 3]), np.array([0, 1]), stats.class_rates[[1, 3]], names, "digits/train", 400
    )
    np.testing.assert_allclose(rates.data[0].z, [[50, 20], [10, 50]], rtol=1e-6)
    assert len(rates.layout.shapes) == 1
    shared = figures.shared_key_features(np.array([[30, 4], [4, 30]]), names, 30, "digits/train", 400)
    assert np.isnan(shared.data[0].z[0][0]) and shared.data[0].z[0][1] == 4
    cosines = figures.code_cosines(np.array([[1, 0.2], [0.2, 1]]), names, "digits/train", 400)
    assert list(cosines.data[1].text) == ["1.00", "0.20", "0.20", "1.00"]
    assert list(cosines.data[1].textfont.color) == ["black", "white", "white", "black"]
    lists = figures.lists_per_feature(np.array([1, 1, 2]), 2, 30, "digits/train", 400)
    assert list(lists.data[0].y) == [2, 1]
    for figure in (bars, square, rates, shared, cosines, lists):
        assert "digits/train, n = " in figure.layout.title.subtitle.text


# ---- the page


def _open(model: str = MODEL, over: str = "digits", **session: Any) -> AppTest:
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    at.query_params["model"], at.query_params["data"] = model, "digits"
    at.session_state["chosen_statistics"] = over
    for key, value in session.items():
        at.session_state[key] = value
    return at.switch_page("pages/4_Digits.py").run()


def _sent(at: AppTest, key: str) -> Any:
    """The tiles that the component with that id was given."""
    for component in at.get("bidi_component"):
        if component.proto.WhichOneof("data") == "json" and key in component.proto.json:
            data = json.loads(component.proto.json)
            if data.get("id") == key:
                return data["tiles"]
    raise AssertionError(f"there is no component {key}")


def _choose(at: AppTest, key: str, value: str) -> AppTest:
    return at.segmented_control(f"widget_{key}").set_value(value).run()


def test_the_ranking_switch_changes_the_order() -> None:
    at = _choose(_open(over="mnist"), "digit", "7")
    assert not at.exception, at.exception
    stats = models.listed()[0][MODEL].stats("mnist")
    rates = stats.class_rates.astype(np.float64)
    enough = np.flatnonzero(rates[:, 7] * stats.class_n[7] >= max(FEW, KEY_SHARE * stats.class_n[7]))
    lift = rates[enough, 7] / stats.frequency[enough]
    by_lift = [t["feature"] for t in _sent(at, "key-features")]
    # The page's lifts are of half precision: two that are equal in it may stand in either order.
    values = rates[by_lift, 7] / stats.frequency[by_lift]
    np.testing.assert_allclose(values, np.sort(lift)[::-1][:12], rtol=2e-3)
    assert f"lift {values[0]:.1f}" in _sent(at, "key-features")[0]["caption"]
    at = _choose(at, "ranking", "mean")
    by_mean = [t["feature"] for t in _sent(at, "key-features")]
    assert by_mean == np.argsort(-stats.class_means[:, 7].astype(float), kind="stable")[:12].tolist()
    assert not set(by_mean) & set(by_lift)
    # What the ranking by lift is for: nearly every image activates the first feature by mean.
    assert stats.frequency[by_mean[0]] > 0.95 and stats.frequency[by_lift].max() < 0.5
    said = next(c.value for c in at.caption if "more than half" in c.value)
    assert f"{(stats.frequency[by_mean] > 0.5).sum()} of these 12" in said
    assert [s.value for s in at.subheader][:2] == ["The mean code of a 7", "Key features of the 7"]


def test_the_digit_stays_on_other_pages() -> None:
    at = _choose(_open(), "digit", "3")
    at.switch_page("pages/2_Features.py").run()
    at.switch_page("pages/4_Digits.py").run()
    assert not at.exception, at.exception
    assert at.subheader[0].value == "The mean code of a 3"


def test_distinctive_features_are_in_no_other_list() -> None:
    at = _open(over="mnist")
    table = at.dataframe[0].value
    stats = models.listed()[0][MODEL].stats("mnist")
    first = [set(o[:30].tolist()) for o in key_features(stats, "lift")]
    for c, text in enumerate(table["features"]):
        own = {int(f.strip("# ")) for f in text.split(",")} if text else set()
        assert own == first[c] - set().union(*(s for d, s in enumerate(first) if d != c))
        assert table["distinctive"][c] == len(own)


def test_images_in_order_and_page_by_page() -> None:
    at = _open(chosen_digit="4")
    labels = load_dataset("digits", "test").labels
    of_it = np.flatnonzero(labels == 4)
    assert [t["value"] for t in _sent(at, "digit-images")] == [f"digits-test-{i}" for i in of_it[:24]]
    here = mounted(at, "images-page")
    step(at, "images-page", here["of"], 1)
    assert [t["value"] for t in _sent(at, "digit-images")] == [f"digits-test-{i}" for i in of_it[24:48]]
    step(at, "images-page", here["of"], here["most"])
    assert _sent(at, "digit-images")[-1]["value"] == f"digits-test-{of_it[-1]}"
    at = _choose(at, "images_split", "train")
    assert _sent(at, "digit-images")[0]["value"].startswith("digits-train-")
    assert not at.exception, at.exception


def test_the_worst_reconstructed_come_first() -> None:
    at = _open(chosen_digit="4", chosen_images_order="worst")
    assert not at.exception, at.exception
    images, sae = load_dataset("digits", "test"), models.listed()[0][MODEL].sae
    of_it = np.flatnonzero(images.labels == 4)
    x = torch.from_numpy(images.x[of_it])
    r = pearson(x, sae(x).x_hat).numpy()
    shown = _sent(at, "digit-images")
    assert [t["value"] for t in shown] == [f"digits-test-{i}" for i in of_it[np.argsort(r, kind="stable")[:12]]]
    assert shown[0]["caption"] == f"{r.min():.3f}"
    assert len(_sent(at, "digit-reconstructions")) == 12


def test_a_taken_image_is_marked_and_leads_on() -> None:
    of_it = np.flatnonzero(load_dataset("digits", "test").labels == 4)
    at = _open(chosen_digit="4")
    at.session_state["chosen_image"] = f"digits-test-{of_it[2]}"
    at.run()
    assert [t["chosen"] for t in _sent(at, "digit-images")][:4] == [False, False, True, False]
    assert any(f"Image {of_it[2]} of digits/test, a 4" in c.value for c in at.caption)


def test_without_mnist_its_statistics_are_shown_all_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAE_DATA", str(tmp_path))
    at = _open(over="mnist")
    assert not at.exception and not at.error
    assert [t["caption"] for t in _sent(at, "mean-pictures")] == ["decoded mean code", "mean image"]
    assert _sent(at, "mean-pictures")[1]["levels"] is None
    assert any("mnist are not on this computer" in c.value for c in at.caption)
    assert _sent(at, "digit-images")[0]["value"].startswith("digits-test-")


def test_without_statistics_the_images_are_still_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    from sae_core.files import CheckpointError

    def none(self: models.Model, dataset: str, split: str = "train") -> FeatureStats:
        raise CheckpointError("features-digits-train.safetensors is missing")

    monkeypatch.setattr(models.Model, "stats", none)
    at = _open()
    assert not at.exception, at.exception
    assert "is missing" in at.info[0].value
    assert [s.value for s in at.subheader] == ["Images of the 0"]
    assert len(_sent(at, "digit-images")) == 24
