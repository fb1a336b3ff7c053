"""The way of what a person does in the browser to Python, and back; link.js is its other end.

    problem = link.take(KEY, drawing=handle)       # before what it changes is shown: the newest message, once
    with link.push(KEY) as made:                   # Python changes the same thing itself: the number of its change
        ...
    data = {**link.answer(KEY), "picture": {"from": seq, "push": made, ..}, ..}    # to the component, in every run

A message is a state of the component that has a number: {"seq": 3, "epoch": .., ..}. It counts as taken only after its
handler is done, which is noted last: Streamlit may end a run at any use of its state when a newer message waits, and
the next run then takes it whole. `answer` tells the browser, which sends again what was not taken. To a session that
starts anew, and knows nothing, it sends it anew: what it had sent to the one before (`epoch`) is not taken. A thing
that both sides change says where it is from: the message it was made of, or Python's own change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import streamlit as st

Message = dict[str, Any]
"""what the browser sent: its number `seq`, and what the component says"""


class Refused(Exception):
    """A message cannot be used; the browser is told why, in these words."""


@dataclass(frozen=True)
class _Link:
    """Python's end of one component's link, as the session keeps it."""

    begun: int = 0
    """number of the last message that a handler began with"""
    taken: int = 0
    """number of the last message that was taken"""
    pushed: int = 0
    """number of Python's last own change"""
    refused: dict[str, Any] | None = None
    """of the last message that was taken, where it could not be used: {"seq": .., "why": ..}"""


def take(key: str, **handlers: Callable[[Message], None]) -> str | None:
    """Let the newest message of the mounted component `key` be handled, unless it was already.

    `handlers` are called by the name of the state in which it came. One may raise Refused. What they cannot read
    (KeyError, TypeError, ValueError, AttributeError) counts as taken too, and what is wrong with it is returned; else
    None.
    """
    messages = {name: m for name, m in _messages(key).items() if name in handlers}
    name = max(messages, key=lambda name: int(messages[name]["seq"]), default=None)
    link, message = _link(key), messages.get(name or "", {"seq": 0})
    # Of one whose run was ended something is there already: an older one that comes again late does not undo that.
    if name is None or message["seq"] <= link.taken or message["seq"] < link.begun:
        return None
    _note(key, replace(link, begun=message["seq"]))
    refused, problem = None, None
    try:
        handlers[name](message)
    except Refused as e:
        refused = {"seq": message["seq"], "why": str(e)}
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        refused, problem = {"seq": message["seq"], "why": ""}, str(e)
    _note(key, replace(_link(key), taken=message["seq"], refused=refused))  # last: a run may end anywhere before it
    return problem


@contextmanager
def push(key: str) -> Iterator[int]:
    """Number a change that Python makes within. What came from the browser before it is older, and not taken."""
    pushed = _link(key).pushed + 1
    _note(key, replace(_link(key), pushed=pushed))
    yield pushed
    link, seqs = _link(key), [m["seq"] for m in _messages(key).values()]
    _note(key, replace(link, taken=max([link.taken, *seqs]), refused=None))


def answer(key: str) -> dict[str, Any]:
    """What the browser's end is to hear, as part of the component's data."""
    link = _link(key)
    return {"seq": link.taken, "epoch": _epoch(), "pushed": link.pushed, "refused": link.refused}


def _epoch() -> str:
    """Of which session this is."""
    found: str = st.session_state.setdefault("link-epoch", uuid4().hex)
    return found


def _messages(key: str) -> dict[str, Message]:
    """The last message to this session in each of the component's states that has any."""
    states, epoch = st.session_state.get(key), _epoch()
    if not isinstance(states, dict):
        return {}
    mine = {name: m for name, m in states.items() if isinstance(m, dict) and m.get("epoch", epoch) == epoch}
    return {name: m for name, m in mine.items() if type(m.get("seq")) is int}


def _link(key: str) -> _Link:
    found: _Link = st.session_state.get(f"link-{key}", _Link())
    return found


def _note(key: str, link: _Link) -> None:
    st.session_state[f"link-{key}"] = link
