"""What a person has chosen, kept in the session beyond page and section, each choice under its name.

Streamlit forgets what a widget holds as soon as a page no longer shows it. A choice is therefore kept twice: under its
own key, which stays, and under the key of the widget that shows it, which is set from there on every run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st


def get(name: str, default: Any = None) -> Any:
    """What is chosen under that name; `default` before anything was."""
    return st.session_state.get(_own(name), default)


def put(name: str, value: Any) -> None:
    """Choose."""
    st.session_state[_own(name)] = value


def among(name: str, options: Sequence[str], default: str | None = None) -> str:
    """What is chosen of these; the default, or the first, where that is none of them."""
    wanted = str(get(name))
    if wanted in options:
        return wanted
    return default if default is not None and default in options else options[0]


def by_widget(name: str, options: Sequence[str], default: str | None = None) -> dict[str, Any]:
    """What a widget with these options is given, so that it shows and makes the choice: `st.selectbox(..., **this)`."""
    # Set on every run: on the run after a page switch the old page's widget still answers to this key, but the
    # new one would start at its first option.
    st.session_state[_widget(name)] = st.session_state[_own(name)] = among(name, options, default)
    return {"options": list(options), "key": _widget(name), "on_change": _take, "args": (name,)}


def _take(name: str) -> None:
    put(name, st.session_state[_widget(name)])


def _own(name: str) -> str:
    return f"chosen_{name}"


def _widget(name: str) -> str:
    return f"widget_{name}"
