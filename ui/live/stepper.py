"""A number that a person steps through, as quickly as they press: the browser counts, Python hears where it came to.

    stepper.take(KEY, of, go)        # before what the number stands for is shown
    stepper.stepper(KEY, of, value, most, ...)

A button of Streamlit's says that it was pressed, not how often: presses that come while the page runs count as one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import streamlit as st

from ui.live import link
from ui.live.component import component

_stepper = component("live/stepper")


def take(key: str, go: Callable[[str, int | None, int], None]) -> None:
    """Hear what was asked of the stepper `key`: `go(of, value, presses)`.

    value: the number that was reached, None where none was; presses: how often the button for the next was pressed
    since. go may raise link.Refused.
    """

    def asked(message: link.Message) -> None:
        of, value, presses = message["of"], message["value"], message["presses"]
        if not (isinstance(of, str) and type(presses) is int and presses >= 0 and type(value) in (int, type(None))):
            raise ValueError(f"a stepper does not say {message}")
        go(of, value, presses)

    link.take(key, step=asked)


def stepper(
    key: str,
    of: str,
    value: int | None,
    most: int,
    label: str,
    *,
    kind: Literal["field", "arrows", "pages"] = "field",
    titles: Sequence[str] = ("One less", "One more"),
    placeholder: str = "",
    next_button: tuple[str, str] | None = None,
    follows: bool = True,
    pages: tuple[int, int] | None = None,
) -> None:
    """Mount the stepper: a number from 0 to `most`, or none.

    of: what it counts; presses that were meant for something else are void. kind: a field with − and +, a field between
    arrows, or pages between arrows (`pages`: things on one, and all); arrows go round. titles: of less and more.
    next_button: text and help of one more button. follows: it goes to the next number, not to one that `go` looks for.
    """
    answer = link.answer(key)
    before = st.session_state.get(f"stepper-{key}", {"value": None, "taken": 0, "ours": False})
    ours = answer["seq"] != before["taken"] or (before["ours"] and before["value"] == value)
    st.session_state[f"stepper-{key}"] = {"value": value, "taken": answer["seq"], "ours": ours}
    data: dict[str, Any] = {
        "id": key,
        **answer,
        "kind": kind,
        "of": of,
        "value": value,
        "most": most,
        "wraps": kind != "field",
        "follows": follows,
        "ours": ours,
        "label": label,
        "labelled": kind == "field",
        "placeholder": placeholder,
        "titles": list(titles),
        "next": next_button,
        "range": pages,
    }
    _stepper(key=key, data=data, width="content", on_step_change=lambda: None)
