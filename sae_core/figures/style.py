"""What all figures look like.

Colours are Okabe and Ito's, told apart by every kind of eye (cividis for amounts, red to blue for what has a sign);
backgrounds are transparent and no text has a colour of its own, so that light and dark pages both suit. Title,
unit, split and n are in each figure.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

BLUE, ORANGE = "#0072b2", "#d55e00"
GREEN, PINK, SKY, GREY = "#009e73", "#cc79a7", "#56b4e9", "#8c8c8c"
COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY)
INK = [[0, "black"], [1, "white"]]
"""of pictures as MNIST has them: 0 is black paper, 1 full ink"""
SIGNED = "RdBu_r"
RATE_COLOURS = "Cividis"
"""from nothing (dark blue) to much (yellow): the same order for every kind of eye, on light and on dark"""
LINE, GAP = 58, 2


def frame(
    title: str, subtitle: str, height: int = 260, top: int = 68, title_at: float = 0.97, **layout: Any
) -> dict[str, Any]:
    """Layout of every figure: height pixels in all, `top` of them for title and subtitle."""
    text = {"text": title, "subtitle": {"text": subtitle}}
    return {
        "title": {**text, "x": 0, "xref": "container", "y": title_at, "yanchor": "top"},
        "height": height,
        "margin": {"l": 8, "r": 8, "t": top, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "dragmode": False,
        **layout,
    }


def styled(title: str, subtitle: str, height: int, above: int = 0, **layout: Any) -> dict[str, Any]:
    """The same where a subtitle longer than a narrow screen goes on in the next line.

    The plot is `height` pixels high, with `above` more for the names of panels.
    """
    kept = subtitle.replace(" = ", "\u00a0=\u00a0")  # no line ends within "n = 500"
    lines = [line.replace("\u00a0", " ") for line in textwrap.wrap(kept, LINE)]
    top = 52 + 16 * len(lines) + above
    return frame(title, "<br>".join(lines), height + top, top, 1 - 12 / (height + top), **layout)


AXIS: dict[str, Any] = {"fixedrange": True, "automargin": True}


def axis_of(title: str = "", **more: Any) -> dict[str, Any]:
    return {**AXIS, "title": {"text": title}, **more}


def plot(
    traces: Sequence[Any] | Any,
    title: str,
    subtitle: str,
    x: Mapping[str, Any],
    y: Mapping[str, Any],
    height: int = 260,
    **layout: Any,
) -> go.Figure:
    return go.Figure(
        traces, styled(title, subtitle, height, xaxis={**axis_of(), **x}, yaxis={**axis_of(), **y}, **layout)
    )


LEGEND: dict[str, Any] = {
    "showlegend": True,
    "legend": {"orientation": "h", "y": -0.3, "yanchor": "top", "x": 0, "title": {"text": ""}},
}
HIDDEN: dict[str, Any] = {"visible": False, "constrain": "domain", "fixedrange": True}


def upright(x: float, colour: str = ORANGE, dash: str = "dash") -> dict[str, Any]:
    """A vertical line through the whole plot."""
    line = {"color": colour, "width": 1.5, "dash": dash}
    return {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": x, "x1": x, "line": line}


def bar_figure(
    bars: go.Bar, title: str, subtitle: str, x: dict[str, Any], y: dict[str, Any], **layout: Any
) -> go.Figure:
    """A bar chart in one construction: changing a figure step by step costs plotly far more time."""
    y = {"rangemode": "tozero", **y}
    return go.Figure(bars, frame(title, subtitle, xaxis={**AXIS, **x}, yaxis={**AXIS, **y}, **layout))


def heat_map(
    heat: go.Heatmap | list[Any], title: str, subtitle: str, x: dict[str, Any], y: dict[str, Any], **layout: Any
) -> go.Figure:
    """A heat map (and what is drawn over it) in one construction, its first row at the top."""
    axis = {**AXIS, "showgrid": False, "zeroline": False, "ticks": ""}
    layout = {"height": 400, "xaxis": {**axis, **x}, "yaxis": {**axis, "autorange": "reversed", **y}, **layout}
    return go.Figure(heat, frame(title, subtitle, **layout))


def colour_bar(title: str) -> dict[str, Any]:
    return {"title": {"text": title, "side": "right"}, "thickness": 10, "outlinewidth": 0, "xpad": 6}
