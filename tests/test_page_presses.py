"""Presses that follow each other quickly, as Python hears of them: each counts, and the last wins."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from sae_core.datasets import load_dataset
from tests.stepping import mounted, step
from tests.test_pages import open_page
from ui.live.picker import KEY

pytestmark = [pytest.mark.without_mnist, pytest.mark.case(7)]


@pytest.fixture(params=["1_Draw", "3_Steer"])
def at(request: pytest.FixtureRequest) -> Iterator[AppTest]:
    yield open_page(f"pages/{request.param}.py", data="digits", image="digits-test-3")


def shown(at: AppTest) -> str:
    assert not at.exception, at.exception
    return str(at.session_state["chosen_image"])


def test_every_press_counts_however_few_messages_say_so(at: AppTest) -> None:
    step(at, KEY, "digits", 3, 2)
    assert shown(at) == "digits-test-5" and mounted(at, KEY)["value"] == 5
    step(at, KEY, "digits", 3, 20)  # the browser counts on from 3 until it hears that all were taken
    assert shown(at) == "digits-test-23"
    step(at, KEY, "digits", 3, 20, seq=2)  # the same once more
    assert shown(at) == "digits-test-23"
    step(at, KEY, "digits", 40)
    assert shown(at) == "digits-test-40" and "".join(at.query_params["image"]) == "digits-test-40"
    n = len(load_dataset("digits", "test"))
    step(at, KEY, "digits", n - 1, 1)
    assert shown(at) == "digits-test-0", "after the last comes the first"


def test_presses_go_through_the_images_of_the_digit(at: AppTest) -> None:
    of_it = np.flatnonzero(load_dataset("digits", "test").labels == 4)
    at.selectbox("widget_pick_digit").select("4").run()
    start = int(shown(at).rsplit("-", 1)[1])
    assert start == of_it[of_it > 3][0] and not mounted(at, KEY)["follows"]
    step(at, KEY, "digits", start, 3)
    assert shown(at) == f"digits-test-{of_it[of_it > start][2]}"


@pytest.mark.parametrize("of", ["mnist", "no such", 7])
def test_what_is_meant_for_other_images_does_nothing(at: AppTest, of: str) -> None:
    step(at, KEY, of, 3, 2)
    assert shown(at) == "digits-test-3"
    for value, presses in ((10**6, 0), (-1, 0), (3, -1), ("3", 1)):
        step(at, KEY, "digits", value, presses)  # type: ignore[arg-type]
        assert shown(at) == "digits-test-3", value
