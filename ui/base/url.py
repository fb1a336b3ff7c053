"""The choices in the address."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ui.base import chosen

_KEYS = ("model", "data", "image", "feature")
_of_pages: dict[str, None] = {}
"""the choices of single pages that are in the address too, once a person made them"""


def belongs(*names: str) -> None:
    """These choices of a page are in the address: said by its module, so that `take_url` knows them."""
    _of_pages.update(dict.fromkeys(names))


def in_url() -> dict[str, str]:
    return {k: st.query_params[k] for k in (*_KEYS, *_of_pages) if k in st.query_params}


def in_session() -> dict[str, str]:
    return {k: v for k in _KEYS if (v := chosen.get(k)) is not None} | _made()


def _made() -> dict[str, str]:
    """What was chosen for single pages by a person or an address; what a page opens with is not in the address."""
    made: dict[str, str] = st.session_state.setdefault("made_choices", {})
    return made


def made(name: str) -> None:
    """A person has just chosen that: into the address, where it belongs there."""
    if name in _of_pages:
        _made()[name] = str(chosen.get(name))
        write_url()


def not_there(name: str, options: Sequence[str]) -> str | None:
    """What was asked for under that name, where it is none of the options; it leaves the address."""
    asked = _made().get(name)
    if asked is None or asked in options:
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
    if there and there != written and (written is None or _by_history()):
        for key in _KEYS:
            chosen.put(key, there.get(key))
        for key in _made().keys() - there.keys():
            chosen.put(key, None)
        of_pages = {k: v for k, v in there.items() if k in _of_pages}
        for key, value in of_pages.items():
            chosen.put(key, value)
        st.session_state["made_choices"] = of_pages


def _by_history() -> bool:
    context = get_script_run_ctx()
    # Where Streamlit does not say, a step back must work; a choice made while the page is slow could then be undone.
    return bool(getattr(context, "is_history_navigation", True))


def write_url() -> None:
    now = in_session()
    st.session_state["written_url"] = now
    if in_url() != now:
        st.query_params.from_dict({k: v for k, v in st.query_params.items() if k not in (*_KEYS, *_of_pages)} | now)
