"""The choices in the address."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ui.base import chosen

_KEYS = ("model", "data", "image", "feature")


def in_url() -> dict[str, str]:
    return {k: st.query_params[k] for k in _KEYS if k in st.query_params}


def in_session() -> dict[str, str]:
    return {k: v for k in _KEYS if (v := chosen.get(k)) is not None}


def take_url() -> None:
    """The URL wins where somebody came with it: a deep link, or a step back or forward in the browser's history.

    Any other message brings the URL along as the browser knew it when it was sent, by a link as it was drawn: what was
    chosen since is newer.
    """
    there, written = in_url(), st.session_state.get("written_url")
    if there and there != written and (written is None or _by_history()):
        for key in _KEYS:
            chosen.put(key, there.get(key))


def _by_history() -> bool:
    context = get_script_run_ctx()
    # Where Streamlit does not say, a step back must work; a choice made while the page is slow could then be undone.
    return bool(getattr(context, "is_history_navigation", True))


def write_url() -> None:
    now = in_session()
    st.session_state["written_url"] = now
    if in_url() != now:
        st.query_params.from_dict({k: v for k, v in st.query_params.items() if k not in _KEYS} | now)
