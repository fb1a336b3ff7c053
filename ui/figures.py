"""NumPy in, plotly figure out. No streamlit and no torch here.

Every figure can be understood alone: its title, units, split and n are in it. Backgrounds are transparent and no
text has a colour, so that light and dark pages both suit; the colours are Okabe and Ito's, told apart by every
kind of eye.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#8a8a8a"


def _titled(figure: go.Figure, title: str, subtitle: str, height: int) -> go.Figure:
    figure.update_layout(
        title={
            "text": title,
            "subtitle": {"text": subtitle},
            "x": 0,
            "xref": "container",
            "y": 0.97,
            "yanchor": "top",
        },
        height=height,
        margin={"l": 8, "r": 8, "t": 68, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        showlegend=False,
        dragmode=False,
    )
    figure.update_xaxes(fixedrange=True, automargin=True)
    figure.update_yaxes(fixedrange=True, automargin=True)
    return figure


def class_rates(
    feature: int, rates: np.ndarray, class_n: np.ndarray, names: Sequence[str], frequency: float, split: str
) -> go.Figure:
    """On which share of each class's images [classes] a feature is active; the line is its share of all images."""
    figure = go.Figure(
        go.Bar(
            x=list(names),
            y=100 * rates.astype(float),
            marker_color=BLUE,
            customdata=class_n,
            hovertemplate="active on %{y:.3g} % of the %{customdata:,} images of %{x}<extra></extra>",
        )
    )
    figure.add_hline(y=100 * frequency, line={"color": ORANGE, "width": 2, "dash": "dash"})
    figure.update_xaxes(type="category", title="class")
    figure.update_yaxes(title="share of its images (%)", rangemode="tozero")
    subtitle = f"{split}, n = {int(class_n.sum()):,}; line: all images, {100 * frequency:.3g} %"
    return _titled(figure, f"Feature {feature}: active on", subtitle, 260)


def frequencies(frequency: np.ndarray, split: str, n: int) -> go.Figure:
    """How many features [d_sae] are active how often, on a logarithmic scale; dead ones are counted in words."""
    alive = frequency[frequency > 0]
    edges = np.arange(np.floor(4 * np.log10(1 / n)), 1) / 4
    counts, _ = np.histogram(np.log10(alive), np.append(edges[:-1], 1e-9) if len(edges) > 1 else [-1, 1e-9])
    edges = edges if len(edges) > 1 else np.array([-1.0, 0.0])
    low, high = 100 * 10 ** edges[:-1], 100 * 10 ** edges[1:]
    figure = go.Figure(
        go.Bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=counts,
            width=np.diff(edges) * 0.94,
            marker_color=BLUE,
            customdata=np.stack([low, high], 1),
            hovertemplate="%{y:,} features are active on %{customdata[0]:.2g} to %{customdata[1]:.2g} %<extra></extra>",
        )
    )
    ticks = np.arange(np.ceil(edges[0]), 1)
    figure.update_xaxes(
        title="active on (% of the images)", tickvals=ticks, ticktext=[f"{100 * 10**t:g}" for t in ticks]
    )
    figure.update_yaxes(title="features", rangemode="tozero")
    subtitle = (
        f"{split}, n = {n:,}; {len(alive):,} features, {len(frequency) - len(alive):,} dead ones left out"
    )
    return _titled(figure, "How often features are active", subtitle, 280)
