"""Our own components: each one .py, one .js and one .css, with the shared engine in front of its script.

They are registered once, when this package is imported, from constant text: a changed text would rebuild a
component in the page and lose a stroke that is being drawn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

_HERE = Path(__file__).parent


def _text(name: str) -> str:
    path = _HERE / name
    return path.read_text(encoding="utf-8") if path.exists() else ""


def register(name: str, *before: str) -> Any:
    """The component NAME.js with NAME.css and NAME.html where they exist.

    `before` are the scripts PART.js it needs, each with its PART.css where there is one.
    """
    parts = [*before, name]
    js = "\n".join(_text(f"{part}.js") for part in ("engine", *parts))
    css = "\n".join(_text(f"{part}.css") for part in parts)
    return st.components.v2.component(f"sae_{name}", html=_text(f"{name}.html") or "<div></div>", css=css, js=js)
