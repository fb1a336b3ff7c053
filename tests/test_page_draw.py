"""What Draw does with what the pad sends: prepared by Python, kept for the other pages, refused in words."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from sae_core import load
from sae_core.metrics import pearson
from sae_core.preprocess import prepare
from tests.test_pages import open_page
from ui import state

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
    found = [json.loads(c.proto.json) for c in at.get("bidi_component") if c.proto.component_name == "sae_draw"]
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
    assert np.array_equal(state.find_picture(ref).x, x)
    sae = load("topk-1024-k50")
    batch = torch.from_numpy(x)[None]
    shown = next(m for m in at.metric if m.label == "Pearson")
    assert shown.value == f"{float(pearson(batch, sae(batch).x_hat)[0]):.4f}"
    assert sent_to_pad(at)["seq"] == 1
    assert sent_to_pad(at)["picture"]["from"] == 1, "the pad would load its own drawing again"


def test_a_dataset_image_passes_through_unchanged() -> None:
    at = open_page("pages/1_Draw.py", image="digits-test-5")
    levels = np.round(state.find_picture("digits-test-5").x * 255).astype(np.uint8)
    send(at, side=28, px=base64.b64encode(levels.tobytes()).decode())
    kept = state.find_picture(at.session_state["chosen_image"]).x
    assert np.array_equal(kept, state.find_picture("digits-test-5").x)


def test_an_empty_pad_is_said_and_the_picture_before_stays() -> None:
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
