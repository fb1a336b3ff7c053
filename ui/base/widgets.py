"""Small parts that pages share."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import streamlit as st

from sae_core.files import CheckpointError
from sae_core.measure.usage import RARE
from ui.base import chosen, url, words

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from sae_core.measure.features import FeatureStats
    from ui.base import state

R = TypeVar("R")
PATIENCE = 1.0
"""seconds after which progress is shown"""


def kept(key: str, label: str, options: Mapping[str, str] | Sequence[str], default: str | None = None) -> str:
    """A row of options whose choice outlives page and section (a widget's own state does not).

    options: what is chosen, and how it is shown where that is something else. default: the first.
    """
    names = options if isinstance(options, Mapping) else {name: name for name in options}
    asked = url.not_there(key, list(names))
    given = chosen.by_widget(key, list(names), default)
    if asked is not None:
        st.warning(
            f"There is no {label.lower()} '{words.plain(asked, 60)}' here; this is {names[chosen.get(key)]}.",
            icon=":material/warning:",
        )
    st.segmented_control(
        label,
        required=True,
        format_func=lambda o: names[o],
        label_visibility="collapsed",
        **given | {"on_change": _take, "args": (key, given["on_change"])},
    )
    return str(chosen.get(key))


def _take(key: str, keep: Callable[[str], None]) -> None:
    keep(key)
    url.made(key)


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
        which = st.segmented_control(
            "Statistics over",
            measured,
            default=measured[0],
            required=True,
            key=f"statistics-{choice.model.name}",
            format_func=lambda n: f"{n}/train",
            label_visibility="collapsed",
        )
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
