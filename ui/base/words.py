"""Text that came from outside, and errors in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from sae_core import files
from sae_core.datasets import DataError


def percent(share: float) -> str:
    """A share in [0, 1] with two digits that count: "42 %", "3.2 %", "0.05 %"."""
    value = 100 * float(share)
    decimals = 0 if value >= 10 else 1 if value >= 1 else 2
    if 0 < value < 0.01:
        return "< 0.01 %"
    return f"{value:.{decimals}f} %"


_MARKDOWN = re.compile(r"([\\`*_~\[\](){}<>#!|$&+]|:(?=\S))")


def plain(text: object, most: int = 300) -> str:
    """What came from outside (an address, a file, the browser), to stand in a sentence as it is, cut to `most`.

    Streamlit reads every sentence as Markdown, in which an image makes the browser ask any host for it.
    """
    whole = " ".join(str(text).split())
    return _MARKDOWN.sub(r"\\\1", whole[:most]) + "…" * (len(whole) > most)


@contextmanager
def explained() -> Iterator[None]:
    """Say in words, in place, what of a panel could not be shown; the rest of the page goes on."""
    try:
        yield
    except (files.CheckpointError, DataError) as e:
        st.info(str(e), icon=":material/info:")
