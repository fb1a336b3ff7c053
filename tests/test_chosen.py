"""What is chosen on a page stays chosen beyond it, and there is one way to keep it."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.stepping import mounted, step
from tests.test_pages import open_page
from ui.base import chosen, url

pytestmark = pytest.mark.without_mnist
ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("page", "widget", "name", "value"),
    [
        ("1_Draw", "selectbox", "model", "relu-l1-1024"),
        ("4_Digits", "selectbox", "data", "digits"),
        ("4_Digits", "segmented_control", "digit", "3"),
        ("4_Digits", "segmented_control", "ranking", "mean"),
        ("4_Digits", "segmented_control", "images_order", "worst"),
        ("4_Digits", "segmented_control", "per_digit", "10"),
        ("7_Experiments", "segmented_control", "experiment", "intro"),
        ("7_Experiments", "segmented_control", "subject-ensemble", "Training"),
    ],
)
def test_a_choice_by_a_widget_is_there_again_after_another_page(page: str, widget: str, name: str, value: str) -> None:
    def shown(at: AppTest) -> Any:
        assert not at.exception, at.exception
        return getattr(at, widget)(f"widget_{name}")

    at = open_page(f"pages/{page}.py", data="digits" if name == "model" else "mnist")
    shown(at).set_value(value).run()
    for other in ("pages/2_Features.py", "app.py"):
        at.switch_page(other).run()
        assert not at.exception, at.exception
        at.switch_page(f"pages/{page}.py").run()
        assert shown(at).value == value
        assert at.session_state[f"chosen_{name}"] == value


def test_the_page_of_images_is_there_again_after_another_page() -> None:
    def shown(at: AppTest) -> int:
        return mounted(at, "images-page")["value"]

    at = open_page("pages/4_Digits.py", data="digits")
    first = shown(at)
    step(at, "images-page", mounted(at, "images-page")["of"], first + 1)
    second = shown(at)
    assert second == first + 1
    at.switch_page("pages/2_Features.py").run()
    at.switch_page("pages/4_Digits.py").run()
    assert shown(at) == second


def test_what_is_no_longer_offered_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    session: dict[str, Any] = {}
    monkeypatch.setattr(chosen.st, "session_state", session)
    assert chosen.among("x", ["a", "b"], "b") == "b"
    assert chosen.among("x", ["a", "b"], "not here") == chosen.among("x", ["a", "b"]) == "a"
    chosen.put("x", "c")
    assert chosen.among("x", ["a", "b"], "b") == "b"
    asked = chosen.by_widget("x", ["c", "a"])
    assert session[asked["key"]] == chosen.get("x") == "c"
    session[asked["key"]] = "a"  # as Streamlit does when a person chooses
    asked["on_change"](*asked["args"])
    assert chosen.get("x") == chosen.among("x", ["c", "a"]) == "a"


def test_only_one_module_knows_how_a_choice_is_kept() -> None:
    for path in (ROOT / "ui").rglob("*.py"):
        if path != Path(chosen.__file__) and path.name != "pad.py":
            assert not re.search(r"""["'](chosen|widget)_""", path.read_text(encoding="utf-8")), path


@pytest.mark.case("the address")
@pytest.mark.parametrize(
    ("page", "name", "value", "bad"),
    [
        ("4_Digits", "digit", "7", "42"),
        ("4_Digits", "images_order", "worst", "best"),
        ("4_Digits", "statistics", "digits", "cifar"),
        ("2_Features", "statistics", "digits", "7"),
        ("7_Experiments", "experiment", "intro", "outro"),
        ("7_Experiments", "subject-ensemble", "Images", "<b>"),
    ],
)
def test_a_choice_of_a_page_is_in_its_address(page: str, name: str, value: str, bad: str) -> None:
    at = open_page(f"pages/{page}.py", data="digits")
    first = at.segmented_control(f"widget_{name}").value
    assert name not in at.query_params, "what a page opens with is no step of the history"
    at.segmented_control(f"widget_{name}").set_value(value).run()
    assert "".join(at.query_params[name]) == value
    there = open_page(f"pages/{page}.py", data="digits", **{name: value})
    assert there.segmented_control(f"widget_{name}").value == value and not there.warning
    wrong = open_page(f"pages/{page}.py", data="digits", **{name: bad})
    assert not wrong.exception and wrong.segmented_control(f"widget_{name}").value == first
    assert len([w for w in wrong.warning if "There is no" in w.value]) == 1
    assert name not in wrong.query_params


@pytest.mark.case("the address")
@pytest.mark.parametrize("page", ["1_Draw", "3_Steer"])
def test_the_digit_that_is_looked_for_is_in_the_address(page: str) -> None:
    at = open_page(f"pages/{page}.py", data="digits", image="digits-test-0")
    at.selectbox("widget_pick_digit").set_value("7").run()
    assert at.query_params["pick_digit"] == "7" and at.query_params["image"] != "digits-test-0"
    there = open_page(f"pages/{page}.py", data="digits", image="digits-test-0", pick_digit="7")
    assert there.selectbox("widget_pick_digit").value == "7" and there.query_params["image"] == "digits-test-0"
    wrong = open_page(f"pages/{page}.py", data="digits", pick_digit="x")
    assert wrong.selectbox("widget_pick_digit").value == "any" and "pick_digit" not in wrong.query_params
    assert "There is no digit 'x' here; this is any." in [w.value for w in wrong.warning]


@pytest.mark.case("the address")
def test_the_page_of_images_is_in_the_address() -> None:
    at = open_page("pages/4_Digits.py", data="digits", digit="3")
    of = mounted(at, "images-page")["of"]
    step(at, "images-page", of, 1)
    assert at.query_params[f"page-{of}"] == "2"
    there = open_page("pages/4_Digits.py", data="digits", digit="3", **{f"page-{of}": "2"})
    assert mounted(there, "images-page")["value"] == 1 and not there.warning
    for bad in ("0", "99", "²", "-1", "x"):
        wrong = open_page("pages/4_Digits.py", data="digits", digit="3", **{f"page-{of}": bad})
        assert mounted(wrong, "images-page")["value"] == 0 and f"page-{of}" not in wrong.query_params
        assert [w.value for w in wrong.warning if "There is no page of images" in w.value], bad


@pytest.mark.case("the address")
def test_what_is_opened_and_set_on_experiments_is_in_the_address() -> None:
    """The number of a figure, an image's, and the contradictions that are open."""
    figure = {"experiment": "experiment3", "subject-experiment3": "Class pictures"}
    at = open_page("pages/7_Experiments.py", data="digits", **figure)
    name = "experiment3-class-pictures-n"
    at.slider(f"slider-{name}").set_value(5).run()
    assert at.query_params[name] == "5"
    assert (
        open_page("pages/7_Experiments.py", data="digits", **figure, **{name: "5"}).slider(f"slider-{name}").value == 5
    )
    wrong = open_page("pages/7_Experiments.py", data="digits", **figure, **{name: "99"})
    assert wrong.slider(f"slider-{name}").value == 30 and name not in wrong.query_params
    assert [w.value for w in wrong.warning if "There is no number of features '99' here" in w.value]
    closed = open_page("pages/7_Experiments.py", data="digits")
    there = open_page("pages/7_Experiments.py", data="digits", **{"open-ensemble": "1,3"})
    said = [sum("**claimed**" in m.value for m in at.markdown) for at in (closed, there)]
    assert said == [0, 2] and not there.warning
    wrong = open_page("pages/7_Experiments.py", data="digits", **{"open-ensemble": "1,x"})
    assert "open-ensemble" not in wrong.query_params
    assert [w.value for w in wrong.warning if "There is no contradiction '1,x' here" in w.value]


@pytest.mark.case("the address")
def test_a_choice_of_one_page_is_not_in_the_address_of_another() -> None:
    at = open_page("pages/4_Digits.py", data="digits", digit="7")
    at.switch_page("pages/1_Draw.py").run()
    assert "digit" not in at.query_params
    at.switch_page("pages/4_Digits.py").run()
    assert at.query_params["digit"] == "7"


@pytest.mark.case("the address")
def test_a_step_back_whose_run_was_ended_is_one_for_the_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit says only of the message itself that it is a step, and may end its run for the next message."""
    now = SimpleNamespace(session_id="s", query_string="digit=7", is_history_navigation=True)
    monkeypatch.setattr(url, "get_script_run_ctx", lambda: now)
    monkeypatch.setattr(url, "_steps", {})

    class Ended(dict[str, object]):
        def __setitem__(self, key: str, value: object) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(url.st, "session_state", Ended())
    with pytest.raises(KeyboardInterrupt):
        url.at("Digits")
    now.is_history_navigation = False
    assert url.by_history()
    now.query_string = "digit=3"
    assert not url.by_history()
