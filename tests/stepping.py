"""What a stepper of the browser does, in an AppTest."""

from __future__ import annotations

import json
from typing import Any

from streamlit.testing.v1 import AppTest


def mounted(at: AppTest, key: str) -> dict[str, Any]:
    """The data of the component of that id, as the browser gets it."""
    found = [json.loads(c.proto.json) for c in at.get("bidi_component") if c.proto.json]
    return next(data for data in found if data.get("id") == key)


def step(at: AppTest, key: str, of: str, value: int | None, presses: int = 0, seq: int | None = None) -> AppTest:
    """As the stepper sends it: the number that was reached, and the presses for the next since; newer than before."""
    now = {"seq": mounted(at, key)["seq"] + 1 if seq is None else seq, "of": of, "value": value, "presses": presses}
    at.session_state[key] = {"step": now}
    return at.run()
