"""All features at once: how often and how strongly they are used, and a map of which resemble each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from ui.base import models, state
from ui.base.cache import shared
from ui.base.url import belongs
from ui.base.widgets import chart, kept

if TYPE_CHECKING:
    from sae_core.measure.features import FeatureStats
    from sae_core.measure.geometry import FeatureMap


FIRST = 25
"""features in the bars of the most used"""
belongs("Features", "map_ranking")
MAPPED = 500
"""features on the map"""


def landscape(choice: state.Choice, stats: FeatureStats | None) -> None:
    """Use (figure 5 of the documents) and map of the chosen model's features; filled only when it is opened."""
    if stats is None:
        return
    box = st.expander("Use and map of the features", key="feature-landscape", on_change="rerun")
    if not box.open:
        return
    with box:
        _use(stats)
        _map(choice, stats)


def _use(stats: FeatureStats) -> None:
    from sae_core.figures import charts
    from sae_core.measure.geometry import rank_correlation

    said = f"{stats.dataset}/{stats.split}, n = {stats.n:,}"
    often, strong = (np.argsort(-v, kind="stable")[:FIRST] for v in (stats.frequency, stats.mean_active))
    left, right = st.columns(2)
    percent = 100 * stats.frequency[often]
    most = charts.ranked(often, percent, f"The {FIRST} most frequent features", "active on (%)", said)
    with left:
        chart("most-frequent", most)
    title = f"The {FIRST} strongest features"
    strongest = charts.ranked(strong, stats.mean_active[strong], title, "mean when active", said)
    with right:
        chart("strongest", strongest)
    used = ~stats.dead
    rank = rank_correlation(stats.frequency[used], stats.mean_active[used])
    scatter = charts.frequency_against_strength(stats.frequency, stats.mean_active, "when active", rank, said)
    _points(scatter, "use-of-features")


def _map(choice: state.Choice, stats: FeatureStats) -> None:
    from sae_core.figures import charts
    from sae_core.measure.features import most_lift
    from sae_core.measure.geometry import RANKINGS

    words = dict(zip(RANKINGS, ("length of the row", "variance of its weights", "largest weight"), strict=True))
    st.caption("Ranked by")
    by = kept("map_ranking", "Ranked by", words, "norm")
    with st.spinner("Drawing the map …", show_time=True):
        try:
            found = _computed(choice.model, by)
        except ValueError as e:
            st.info(f"There is no map: {e}", icon=":material/info:")
            return
    digit = most_lift(stats.class_rates, stats.count, stats.n)[found.features]
    said = f"{stats.dataset}/{stats.split}, n = {stats.n:,}"
    frequency = stats.frequency[found.features]
    _points(charts.feature_map(found.xy, found.features, frequency, digit, words[by], said), "map-of-features")
    st.caption(
        "Click a point to open its feature. What is near on the map is alike; distances further away say little."
    )


@shared(16)
def _computed(model: models.Model, by: str) -> FeatureMap:
    from sae_core.measure.geometry import feature_map

    return feature_map(model.sae.inference_form().W.T, by, MAPPED)


def _points(figure: Any, key: str) -> None:
    """A figure whose points open their feature when they are clicked."""
    chart(key, figure, on_select=lambda: _open(key), selection_mode="points")


def _open(key: str) -> None:
    points = st.session_state[key]["selection"]["points"]
    if points:
        which = np.ravel(points[0]["customdata"])[0]
        state.choose(feature=int(which))
