"""The choices in the address."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ui.base import chosen

_KEYS = ("model", "data", "image", "feature")
"""the choices that all pages share"""
_of_pages: dict[str, set[str]] = {}
"""the choices of single pages that are in their address too, once a person made them; "name-*": all that begin so"""


_steps: dict[str, str] = {}
"""by session the address of a step back or forward that no run has taken yet. Not in the session's state: Streamlit may
end a run at any use of that, and of the next run, whose message brings the same address, it says no step"""


def belongs(page: str, *names: str) -> None:
    """These choices are in the address of that page (its title): a module of it says so, for `take_url` to know."""
    _of_pages.setdefault(page, set()).update(names)


def at(page: str) -> None:
    """The page that is being shown, before anything is chosen on it."""
    _note_step()
    st.session_state["page_of_address"] = page


def _note_step() -> None:
    context = get_script_run_ctx()
    if context is not None and getattr(context, "is_history_navigation", False):
        _steps[context.session_id] = context.query_string


def _belongs(name: str, page: str | None) -> bool:
    names = _of_pages.get(page or st.session_state.get("page_of_address", ""), set())
    return name in names or any(n.endswith("*") and name.startswith(n[:-1]) for n in names)


def in_url() -> dict[str, str]:
    """The choices in the address of the page that is shown."""
    there = st.query_params
    return {k: there[k] for k in (*_KEYS, *(k for k in there if k not in _KEYS and _belongs(k, None))) if k in there}


def in_session(page: str | None = None) -> dict[str, str]:
    """What that page's address says; without one, that of the page that is shown."""
    shared = {k: v for k in _KEYS if (v := chosen.get(k)) is not None}
    return shared | {k: v for k, v in _made().items() if _belongs(k, page)}


def _made() -> dict[str, str]:
    """What was chosen for single pages by a person or an address; what a page opens with is not in the address."""
    made: dict[str, str] = st.session_state.setdefault("made_choices", {})
    return made


def made(name: str) -> None:
    """A person has just chosen that: into the address, where it belongs there."""
    if _belongs(name, None):
        _made()[name] = str(chosen.get(name))
        write_url()


def not_there(name: str, fits: Callable[[str], bool]) -> str | None:
    """What was asked for under that name, where it does not fit; it leaves the address."""
    asked = _made().get(name)
    if asked is None or fits(asked):
        return None
    del _made()[name]
    write_url()
    return asked


def take_url() -> None:
    """The URL wins where somebody came with it: a deep link, or a step back or forward in the browser's history.

    Any other message brings the URL along as the browser knew it when it was sent, by a link as it was drawn: what was
    chosen since is newer.
    """
    there, written = in_url(), st.session_state.get("written_url")
    came = bool(there) if written is None else there != written and by_history(unknown=bool(there))
    if came:
        for key in _KEYS:
            chosen.put(key, there.get(key))
        for key in [k for k in _made() if _belongs(k, None)]:
            chosen.put(key, None)
            del _made()[key]
        of_page = {k: v for k, v in there.items() if k not in _KEYS}
        for key, value in of_page.items():
            chosen.put(key, value)
        _made().update(of_page)
    if context := get_script_run_ctx():
        _steps.pop(context.session_id, None)


def by_history(unknown: bool = True) -> bool:
    """Whether this run is a step back or forward in the browser's history; `unknown` where Streamlit does not say."""
    # By default a step back must work there; a choice made while the page is slow could then be undone.
    context = get_script_run_ctx()
    if context is not None and _steps.get(context.session_id) == context.query_string:
        return True
    return bool(getattr(context, "is_history_navigation", unknown))


def write_url() -> None:
    """Bring the address up to date. What is of another page leaves it, and a recipe, which comes with its edits."""
    now = in_session()
    st.session_state["written_url"] = now
    ours = {k for k in st.query_params if k in _KEYS or any(_belongs(k, page) for page in _of_pages)}
    if in_url() != now or ours - now.keys():
        others = {k: v for k, v in st.query_params.items() if k not in {*ours, "recipe"}}
        st.query_params.from_dict(others | now)
