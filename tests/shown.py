"""What a figure shows, as lines of text: a person's reading of it, for tests to hold against made data.

Title and subtitle; each axis with its name, kind, range and ticks; lines drawn through the plot; names of panels; then
every trace with its name and colour, and every point of it with what is said when it is pointed at. How it is laid out
(heights, margins, fonts) is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import dedent
from typing import Any

import numpy as np
import plotly.graph_objects as go

COLOURS = {
    "#0072b2": "blue",
    "#d55e00": "orange",
    "#009e73": "green",
    "#cc79a7": "pink",
    "#56b4e9": "sky",
    "#8c8c8c": "grey",
    "rgba(128,128,128,0.45)": "pale",
}
_FIELD = re.compile(r"%\{(\w+)(?:\[(\d+)\])?(?::([^}]*))?\}")
_HEAT_SCALES = {
    ("#00224e", "#fee838"): "dark to yellow",
    ("rgb(5,48,97)", "rgb(103,0,31)"): "blue to red",
    ("black", "white"): "ink",
}


def shows(figure: go.Figure, wanted: str) -> None:
    """Assert that a figure says that and nothing else."""
    assert shown(figure) == dedent(wanted).strip().splitlines()


def shown(figure: go.Figure) -> list[str]:
    """All that a figure says, a line each."""
    return [*said(figure).split("<br>"), *axes(figure), *(line for trace in figure.data for line in of_trace(trace))]


def said(figure: go.Figure) -> str:
    """Title and subtitle."""
    return f"{figure.layout.title.text}<br>{figure.layout.title.subtitle.text}"


def axes(figure: go.Figure) -> list[str]:
    """Axes, lines through the plot and names of panels."""
    found = []
    for key in sorted(k for k in figure.layout.to_plotly_json() if re.match(r"[xy]axis\d*$", k)):
        axis = figure.layout[key]
        words = ["hidden" if axis.visible is False else axis.title.text or "no name"]
        words += [str(axis.type)] if axis.type else []
        words += [f"{_few(axis.range[0])} to {_few(axis.range[1])}"] if axis.range else []
        words += ["from 0"] if axis.rangemode == "tozero" else []
        words += ["downwards"] if axis.autorange == "reversed" else []
        words += [f"at {_few(v)}: {t}" for v, t in zip(_or(axis.tickvals), _or(axis.ticktext), strict=True)]
        found.append(f"{key}: {', '.join(words)}")
    for line in figure.layout.shapes:
        x, y = (None if ref == "paper" or "domain" in str(ref) else ref or "" for ref in (line.xref, line.yref))
        where = f"x {_few(line.x0)}" if y is None else f"y {_few(line.y0)}"
        assert (line.x0 == line.x1) if y is None else (line.y0 == line.y1)
        of = f" of {line.xref}" if x and y is None else ""
        found.append(f"line at {where}{of}: {colour(line.line.color)}, {line.line.dash}")
    found += [f"bars: {figure.layout.barmode}"] if figure.layout.barmode else []
    found += ["a legend"] if figure.layout.showlegend else []
    return found + [f"panel: {a.text}" for a in figure.layout.annotations]


def of_trace(trace: Any) -> Iterator[str]:
    """A trace and every point of it."""
    if trace.type == "heatmap":
        yield from _of_heat(trace)
        return
    marker = trace.marker.color
    each = None if marker is None or isinstance(marker, str) else [colour(c) for c in marker]
    words = [trace.type + (f" {trace.mode}" if trace.type == "scatter" else "")]
    words += [repr(trace.name)] if trace.name else []
    words += [colour(v) for v in (marker, trace.line.color if trace.type == "scatter" else None) if isinstance(v, str)]
    words += [str(getattr(trace.line, "dash", None) or "")] if trace.type == "scatter" else []
    symbol = trace.marker.symbol if trace.type == "scatter" else None
    words += [symbol] if isinstance(symbol, str) else []
    words += ["not in the legend"] if trace.showlegend is False else []
    yield ", ".join(w for w in words if w)
    if trace.type == "scatter" and trace.marker.showscale:
        yield from _bar(trace.marker)
    texts = trace.text if trace.text is not None and not isinstance(trace.text, str) else None
    for i in range(len(trace.x)):
        if trace.type == "bar" and trace.orientation != "h" and trace.y[i] == 0 and len(trace.x) > 11:
            continue  # of a histogram
        more = [hover(trace, i)] if trace.hovertemplate else []
        more += [f"“{texts[i]}”"] if texts is not None and texts[i] else []
        more += [f"“{_told(trace, trace.texttemplate, i)}”"] if trace.texttemplate else []
        more += [each[i]] if each else []
        more += [str(symbol[i])] if symbol is not None and not isinstance(symbol, str) else []
        yield f"  {_few(trace.x[i])}, {_few(trace.y[i])}: {'; '.join(more)}"


def _of_heat(trace: Any) -> Iterator[str]:
    yield from _bar(trace, "heatmap ")
    for row, values in enumerate(trace.z):
        for column, z in enumerate(values):
            y, x = _label(trace.y, row), _label(trace.x, column)
            if z is not None and not np.isnan(z):
                more = [hover(trace, (row, column))]
                more += [] if "%{z" in trace.hovertemplate else [_few(z)]
                more += [f"“{_told(trace, trace.texttemplate, (row, column))}”"] if trace.texttemplate else []
                yield f"  {y}, {x}: {'; '.join(more)}"


def _bar(of: Any, what: str = "") -> Iterator[str]:
    """The scale of colours of a heat map or of markers."""
    low, high, middle = (getattr(of, name, None) for name in ("zmin", "zmax", "zmid"))
    ends = "" if low is None else f"from {_few(low)}" if high is None else f"{_few(low)} to {_few(high)}"
    scale = _HEAT_SCALES[of.colorscale[0][1].replace(" ", ""), of.colorscale[-1][1].replace(" ", "")]
    words = [f"{what}{scale}"] + ([ends] if ends else [])
    words += [f"middle {_few(middle)}"] if middle is not None else []
    bar = of.colorbar
    words += [f"bar “{bar.title.text}”"] if bar.title.text and of.showscale is not False else []
    words += [f"at {_few(v)}: {t}" for v, t in zip(_or(bar.tickvals), _or(bar.ticktext), strict=True)]
    yield ", ".join(words)


def hover(trace: Any, at: int | tuple[int, int]) -> str:
    """What is said of a point, or of a row and column of a heat map, when it is pointed at."""
    return _told(trace, trace.hovertemplate.removesuffix("<extra></extra>"), at)


def _told(trace: Any, template: str, at: int | tuple[int, int]) -> str:
    row, column = at if isinstance(at, tuple) else (at, at)

    def value(match: re.Match[str]) -> str:
        name, index, form = match.groups()
        heat = trace.type == "heatmap"
        if name in "xy":
            found = _label(getattr(trace, name), column if name == "x" else row)
            found = found if isinstance(found, str) else float(found)
        else:
            found = getattr(trace, name)[row]
            found = found[column] if heat else found
        found = found if index is None else found[int(index)]
        return format(float(found), form) if form and "," not in form else f"{_int(found):,}" if form else _few(found)

    return _FIELD.sub(value, template)


def colour(value: Any) -> str:
    return COLOURS.get(value, value) if isinstance(value, str) else _few(value)


def _label(values: Any, i: int) -> Any:
    return i if values is None else values[i]


def _or(values: Any) -> Any:
    return [] if values is None else values


def _int(value: Any) -> int:
    assert float(value) == int(value), value
    return int(value)


def _few(value: Any) -> str:
    return value if isinstance(value, str) else f"{float(value):.6g}"
