"""What Steer does with the edits that the browser sends: computed by Python, kept, refused in words."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from sae_core import CheckpointError, load
from sae_core.metrics import pearson
from sae_core.steering import Steered, steer
from tests.test_pages import open_page
from ui import state

PAGE = "pages/3_Steer.py"
IMAGE = "digits-test-3"


def opened(image: str = IMAGE) -> AppTest:
    return open_page(PAGE, model="topk-1024-k50", data="digits", image=image)


def sent_to_strips(at: AppTest) -> dict[str, Any]:
    """The data of the strips as the browser gets it."""
    found = [json.loads(c.proto.json) for c in at.get("bidi_component") if c.proto.component_name == "sae_steer"]
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
    x = torch.from_numpy(np.array(state.find_picture(IMAGE).x))[None]
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
    at.query_params["image"] = "digits-test-4"
    at.switch_page(PAGE).run()
    assert sent_to_strips(at)["model"] == model
    assert sent_to_strips(at)["edits"] == {}
    assert numbers(at)["Largest change"] == "0.0000"
    at.query_params["image"] = IMAGE
    at.run()
    assert sent_to_strips(at)["edits"] == {str(f): 0.0}
    assert numbers(at) == edited


def test_edits_that_come_late_stay_with_the_picture_they_were_made_for() -> None:
    at = opened()
    send(at, ref="digits-test-4", edits={5: 1})
    assert numbers(at)["Largest change"] == "0.0000"
    assert sent_to_strips(at)["seq"] == 1
    at.query_params["image"] = "digits-test-4"
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
        {"edits": [1, 2]},
        {"added": [5000]},
        {"added": None},
        {"mode": "both"},
        {"mode": ["plain"]},
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


def test_an_empty_picture_can_be_steered() -> None:
    at = opened(state.drawn(np.zeros(784), "nothing").ref)
    assert not at.exception, at.exception
    assert numbers(at)["Pearson(original, steered)"] == "0.0000"  # a constant picture correlates with nothing
    send(at, edits={7: 1.0})
    assert float(numbers(at)["Largest change"]) > 0


def test_sliders_without_statistics_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = state.Model.stats

    def stats(self: state.Model, dataset: str, split: str = "train") -> Any:
        if dataset in without:
            raise CheckpointError("no statistics")
        return whole(self, dataset, split)

    monkeypatch.setattr(state.Model, "stats", stats)
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
