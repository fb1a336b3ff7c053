"""What Steer does with the edits that the browser sends: computed by Python, kept, refused in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.runtime.scriptrunner import StopException
from streamlit.testing.v1 import AppTest

from sae_core import CheckpointError, load, load_dataset, reference
from sae_core.measure.metrics import pearson
from sae_core.models.classifier import Classifier
from sae_core.steering import asking, many, mind, recipes, sliders
from sae_core.steering.edits import Edit, Edits, Steered, steer
from sae_core.steering.recipes import Recipe, pack, unpack
from sae_core.store.checkpoints import load_classifier
from tests.test_pages import open_page
from ui.base import models
from ui.live.classifier import DEFAULT, classifier_for
from ui.steer import strips as steer_component

pytestmark = pytest.mark.without_mnist
PAGE = "pages/3_Steer.py"
IMAGE = "digits-test-3"


def opened(image: str = IMAGE) -> AppTest:
    return open_page(PAGE, model="topk-1024-k50", data="digits", image=image)


def sent_to_strips(at: AppTest) -> dict[str, Any]:
    """The data of the strips as the browser gets it."""
    found = [json.loads(c.proto.json) for c in at.get("bidi_component") if c.proto.component_name == "sae_steer_strips"]
    assert len(found) == 1
    return found[0]


def send(at: AppTest, **edits: Any) -> AppTest:
    """As the strips do on release: their state is there before the page runs."""
    data = sent_to_strips(at)
    message = {
        "seq": data["seq"] + 1,
        "ref": data["picture"]["ref"],
        "model": data["model"],
        "mode": "error-preserving",
        "edits": {},
        "added": [],
        **edits,
    }
    at.session_state["steer"] = {"edits": message, "feature": None}
    return at.run()


def numbers(at: AppTest) -> dict[str, str]:
    return {m.label: m.value for m in at.metric}


def expected(edits: dict[int, float], mode: str = "error-preserving") -> tuple[torch.Tensor, Steered]:
    x = torch.from_numpy(np.array(reference.find_picture(IMAGE).x))[None]
    return x, steer(load("topk-1024-k50"), x, edits, mode)


def strongest() -> int:
    return int(expected({})[1].acts[0].argmax())


def test_untouched_nothing_changes() -> None:
    at = opened()
    assert not at.exception, at.exception
    assert numbers(at)["Largest change"] == "0.0000"
    assert numbers(at)["Pearson(original, steered)"] == "1.0000"
    data = sent_to_strips(at)
    assert (data["seq"], data["edits"], data["added"], data["mode"]) == (0, {}, [], "error-preserving")
    assert len(data["high"]) == 1024
    assert min(data["high"]) > 0, "a slider could not move"


@pytest.mark.parametrize("mode", ["error-preserving", "plain"])
def test_python_computes_the_edits_again(mode: str) -> None:
    at = opened()
    f = strongest()
    other = next(g for g in range(1024) if expected({})[1].acts[0, g] == 0)
    send(at, edits={str(f): 0, str(other): 2.5}, added=[other], mode=mode)
    assert not at.exception, at.exception
    x, result = expected({f: 0.0, other: 2.5}, mode)
    l0 = int((result.acts != 0).sum())
    assert numbers(at) == {
        "L0, edited": str(l0),  # one less, one more
        "Pearson(original, reconstruction)": f"{float(pearson(x, result.x_hat)[0]):.4f}",
        "Pearson(original, steered)": f"{float(pearson(x, result.steered)[0]):.4f}",
        "Largest change": f"{float((result.steered - x).abs().max()):.4f}",
    }
    data = sent_to_strips(at)
    assert data["seq"] == 1, "the browser would wait for its answer"
    assert data["edits"] == {str(f): 0.0, str(other): 2.5}
    assert data["added"] == [other]
    assert data["mode"] == mode


def test_edits_come_back_with_their_picture() -> None:
    at = opened()
    f = strongest()
    send(at, edits={f: 0})
    edited, model = numbers(at), sent_to_strips(at)["model"]
    at.switch_page("pages/1_Draw.py").run()
    at.session_state["chosen_image"] = "digits-test-4"
    at.switch_page(PAGE).run()
    assert sent_to_strips(at)["model"] == model
    assert sent_to_strips(at)["edits"] == {}
    assert numbers(at)["Largest change"] == "0.0000"
    at.session_state["chosen_image"] = IMAGE
    at.run()
    assert sent_to_strips(at)["edits"] == {str(f): 0.0}
    assert numbers(at) == edited


def test_edits_of_a_run_that_was_ended_are_taken_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[bool] = []
    at, checked = opened(), steer_component._checked

    def interrupted(value: dict[str, Any], d_sae: int) -> Any:
        if not ended:  # as Streamlit does when a newer message waits
            ended.append(True)
            raise StopException
        return checked(value, d_sae)

    monkeypatch.setattr(steer_component, "_checked", interrupted)
    send(at, edits={5: 1})
    assert ended and sent_to_strips(at.run())["edits"] == {"5": 1.0}


def test_a_recipe_of_a_run_that_was_ended_is_taken_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[bool] = []
    unpacked = recipes.unpack

    def interrupted(text: str) -> Any:
        if not ended:
            ended.append(True)
            raise StopException
        return unpacked(text)

    monkeypatch.setattr(recipes, "unpack", interrupted)
    at = open_page(PAGE, recipe=pack(recipe({5: 1.0})))
    assert ended and sent_to_strips(at.run())["edits"] == {"5": 1.0}


def test_edits_that_come_late_stay_with_the_picture_they_were_made_for() -> None:
    at = opened()
    send(at, ref="digits-test-4", edits={5: 1})
    assert numbers(at)["Largest change"] == "0.0000"
    assert sent_to_strips(at)["seq"] == 1
    at.session_state["chosen_image"] = "digits-test-4"
    assert sent_to_strips(at.run())["edits"] == {"5": 1.0}


@pytest.mark.parametrize(
    "edits",
    [
        {"edits": {"1024": 1}},
        {"edits": {"-1": 1}},
        {"edits": {"x": 1}},
        {"edits": {"1": "much"}},
        {"edits": {"1": None}},
        {"edits": {"1": 1e300}},
        {"edits": {"1": 3e38}},
        {"edits": {"1": True}},
        {"edits": {"1": [1]}},
        {"edits": {"1": 1.0}, "rules": {"1": {"mode": "scale", "value": 3e38}}},
        {"edits": {"1": 1.0}, "model": "tied-topk-1024-k50@0123456789ab"},
        {"edits": [1, 2]},
        {"added": [5000]},
        {"added": None},
        {"mode": "both"},
        {"mode": ["plain"]},
        {"solo": [1024]},
        {"solo": "all"},
        {"solo": 3},
    ],
)
def test_hostile_edits_change_nothing(edits: dict[str, Any]) -> None:
    at = opened()
    f = strongest()
    send(at, edits={f: 0})
    before = numbers(at)
    send(at, **edits)
    assert not at.exception, at.exception
    assert any("could not be read" in w.value for w in at.warning)
    assert numbers(at) == before
    data = sent_to_strips(at)
    assert data["edits"] == {str(f): 0.0}
    assert data["seq"] == 2, "the browser would wait for its answer"


def test_edits_of_another_model_are_held_against_that_model() -> None:
    model, at = models.listed()[0]["exp3-kl-98-rho0.1"], opened()
    send(at, model=model.id, edits={500: 1})
    assert any("there is no feature 500: this SAE has 0 to 97" in w.value for w in at.warning)
    at.session_state["chosen_model"] = model.name
    assert not at.run().exception, at.exception
    assert sent_to_strips(at)["model"] == model.id and sent_to_strips(at)["edits"] == {}
    send(at, model=models.listed()[0]["topk-1024-k50"].id, edits={500: 1})
    assert not at.warning
    at.session_state["chosen_model"] = "topk-1024-k50"
    assert sent_to_strips(at.run())["edits"] == {"500": 1.0}


def test_an_empty_picture_can_be_steered() -> None:
    at = opened(reference.drawn(np.zeros(784), "nothing").ref)
    assert not at.exception, at.exception
    assert numbers(at)["Pearson(original, steered)"] == "0.0000"  # a constant picture correlates with nothing
    send(at, edits={7: 1.0})
    assert float(numbers(at)["Largest change"]) > 0


def test_sliders_without_statistics_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = models.Model.stats

    def stats(self: models.Model, dataset: str, split: str = "train") -> Any:
        if dataset in without:
            raise CheckpointError("no statistics")
        return whole(self, dataset, split)

    monkeypatch.setattr(models.Model, "stats", stats)
    without = ["digits"]
    data = sent_to_strips(opened())
    assert data["source"].startswith("mnist/train")
    assert "digits" in data["note"]
    without = ["digits", "mnist"]
    at = opened()
    assert not at.exception, at.exception
    data = sent_to_strips(at)
    assert data["high"] is None
    assert "twice" in data["note"]


@pytest.mark.case("sliders at their end")
def test_without_mnist_sliders_go_as_far_as_on_the_models_own_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SAE_DATA", str(tmp_path))
    data = sent_to_strips(opened())
    assert data["source"] == "mnist/train, n = 60,000"
    assert "digits" in data["note"]


# ---- the classifier, many images, recipes


def classifier_says(at: AppTest) -> str:
    return next(m.value for m in at.markdown if m.value.startswith("The classifier says"))


def test_only_some_features() -> None:
    at = opened()
    f, g = sliders.used(expected({})[1].acts[0])[:2]
    send(at, edits={f: 1.0}, solo=[f, g])
    assert not at.exception, at.exception
    x = torch.from_numpy(np.array(reference.find_picture(IMAGE).x))[None]
    sae, classifier = load("topk-1024-k50"), load_classifier(DEFAULT)
    result = steer(sae, x, {f: 1.0}, solo=[f, g])
    assert numbers(at)["L0, edited"] == "2 (was 50)"
    assert numbers(at)["Largest change"] == f"{float((result.steered - x).abs().max()):.4f}"
    before, after = asking.opinion(sae, classifier, x, {f: 1.0}, solo=[f, g])
    table = next(m.value for m in at.markdown if m.value.startswith("| class"))
    for c, line in enumerate(table.splitlines()[2:]):
        shown = [float(cell.strip(" %")) for cell in line.strip("|").split("|")[1:]]
        assert shown[:2] == pytest.approx([100 * float(before[0, c]), 100 * float(after[0, c])], abs=0.01)
    assert f"**{int(after.argmax())}**" in classifier_says(at)
    assert sent_to_strips(at)["solo"] == [f, g]


def test_without_the_classifier_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.live.classifier.DEFAULT", "no-such-classifier")
    at = opened()
    assert not at.exception, at.exception
    assert sent_to_strips(at)["classifier"] is None
    assert any("not at hand" in i.value for i in at.info)


def test_another_opinion_becomes_the_edits() -> None:
    at = opened()
    at.button("find_edits").click().run()
    assert not at.exception, at.exception
    mind, data = at.session_state["mind"], sent_to_strips(at)
    found = mind["result"]
    assert found.success and at.success
    assert {int(f): v for f, v in data["edits"].items()} == found.edits
    assert data["push"] and data["mode"] == mind["mode"]
    assert f"**{mind['target']}**" in classifier_says(at)
    assert any(f"in {100 * mind['random']:.0f} % of 100" in c.value for c in at.caption)
    path = next(m.value for m in at.markdown if m.value.startswith("1. feature"))
    assert len(path.splitlines()) == len(found.edits)
    again = data["push"]
    send(at, edits={3: 1.0})
    assert sent_to_strips(at)["edits"] == {"3": 1.0}
    assert sent_to_strips(at)["push"] == again, "the browser would take its own edits for Python's"


@pytest.mark.parametrize(("says", "offered"), [(10, 4), (4, 9), (9, 4)])
def test_the_likeliest_other_digit_is_offered(says: int, offered: int, monkeypatch: pytest.MonkeyPatch) -> None:
    p = torch.zeros(1, 11)
    p[0, [4, 9]] = torch.tensor([0.2, 0.1])
    p[0, says] = 0.7
    monkeypatch.setattr(Classifier, "probabilities", lambda self, x: p)
    at = open_page(PAGE, model="exp3-kl-98-rho0.1", data="digits", image=IMAGE)
    assert not at.exception, at.exception
    assert next(s for s in at.selectbox if s.label == "The classifier should say").value == offered


def test_a_mind_that_stays_leaves_the_edits(monkeypatch: pytest.MonkeyPatch) -> None:
    find = mind.change_mind
    monkeypatch.setattr(mind, "change_mind", lambda *a, **k: find(*a, **k, max_edits=1, steps=(0.01,)))
    at = opened()
    f = strongest()
    send(at, edits={f: 0})
    at.button("find_edits").click().run()
    assert not at.exception, at.exception
    assert any("Your edits stay" in w.value for w in at.warning)
    assert sent_to_strips(at)["edits"] == {str(f): 0.0}
    assert sent_to_strips(at)["push"] is None


def test_over_many_images() -> None:
    at = opened()
    assert not [b for b in at.button if b.key == "measure_many"]
    assert any("no edit yet" in c.value for c in at.caption)
    f = strongest()
    send(at, edits={f: 3.0}, mode="plain")
    at.button("measure_many").click().run()
    assert not at.exception, at.exception
    images = load_dataset("digits", "test")
    _, found, where = at.session_state["many"]
    assert found.n == min(1000, len(images)) and where.startswith("digits/test")
    assert len(at.get("plotly_chart")) == 4
    send(at, edits={f: 2.0}, mode="plain")
    assert not at.get("plotly_chart"), "another edit's figures stay on the page"


def test_a_scale_multiplies_each_images_own_activation() -> None:
    at = opened()
    f = strongest()
    own = float(expected({})[1].acts[0, f])
    send(at, edits={f: 2 * own}, rules={f: {"mode": "scale", "value": 2.0, "low": None, "high": None}})
    assert sent_to_strips(at)["rules"][str(f)]["value"] == 2.0
    at.button("measure_many").click().run()
    assert not at.exception, at.exception
    images = load_dataset("digits", "test")
    which = np.sort(np.random.default_rng(0).permutation(len(images))[:1000])
    classifier = classifier_for(models.listed()[0]["topk-1024-k50"])
    assert classifier is not None
    by_edit = {
        kind: many.apply_to_many(
            load("topk-1024-k50"), classifier.network, images.x[which], images.labels[which], {f: edit}
        ).mean_change
        for kind, edit in (("scale", Edit("scale", 2.0)), ("set", 2 * own))
    }
    np.testing.assert_allclose(at.session_state["many"][1].mean_change, by_edit["scale"], atol=1e-6)
    assert np.abs(by_edit["set"] - by_edit["scale"]).max() > 0.005
    at.button("recipe_keep").click().run()
    assert at.session_state["recipes"]["my-recipe"].edits == {f: Edit("scale", 2.0)}


@pytest.mark.parametrize(
    "rules", [{4: {"mode": "scale", "value": 2.0}}, {3: {"mode": "cube", "value": 2.0}}, {3: {"valeu": 2.0}}, {3: 2.0}]
)
def test_a_rule_that_is_none_is_refused(rules: dict[int, Any]) -> None:
    at = opened()
    send(at, edits={5: 1.0})
    send(at, edits={3: 1.0}, rules=rules)
    assert not at.exception, at.exception
    assert any("could not be read" in w.value for w in at.warning)
    assert sent_to_strips(at)["edits"] == {"5": 1.0}


def recipe(edits: Edits, **more: Any) -> Recipe:
    model = models.listed()[0]["topk-1024-k50"]
    return Recipe("mine", more.pop("model", model.id), edits, picture=more.pop("picture", IMAGE), **more)


def test_a_recipe_in_the_address_is_used_once() -> None:
    f = strongest()
    at = open_page(PAGE, recipe=pack(recipe({f: Edit("scale", 0.5)}, mode="plain", solo=(f,))))
    assert not at.exception and not at.warning
    data = sent_to_strips(at)
    assert data["picture"]["ref"] == IMAGE and data["mode"] == "plain" and data["solo"] == [f]
    assert data["edits"][str(f)] == pytest.approx(0.5 * float(expected({})[1].acts[0, f]))
    assert data["rules"][str(f)]["mode"] == "scale" and data["rules"][str(f)]["value"] == 0.5
    send(at, edits={f: 0})
    assert sent_to_strips(at)["edits"] == {str(f): 0.0}
    assert "".join(at.query_params["image"]) == IMAGE


def addressed(at: AppTest) -> Recipe | None:
    """The recipe that the browser is asked to put into the address."""
    found = [json.loads(c.proto.json) for c in at.get("bidi_component") if c.proto.json]
    (packed,) = [data["recipe"] for data in found if data.get("page") == "Steer"]
    return None if packed is None else unpack(packed)


@pytest.mark.case("the address")
def test_the_address_says_the_edits_as_they_are() -> None:
    f = strongest()
    made = recipe({f: Edit("scale", 0.5)}, mode="plain", solo=(f,))
    at = open_page(PAGE, recipe=pack(made))
    assert "recipe" not in at.query_params, "Python would make a step of the browser's history of it"
    now = addressed(at)
    assert now is not None and (now.edits, now.mode, now.solo, now.picture) == (made.edits, "plain", (f,), made.picture)
    data = sent_to_strips(at)  # what the browser sends back of it is no change
    assert addressed(send(at, **{name: data[name] for name in ("edits", "rules", "solo", "mode")})) == now
    changed = addressed(send(at, edits={f: 0}, mode="plain", solo=[f]))
    assert changed is not None and changed.edits == {f: 0.0}
    again = open_page(PAGE, recipe=pack(changed))  # loaded again
    assert sent_to_strips(again)["edits"] == {str(f): 0.0} and sent_to_strips(again)["solo"] == [f]
    assert addressed(send(at, edits={}, mode="error-preserving", solo=None)) is None
    at.session_state["chosen_image"] = "digits-test-4"
    assert addressed(at.run()) is None


@pytest.mark.case("the address")
def test_an_older_recipe_in_a_later_message_undoes_nothing() -> None:
    f = strongest()
    older = pack(recipe({f: 1.0}, mode="plain"))
    at = open_page(PAGE, recipe=older)
    send(at, edits={f: 0.25}, mode="plain")
    at.query_params["recipe"] = older  # sent before the browser had the newer address
    at.run()
    assert sent_to_strips(at)["edits"] == {str(f): 0.25}


def test_a_recipe_without_a_picture_keeps_the_chosen_one() -> None:
    at = open_page(PAGE, recipe=pack(recipe({3: 1.0}, picture=None)), data="digits", image="digits-test-7")
    assert not at.exception and not at.warning
    data = sent_to_strips(at)
    assert data["picture"]["ref"] == "digits-test-7" and data["edits"] == {"3": 1.0}


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        ("nonsense", "damaged"),
        ("%%%", "damaged"),
        ("A" * 200_000, "far too large"),
        (pack(recipe({5000: 1.0})), "no feature 5000"),
        (pack(recipe({1: 1.0}, solo=(5000,))), "no feature 5000"),
        (pack(recipe({1: 1.0}, model="nothing@0123456789ab")), "nothing is not here"),
        (pack(recipe({1: 1.0}, model="topk-1024-k50@0123456789ab")), "other weights"),
        (pack(recipe({1: 1.0}, picture="digits-test-999999")), "no number 999999"),
        (pack(recipe({1: 3e38})), "feature 1 is taken to 3e"),
        (pack(recipe({1: Edit("scale", 3e38)})), "feature 1 is taken to 3e"),
        (pack(recipe({strongest(): Edit("scale", 9e5)})), "±1,000,000 is as far as it goes"),
        (pack(recipe({1: Edit("clamp", low=2e6, high=3e6)})), "±1,000,000 is as far as it goes"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_explained(packed: str, why: str) -> None:
    at = open_page(PAGE, recipe=packed, data="digits")
    assert not at.exception, at.exception
    assert any(why in w.value for w in at.warning), [w.value for w in at.warning]
    assert sent_to_strips(at)["edits"] == {}


def test_a_recipe_is_kept_and_used_again() -> None:
    at = opened()
    f = strongest()
    assert at.button("recipe_keep").disabled
    send(at, edits={f: 0.25}, solo=[f, 3])
    at.text_input("recipe_name").set_value("quarter").run()
    at.button("recipe_keep").click().run()
    assert list(at.session_state["recipes"]) == ["quarter"]
    send(at, edits={})
    at.button("recipe_use").click().run()
    assert not at.exception and not at.warning
    data = sent_to_strips(at)
    assert data["edits"] == {str(f): 0.25} and data["solo"] == [f, 3] and data["push"]
    at.text_input("recipe_name").set_value("  a half \t of it ").run()
    at.button("recipe_keep").click().run()
    assert list(at.session_state["recipes"]) == ["quarter", "a-half-of-it"]
    at.text_input("recipe_name").set_value("../x").run()
    assert not at.exception
    assert at.button("recipe_keep").disabled
    assert any("cannot name a recipe" in c.value for c in at.caption)


def test_what_was_wrong_with_a_recipe_stays_until_something_else_is_shown() -> None:
    at = open_page(PAGE, model="topk-1024-k50", data="digits", image=IMAGE, recipe="damaged")
    said = [w.value for w in at.warning]
    assert len(said) == 1 and "cannot be used" in said[0]
    assert [w.value for w in at.run().warning] == said, "a run that follows at once takes nothing away"
    send(at, edits={"5": 1.0})
    assert not at.warning
    assert not at.run().warning


def test_sliders_go_as_far_as_on_the_models_own_training_data() -> None:
    """Without MNIST here its statistics are bundled all the same: on the digits features are weaker."""
    high = np.array(sent_to_strips(opened())["high"])
    model = models.listed()[0]["topk-1024-k50"]
    wanted = sliders.slider_bounds(model.stats("mnist"))[1]
    np.testing.assert_allclose(high, wanted, rtol=1e-2, atol=0.01)
    assert (wanted > sliders.slider_bounds(model.stats("digits"))[1]).mean() > 0.5
