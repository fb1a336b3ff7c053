"""Texts that the visitor's own browser keeps for the next visit; draws nothing."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui import state
from ui.components import register

_shelf = register("shelf")
_TEXTS = 200
"""of a browser that are looked at"""


def shelf(key: str, texts: list[str] | None) -> None:
    """Keep these texts under `key` in the browser; None: nothing has changed here, so that what it has stays."""
    data = {"id": key, "texts": texts, "read": bool(st.session_state.get(f"{key}_read"))}
    _shelf(key=key, data=data, height=1, on_found_change=lambda: None)


def read(key: str) -> list[str] | None:
    """What the browser had kept, once in a session, after `shelf` was mounted; else None. It may hold anything."""
    found: Any = state.component_value(key, "found")
    if found is None or st.session_state.get(f"{key}_read"):
        return None
    st.session_state[f"{key}_read"] = True
    texts = found.get("texts") if isinstance(found, dict) else None
    return [text if isinstance(text, str) else "" for text in texts[:_TEXTS]] if isinstance(texts, list) else [""]
