"""The Features page: its orders and words by hand, what it sends to the browser, and what a person can do in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from sae_core.figures import charts
from sae_core.measure.features import TOP, FeatureStats
from sae_core.measure.lists import key_features
from tests.stepping import step
from ui.base import models, state, words
from ui.features import wall
from ui.live.tiles import levels

pytestmark = pytest.mark.without_mnist
ROOT = Path(__file__).parent.parent


def _stats() -> FeatureStats:
    """Five features over 2,000 images in ten classes of 200."""
    rates = np.zeros((5, 10), np.float32)
    rates[0, 7] = 0.5  # a 7
    rates[1] = 0.4  # everything
    rates[2, 7] = 0.01  # on two 7s only: the same lift as feature 0, and too few to say so
    rates[4, [3, 7]] = 0.3, 0.2
    count = np.round(200 * rates.sum(1)).astype(int)
    top = np.full((5, TOP), -1)
    return FeatureStats(
        dataset="digits",
        split="train",
        n=2000,
        count=count,
        mean_active=np.ones(5, np.float32),
        maximum=np.ones(5, np.float32),
        minimum=np.zeros(5, np.float32),
        class_rates=rates,
        class_means=rates,
        class_n=np.full(10, 200),
        top_indices=top,
        top_values=np.zeros((5, TOP), np.float32),
        mean_picture=np.zeros((5, 784), np.uint8),
    )


def test_orders_by_hand() -> None:
    orders = wall.orders(_stats())
    assert orders["frequency"].tolist() == [1, 0, 4, 2, 3]  # 800, 100, 100, 2 and 0 images; 3 is dead
    assert orders["7"].tolist() == [0, 4, 1, 2, 3]  # lifts 10, 4 and 1; then the one on few images, then the dead
    assert set(orders) == {"frequency", *map(str, range(10))}
    often = _stats()
    often.class_rates[2, [7, 3]] = 0.045, 0.015  # 12 images: lift 7.5 on 7s, of which under a twentieth activate it
    often.count[2] = 12
    assert wall.orders(often)["7"].tolist() == [0, 4, 1, 2, 3]
    assert wall.orders(often)["3"].tolist() == [4, 1, 2, 0, 3]


@pytest.mark.parametrize("name", ["topk-1024-k50", "relu-l1-1024"])
def test_the_wall_and_the_digits_page_say_the_same_of_a_class(name: str) -> None:
    stats = models.Model(name, "0", ROOT / "checkpoints" / name).stats("mnist")
    orders = wall.orders(stats)
    for c, key in enumerate(key_features(stats, "lift")):
        order = orders[str(c)]
        assert len(key) and order[: len(key)].tolist() == key.tolist()
        assert (stats.class_rates[order[: len(key)], c] >= 0.049).all()
        assert sorted(order.tolist()) == list(range(len(stats.count)))
        assert stats.dead[order[len(order) - stats.dead.sum() :]].all()


def test_notes_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.Model, "stats", lambda self, dataset: _stats())
    said = wall.notes(models.Model("by-hand", "0", ROOT), "digits")
    assert said[0] == "active on 5.0 % · mostly 7s"
    assert said[1] == "active on 40 % · most often on 0s"
    assert said[2] == "rare: active on 0.10 % · mostly 7s"
    assert said[3] == "never active on digits/train"
    assert said[4] == "active on 5.0 % · mostly 3s"


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0.00 %"), (0.42, "42 %"), (0.032, "3.2 %"), (0.0005, "0.05 %"), (1e-6, "< 0.01 %")]
)
def test_percent(share: float, text: str) -> None:
    assert words.percent(share) == text


def test_figures_say_what_they_show() -> None:
    stats = _stats()
    one = charts.class_rates(0, stats.class_rates[0], stats.class_n, list("0123456789"), 0.05, "digits/train")
    assert one.data[0].y[7] == pytest.approx(50)
    assert one.layout.shapes[0].y0 == pytest.approx(5)
    assert "digits/train, n = 2,000" in one.layout.title.subtitle.text
    all_ = charts.frequencies(stats.frequency, 0.003, stats.usage.said(), "digits/train", stats.n)
    assert sum(all_.data[0].y) == 4
    assert "3 in use, 1 rare, 1 dead; dashed: 0.3 %" in all_.layout.title.subtitle.text
    assert all_.layout.shapes[0].x0 == all_.layout.shapes[0].x1 == pytest.approx(np.log10(0.003))
    assert sum(charts.frequencies(np.ones(3), 0.003, "", "digits/train", 1).data[0].y) == 3
    assert sum(charts.frequencies(np.zeros(3), 0.003, "", "digits/train", 10).data[0].y) == 0


# ---- the page


def _open(over: str | None = None, **query: str) -> AppTest:
    """The page with a query, and with the statistics over a data set chosen."""
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    if over:
        at.session_state["chosen_statistics"] = over
    for key, value in query.items():
        at.query_params[key] = value
    return at.switch_page("pages/2_Features.py").run()


def _sent(at: AppTest, key: str) -> dict[str, Any]:
    """What the component was given whose data say that id."""
    for component in at.get("bidi_component"):
        if component.proto.WhichOneof("data") == "json" and key in component.proto.json:
            data = json.loads(component.proto.json)
            if data.get("id") == key or data.get("wall") == key:
                return data
    raise AssertionError(f"there is no component {key}")


def _chosen_model(at: AppTest) -> models.Model:
    from sae_core.store import catalogue

    c = catalogue.read(at.session_state["chosen_model"])
    return models.Model(c.name, c.hash, c.path)


def test_opens_with_the_wall_and_nothing_open() -> None:
    at = _open()
    assert not at.exception, at.exception
    assert at.subheader[0].value == "No feature open"
    assert _chosen_model(at).measured == ["mnist", "digits"], "the data it was trained on come first"
    stats = _chosen_model(at).stats("mnist")
    sent = _sent(at, "feature-wall")
    n = len(stats.count)
    assert len(sent["notes"]) == n
    assert all(sorted(order) == list(range(n)) for order in sent["orders"].values())
    assert sent["dead"] == np.flatnonzero(stats.dead).tolist()
    said = next(c.value for c in at.caption if "dead" in c.value)
    share = stats.count / stats.n
    dead, rare = int((share == 0).sum()), int(((share > 0) & (share < 0.003)).sum())
    assert f"Of {n:,} features {n - dead - rare:,} in use, {rare:,} rare, {dead:,} dead on " in said
    assert f"{stats.dataset}/{stats.split}, n = {stats.n:,}" in said


def test_a_deep_link_opens_its_feature() -> None:
    model = _chosen_model(_open())
    f = int(model.stats("digits").count.argmax())
    at = _open(feature=str(f), data="digits", over="digits")
    assert not at.exception, at.exception
    assert at.subheader[0].value == f"Feature {f}"
    assert _sent(at, "feature-number")["value"] == f
    stats = model.stats("digits")
    pictures = _sent(at, "feature-detail")["tiles"]
    assert [(t["rows"], t["feature"]) for t in pictures[:2]] == [("encoder", f), ("decoder", f)]
    assert pictures[2]["levels"] == levels(stats.mean_picture[f])
    images = _sent(at, "top-images")["tiles"]
    assert [t["value"] for t in images] == [f"digits-train-{i}" for i in stats.top_indices[f, :12]]
    near = _sent(at, "nearest-decoder")["tiles"]
    D = model.sae.inference_form().D
    cosine = D @ D[f] / np.linalg.norm(D, axis=1) / np.linalg.norm(D[f])
    assert [t["value"] for t in near] == np.argsort(-cosine)[1:7].tolist()


def test_going_from_feature_to_feature() -> None:
    at = _open()
    next(b for b in at.button if b.label == "Open feature 0").click().run()
    assert at.subheader[0].value == "Feature 0"
    last = len(_sent(at, "feature-wall")["notes"]) - 1
    step(at, "feature-number", str(last + 1), 1)
    assert at.subheader[0].value == "Feature 1"
    assert "".join(at.query_params["feature"]) == "1"
    step(at, "feature-number", str(last + 1), last)
    assert at.subheader[0].value == f"Feature {last}"
    step(at, "feature-number", str(last + 1), last + 1)  # there is none
    assert at.subheader[0].value == f"Feature {last}"
    step(at, "feature-number", str(last + 1), 17)
    assert at.subheader[0].value == "Feature 17"
    assert "".join(at.query_params["feature"]) == "17"
    assert not at.exception, at.exception


def test_a_dead_feature_is_called_dead() -> None:
    stats = _chosen_model(_open()).stats("digits")
    dead = np.flatnonzero(stats.dead)
    if not len(dead):
        pytest.skip("this model has no dead feature on the embedded digits")
    at = _open(feature=str(dead[0]), data="digits", over="digits")
    assert not at.exception, at.exception
    assert any("never active on digits/train" in i.value for i in at.info)


def test_statistics_of_one_data_set_go_with_images_of_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without MNIST on the disk: its statistics are shown all the same, and the images are embedded digits."""
    monkeypatch.setenv("SAE_DATA", str(tmp_path))
    model = _chosen_model(_open())
    f = int(model.stats("digits").count.argmax())
    at = _open(feature=str(f))
    assert any("mnist/train, n = 60,000" in c.value for c in at.caption)
    assert _sent(at, "feature-detail")["tiles"][2]["levels"] == levels(model.stats("mnist").mean_picture[f])
    shown = [t["value"] for t in _sent(at, "top-images")["tiles"]]
    assert shown == [f"digits-train-{i}" for i in model.stats("digits").top_indices[f, :12]]


def test_without_statistics_the_weights_are_still_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    from sae_core.files import CheckpointError

    def none(self: models.Model, dataset: str, split: str = "train") -> FeatureStats:
        raise CheckpointError("features-digits-train.safetensors is missing")

    monkeypatch.setattr(models.Model, "stats", none)
    at = _open(feature="3")
    assert not at.exception, at.exception
    assert "is missing" in at.info[0].value
    assert at.subheader[0].value == "Feature 3"
    assert _sent(at, "feature-wall")["orders"] == {}
    assert len(_sent(at, "feature-detail")["tiles"]) == 2


def test_what_can_be_read_of_the_features_stands_above_them() -> None:
    for name, places in ((state.DEFAULT_MODEL, "mnist/test"), ("ensemble-tied-topk-1024-k50/3", "mnist/test#3")):
        kept = json.loads((ROOT / "checkpoints" / name.partition("/")[0] / "metrics.json").read_text())
        r = kept["readability"][places]
        at = _open(model=name)
        (said,) = [m.value for m in at.markdown if "features are in use" in m.value]
        assert said.startswith(f"**{r['in_use']} of {sum(r[key] for key in ('in_use', 'rare', 'dead')):,}** features")
        assert f"**{r['smooth_dec']:.2f}** in what they add to a picture and **{r['smooth_enc']:.2f}** in what" in said
        assert f"**{100 * r['purity']:.0f} %** are of one class (chance 11 %)" in said
        assert "On mnist/test, n = 10,000" in said
    (said,) = [m.value for m in _open(model="exp3-kl-98-rho0.1").markdown if "features are in use" in m.value]
    assert "their smoothness is not measured: what it reads are no pictures" in said and "(chance 11 %)" in said


def test_what_was_not_measured_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "checkpoints" / "topk-1024-k50", tmp_path / "mine")
    metrics = json.loads((tmp_path / "mine" / "metrics.json").read_text())
    metrics.pop("readability")
    (tmp_path / "mine" / "metrics.json").write_text(json.dumps(metrics))
    monkeypatch.setenv("SAE_CHECKPOINTS", str(tmp_path))
    at = _open(model="mine")
    assert not at.exception and any("sae_core readability mine --save" in c.value for c in at.caption)


def test_the_table_is_the_wall_in_numbers() -> None:
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    at.session_state["feature-table"] = True
    at.switch_page("pages/2_Features.py").run()
    assert not at.exception, at.exception
    stats = _chosen_model(at).stats("mnist")
    table = at.dataframe[0].value
    assert table["feature"].tolist() == list(range(len(stats.count)))
    np.testing.assert_allclose(table["active on (%)"], 100 * stats.frequency)
    share = stats.count / stats.n
    assert table["use"].tolist() == ["dead" if s == 0 else "rare" if s < 0.003 else "in use" for s in share.tolist()]


@pytest.mark.slow
def test_the_landscape_shows_use_and_map_when_it_is_opened() -> None:
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    at.session_state["feature-landscape"] = True
    at.switch_page("pages/2_Features.py").run()
    assert not at.exception, at.exception
    stats = _chosen_model(at).stats("mnist")
    shown = {c.proto.id.split("-", 2)[-1]: json.loads(c.proto.spec) for c in at.get("plotly_chart")}
    often = next(v for k, v in shown.items() if k.endswith("most-frequent"))
    top = np.argsort(-stats.frequency, kind="stable")[:25]
    assert often["data"][0]["x"] == [f"#{f}" for f in top]
    points = next(v for k, v in shown.items() if k.endswith("map-of-features"))
    assert "t-SNE" in points["layout"]["title"]["text"]
    assert "60,000" in points["layout"]["title"]["subtitle"]["text"]
    at.segmented_control("widget_map_ranking").set_value("largest").run()
    assert not at.exception, at.exception
    again = next(json.loads(c.proto.spec) for c in at.get("plotly_chart") if c.proto.id.endswith("map-of-features"))
    assert again["data"][0]["customdata"] != points["data"][0]["customdata"]
