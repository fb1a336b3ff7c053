"""Texts that the visitor's own browser keeps for the next visit, each under its name; draws nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import streamlit as st

from ui.live import link
from ui.live.component import component

_shelf = component("steer/shelf")
_TEXTS = 200
"""of a browser that are looked at"""


def shelf(key: str, most: int, found: Callable[[list[str]], None]) -> None:
    """Mount the shelf `key`, on which at most `most` texts stand: the browser does there what `put` and `drop` asked.

    What other tabs keep there stays. `found` gets what an earlier visit left, once in a session: it may be anything.
    """

    def take(message: link.Message) -> None:
        change, written = _change(key), message.get("written")
        if change and written and written["id"] == change["id"]:
            kept = written["kept"] is True
            st.session_state[f"{key}_change"] = None if kept else {**change, "refused": True}
        if "texts" in message and not st.session_state.get(f"{key}_read"):
            texts = message["texts"]
            found(
                [text if isinstance(text, str) else "" for text in texts[:_TEXTS]] if isinstance(texts, list) else [""]
            )
            st.session_state[f"{key}_read"] = True

    link.take(key, told=take)
    asked = None
    if change := _change(key):
        put = [[name, text] for name, text in change["texts"].items() if text is not None]
        drop = [name for name, text in change["texts"].items() if text is None]
        asked = {"id": change["id"], "put": put, "drop": drop, "most": most}
    data = {"id": key, **link.answer(key), "change": asked, "read": not st.session_state.get(f"{key}_read")}
    _shelf(key=key, data=data, height=1, on_told_change=lambda: None)


def put(key: str, name: str, text: str) -> None:
    """Have the browser keep a text, JSON that says {"name": name, ..}, in place of another of that name."""
    _ask(key, name, text)


def drop(key: str, name: str) -> None:
    """Have the browser forget the text of that name."""
    _ask(key, name, None)


def refused(key: str) -> list[str]:
    """The names of the texts that the browser could not keep; they are asked of it again with the next change."""
    change = _change(key)
    return [n for n, text in change["texts"].items() if text is not None] if change and change["refused"] else []


def _change(key: str) -> dict[str, Any] | None:
    """What the browser is still to do: {"id": .., "texts": {name: text, or None to forget it}, "refused": ..}."""
    found: dict[str, Any] | None = st.session_state.get(f"{key}_change")
    return found


def _ask(key: str, name: str, text: str | None) -> None:
    before = _change(key)
    texts = {**(before["texts"] if before else {}), name: text}
    # Another id, so that the browser does it: all of it again, in case it had not come to that yet.
    st.session_state[f"{key}_change"] = {"id": uuid4().hex, "texts": texts, "refused": False}
