"""What Draw does with what the pad sends: prepared by Python, kept for the other pages, refused in words."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.runtime.scriptrunner import StopException
from streamlit.testing.v1 import AppTest

from sae_core import files, load, reference
from sae_core.measure.metrics import pearson
from sae_core.pictures.prepare import Prepared, look, prepare
from sae_core.store.checkpoints import load_classifier
from tests.test_pages import open_page
from ui.base import models, state
from ui.draw import pad
from ui.live.model import _wanted

pytestmark = pytest.mark.without_mnist
SIDE = 224


def a_seven() -> np.ndarray:
    picture = np.zeros((SIDE, SIDE), np.uint8)
    picture[50:68, 60:160] = 255
    for row in range(60, 180):
        left = 150 - int((row - 60) * 0.5)
        picture[row, left : left + 18] = 255
    return picture


def send(at: AppTest, **drawing: Any) -> AppTest:
    """As the pad does on release: its state is there before the page runs."""
    at.session_state["draw"] = {
        "drawing": {"seq": 1, "empty": False, "side": SIDE, "px": "", **drawing},
        "feature": None,
    }
    return at.run()


def sent_to_pad(at: AppTest) -> dict[str, Any]:
    """The data of the pad as the browser gets it."""
    found = [json.loads(c.proto.json) for c in at.get("bidi_component") if c.proto.component_name == "sae_draw_pad"]
    assert len(found) == 1
    return found[0]


def test_a_drawing_is_prepared_by_python_and_chosen() -> None:
    at = open_page("pages/1_Draw.py")
    picture = a_seven()
    send(at, px=base64.b64encode(picture.tobytes()).decode())
    assert not at.exception, at.exception
    ref = at.session_state["chosen_image"]
    assert ref.startswith("px-")
    x = prepare(picture / 255)
    assert np.array_equal(reference.find_picture(ref).x, x)
    sae = load(state.DEFAULT_MODEL)
    batch = torch.from_numpy(x)[None]
    shown = next(m for m in at.metric if m.label == "Pearson")
    assert shown.value == f"{float(pearson(batch, sae(batch).x_hat)[0]):.4f}"
    assert sent_to_pad(at)["seq"] == 1
    assert sent_to_pad(at)["picture"]["from"] == 1, "the pad would load its own drawing again"


@pytest.mark.case(3)
def test_a_speck_that_is_left_out_is_said_at_the_pad() -> None:
    at = open_page("pages/1_Draw.py")
    speckled = a_seven()
    speckled[5:20, 5:20] = 255
    send(at, px=base64.b64encode(speckled.tobytes()).decode())
    assert not at.exception, at.exception
    assert sent_to_pad(at)["said"] == ["A speck beside the digit was left out."]
    assert np.array_equal(reference.find_picture(at.session_state["chosen_image"]).x, prepare(a_seven() / 255))
    send(at, seq=2, px=base64.b64encode(a_seven().tobytes()).decode())
    assert sent_to_pad(at)["said"] == []


def test_a_drawing_of_a_run_that_was_ended_is_taken_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[bool] = []
    at = open_page("pages/1_Draw.py")

    def interrupted(picture: np.ndarray, frame: int) -> Prepared:
        if not ended:  # as Streamlit does when a newer message waits
            ended.append(True)
            raise StopException
        return look(picture, frame)

    monkeypatch.setattr(pad, "look", interrupted)
    send(at, px=base64.b64encode(a_seven().tobytes()).decode())
    assert ended and not at.run().exception, at.exception
    assert np.array_equal(reference.find_picture(at.session_state["chosen_image"]).x, prepare(a_seven() / 255))


def test_a_dataset_image_passes_through_unchanged() -> None:
    at = open_page("pages/1_Draw.py", image="digits-test-5")
    levels = np.round(reference.find_picture("digits-test-5").x * 255).astype(np.uint8)
    send(at, side=28, px=base64.b64encode(levels.tobytes()).decode())
    kept = reference.find_picture(at.session_state["chosen_image"]).x
    assert np.array_equal(kept, reference.find_picture("digits-test-5").x)


def test_an_empty_pad_is_said_and_nothing_is_chosen() -> None:
    at = open_page("pages/1_Draw.py")
    send(at, empty=True)
    assert any("nothing drawn" in i.value for i in at.info)
    assert "chosen_image" not in at.session_state or at.session_state["chosen_image"] is None
    assert sent_to_pad(at)["picture"]["from"] == 1


@pytest.mark.parametrize(
    "drawing",
    [
        {"side": 100_000, "px": "AAAA"},
        {"side": SIDE, "px": "AAAA"},
        {"side": SIDE, "px": "not base64 ***"},
        {"side": "224", "px": None},
    ],
)
def test_a_hostile_drawing_changes_nothing(drawing: dict[str, Any]) -> None:
    at = open_page("pages/1_Draw.py")
    send(at, **drawing)
    assert not at.exception
    assert any("could not be read" in w.value for w in at.warning)
    assert "chosen_image" not in at.session_state or at.session_state["chosen_image"] is None


@pytest.mark.parametrize("model", ["topk-1024-k50", "tied-topk-1024-k50", "relu-l1-1024", "exp3-kl-98-rho0.1"])
def test_python_says_how_exact_the_sum_is(model: str) -> None:
    at = open_page("pages/1_Draw.py", model=model, data="digits", image="digits-test-5")
    assert not at.exception, at.exception
    said = [m for c in at.caption if (m := re.search(r"all (\d+) terms.* by at most (\S+)\.$", c.value))]
    assert len(said) == 1
    sae = load(model)
    x = torch.from_numpy(np.array(reference.find_picture("digits-test-5").x))[None]
    assert int(said[0][1]) == int((sae(sae.read(x)).acts != 0).sum())
    assert 0 <= float(said[0][2]) <= 1e-5


@pytest.mark.parametrize("model", ["topk-1024-k50", "exp3-kl-98-rho0.1"])
def test_the_verdict_is_the_classifiers(model: str) -> None:
    at = open_page("pages/1_Draw.py", model=model, data="digits", image="digits-test-5")
    classifier = sent_to_pad(at)["classifier"]
    sae, net = load(model), load_classifier(classifier["id"].partition("@")[0])
    x = torch.from_numpy(np.array(reference.find_picture("digits-test-5").x))[None]
    h = sae.read(x)
    h_hat = sae(h).x_hat
    layer = sae.reader is not None
    rows = (
        net.logits(torch.cat([h, h_hat])).softmax(-1) if layer else net.probabilities(torch.cat([x, h_hat]).clamp(0, 1))
    )
    shown = {m.label: m.value for m in at.metric}
    for row, what in zip(rows, ("input", "reconstruction"), strict=True):
        assert shown[f"Classifier on the {what}"] == f"{int(row.argmax())}, {100 * float(row.max()):.1f} %"
    table = next(d.value for d in at.dataframe if "reconstruction" in d.value)
    np.testing.assert_allclose(table[["input", "reconstruction"]].to_numpy().T, rows.detach(), atol=1e-6)
    assert classifier["sameLayer"] == layer and "% right on" in classifier["said"]


def test_without_a_classifier_there_are_no_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.draw.verdict.classifier_for", lambda model: None)
    at = open_page("pages/1_Draw.py")
    assert not at.exception, at.exception
    assert sent_to_pad(at)["classifier"] is None
    assert not [m for m in at.metric if m.label.startswith("Classifier")]


def test_a_damaged_classifier_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(classifier: object) -> None:
        raise files.CheckpointError("its weights are damaged.")

    monkeypatch.setattr("ui.draw.verdict.put_classifier", damaged)
    at = open_page("pages/1_Draw.py")
    assert not at.exception, at.exception
    assert any("damaged" in i.value for i in at.info)
    assert sent_to_pad(at)["classifier"] is None


def question(**want: Any) -> dict[str, Any]:
    """What the browser asks of a model in parts."""
    x = reference.find_picture("digits-test-3").x.astype(np.float32)
    return {"seq": 1, "x": base64.b64encode(x.tobytes()).decode(), "features": [], **want}


def test_a_question_for_parts_of_a_model_is_answered_with_what_the_picture_needs() -> None:
    model = models.listed()[0][state.DEFAULT_MODEL]
    x = torch.tensor(reference.find_picture("digits-test-3").x)[None]
    after = [set(acts[0].nonzero()[:, 0].tolist()) for acts in model.sae.codes(x)]
    assert after[0] - after[-1], "what only an earlier pass kept is needed too"
    active = set().union(*after)
    other = next(f for f in range(512) if f not in active)
    assert _wanted(model, question(features=[other])) == sorted(active | {other})


@pytest.mark.parametrize(
    "want",
    [
        {"x": "AAAA"},
        {"x": "no base64!"},
        {"x": base64.b64encode(np.full(784, np.nan, np.float32).tobytes()).decode()},
        {"features": [1024]},
        {"features": [-1]},
        {"features": ["1; import os"]},
    ],
)
def test_a_hostile_question_is_refused(want: dict[str, Any]) -> None:
    with pytest.raises((ValueError, binascii.Error)):
        _wanted(models.listed()[0][state.DEFAULT_MODEL], question(**want))
