"""NumPy in, plotly figure out. No streamlit and no torch here.

Every figure can be understood alone: its title, units, split and n are in it. Backgrounds are transparent and
no text has a colour, so that light and dark pages both suit; the colours are Okabe and Ito's, told apart by
every kind of eye.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

BLUE, ORANGE = "#0072b2", "#d55e00"


def _bars(bars: go.Bar, title: str, subtitle: str, x: dict[str, Any], y: dict[str, Any], **layout: Any) -> go.Figure:
    """A bar chart in one construction: changing a figure step by step costs plotly far more time."""
    axis = {"fixedrange": True, "automargin": True}
    text = {"text": title, "subtitle": {"text": subtitle}}
    return go.Figure(
        bars,
        {
            "title": {**text, "x": 0, "xref": "container", "y": 0.97, "yanchor": "top"},
            "height": 260,
            "margin": {"l": 8, "r": 8, "t": 68, "b": 8},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "showlegend": False,
            "dragmode": False,
            "xaxis": {**axis, **x},
            "yaxis": {**axis, "rangemode": "tozero", **y},
            **layout,
        },
    )


def class_rates(
    feature: int, rates: np.ndarray, class_n: np.ndarray, names: Sequence[str], frequency: float, split: str
) -> go.Figure:
    """On which share of each class's images [classes] a feature is active; the line is that of all images."""
    bars = go.Bar(
        x=list(names[: len(rates)]),
        y=100 * rates.astype(float),
        marker_color=BLUE,
        customdata=class_n,
        hovertemplate="active on %{y:.3g} % of the %{customdata:,} images of %{x}<extra></extra>",
    )
    all_images = {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": 100 * frequency,
        "y1": 100 * frequency,
        "line": {"color": ORANGE, "width": 2, "dash": "dash"},
    }
    return _bars(
        bars,
        f"How often feature {feature} is active",
        f"{split}, n = {int(class_n.sum()):,}; line: all images, {100 * frequency:.2g} %",
        {"type": "category", "title": {"text": "class"}},
        {"title": {"text": "share of its images (%)"}},
        shapes=[all_images],
    )


def frequencies(frequency: np.ndarray, split: str, n: int) -> go.Figure:
    """How many features [d_sae] are active how often, on a logarithmic scale; dead ones are only counted."""
    alive = frequency[frequency > 0]
    # Four bins a decade, down to one image in n; a frequency of exactly 1 belongs to the last.
    edges = np.arange(min(np.floor(4 * np.log10(1 / n)), -4), 1) / 4
    counts, _ = np.histogram(np.minimum(np.log10(alive), -1e-9), edges)
    bars = go.Bar(
        x=(edges[:-1] + edges[1:]) / 2,
        y=counts,
        width=0.235,
        marker_color=BLUE,
        customdata=100 * 10 ** np.stack([edges[:-1], edges[1:]], 1),
        hovertemplate="%{y:,} features on %{customdata[0]:.2g} to %{customdata[1]:.2g} %<extra></extra>",
    )
    ticks = np.arange(np.ceil(edges[0]), 1)
    return _bars(
        bars,
        "How often features are active",
        f"{split}, n = {n:,}; {len(alive):,} features, {len(frequency) - len(alive):,} dead ones left out",
        {
            "title": {"text": "active on (% of the images)"},
            "tickvals": ticks,
            "ticktext": [f"{100 * 10**t:g}" for t in ticks],
        },
        {"title": {"text": "features"}},
    )
