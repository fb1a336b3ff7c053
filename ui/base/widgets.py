"""Small parts that pages share."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import streamlit as st

from sae_core.files import CheckpointError
from sae_core.measure.usage import RARE
from ui.base import chosen, url, words
from ui.base.url import belongs

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from sae_core.measure.features import FeatureStats
    from ui.base import state

R = TypeVar("R")
PATIENCE = 1.0
"""seconds after which progress is shown"""


belongs("Features", "statistics")
belongs("Digits", "statistics")


def kept(key: str, label: str, options: Mapping[str, str] | Sequence[str], default: str | None = None) -> str:
    """A row of options whose choice outlives page and section (a widget's own state does not).

    options: what is chosen, and how it is shown where that is something else. default: the first.
    """
    names = options if isinstance(options, Mapping) else {name: name for name in options}
    st.segmented_control(
        label,
        required=True,
        format_func=lambda o: names[o],
        label_visibility="collapsed",
        **given(key, label, names, default),
    )
    return str(chosen.get(key))


def given(
    key: str, label: str, names: Mapping[str, str], default: str | None = None, then: Callable[[], None] | None = None
) -> dict[str, Any]:
    """What a widget of these options is given, so that it shows and makes a choice that is in the page's address.

    What an address asks for and is none of them is said. then: what a person's choice leads to.
    """
    asked = url.not_there(key, lambda name: name in names)
    of = chosen.by_widget(key, list(names), default)
    if asked is not None:
        _not_there(f"{label.lower()} '{words.plain(asked, 60)}'", names[chosen.get(key)])
    return of | {"on_change": _take, "args": (key, of["on_change"], then)}


def number(key: str, label: str, most: int, default: int = 0, least: int = 0) -> int:
    """A number that a person reached and `reached` kept, or an address asks for; what it cannot be is said."""
    asked = url.not_there(key, lambda text: text.isdecimal() and len(text) < 10 and least <= int(text) <= most)
    if asked is not None:
        chosen.put(key, None)
        _not_there(f"{label} '{words.plain(asked, 20)}'", f"{default}; they go from {least} to {most:,}")
    return int(chosen.get(key) or default)


def several(key: str, label: str, names: Sequence[str]) -> list[str]:
    """Those of the names that are chosen, of a text with commas that `reached` kept or an address asks for."""
    asked = url.not_there(key, lambda text: set(text.split(",")) <= {"", *names})
    if asked is not None:
        chosen.put(key, None)
        _not_there(f"{label} '{words.plain(asked, 60)}'", "without it")
    return [name for name in (chosen.get(key) or "").split(",") if name in names]


def reached(key: str, value: int | str) -> None:
    """A person has just come to that."""
    chosen.put(key, str(value))
    url.made(key)


def _not_there(what: str, this: str) -> None:
    st.warning(f"There is no {what} here; this is {this}.", icon=":material/warning:")


def _take(key: str, keep: Callable[[str], None], then: Callable[[], None] | None) -> None:
    keep(key)
    url.made(key)
    if then is not None:
        then()


def chart(key: str, figure: go.Figure, **options: Any) -> None:
    """A figure, drawn without plotly's tool bar."""
    st.plotly_chart(figure, key=key, config={"displayModeBar": False}, **options)


def waiting(fill: Callable[[Callable[[float], None]], R], said: Callable[[float], str]) -> R:
    """What `fill` gives, with a bar where it takes long: `fill` tells the share that is done, `said` what that is."""
    place, began = st.empty(), time.monotonic()

    def tell(share: float) -> None:
        if share < 1 and time.monotonic() - began > PATIENCE:
            place.progress(share, said(share))

    found = fill(tell)
    place.empty()
    return found


def over(stats: FeatureStats) -> str:
    """What statistics were made on, as captions say it: "mnist/train, n = 60,000"."""
    return f"{stats.dataset}/{stats.split}, n = {stats.n:,}"


def statistics(choice: state.Choice) -> FeatureStats | None:
    """The statistics that a person chooses, at first those on the data the model was trained on."""
    measured = choice.model.measured
    if not measured:
        st.info("What the features respond to was not measured for this model.", icon=":material/info:")
        return None
    row = st.container(horizontal=True, vertical_alignment="center")
    with row:
        st.caption("Statistics over", width="content")
        which = kept("statistics", "Statistics over", {n: f"{n}/train" for n in measured})
    try:
        stats = choice.model.stats(which)
    except CheckpointError as e:
        st.info(f"There are no statistics to show. {e}", icon=":material/info:")
        return None
    row.caption(
        f"Of {len(stats.count):,} features {stats.usage.said()} on {over(stats)}",
        help=f"In use: active (not zero) on {RARE} of these images or more. Rare: on fewer, but on one at least. "
        "Dead: on none; on the wall of Features they are grey. The statistics are stored with the model: the images "
        "themselves need not be here.",
        width="content",
    )
    return stats
