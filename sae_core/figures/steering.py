"""What edits did, as figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from sae_core.figures.style import BLUE, ORANGE, RATE_COLOURS, axis_of, frame

LONG = 6
"""letters of a class's name beside an axis"""
SIZE = {"height": 360, "top": 72}
LINES = (ORANGE, BLUE, "#009e73", "#cc79a7")
"""of the classes that change most; the others are grey"""
GREY = "rgba(128,128,128,0.45)"
MIDDLE = "rgb(128,128,128)"
"""is seen on white and on black"""


def _short(names: Sequence[str]) -> list[str]:
    """Names as they fit beside an axis; "–" for a long one, such as "no digit"."""
    return [name if len(name) <= LONG else "–" for name in names]


def confusion(counts: np.ndarray, names: Sequence[str], what: str, where: str) -> go.Figure:
    """Images by label (row) and what the classifier says (column): counts [C, C]; empty rows are left out."""
    n, right = int(counts.sum()), int(np.trace(counts))
    rows = np.flatnonzero(counts.sum(1))
    share = counts[rows] / counts[rows].sum(1, keepdims=True)
    short = _short(names)
    y, x = np.nonzero(counts[rows])
    heat = go.Heatmap(
        z=100 * share,
        x=short,
        y=[short[r] for r in rows],
        customdata=counts[rows],
        colorscale=RATE_COLOURS,
        zmin=0,
        zmax=100,
        showscale=False,
        hovertemplate="of the %{y}s, %{customdata:,} (%{z:.3g} %) are taken for %{x}<extra></extra>",
    )
    numbers = go.Scatter(
        x=[short[c] for c in x],
        y=[short[rows[r]] for r in y],
        text=[f"{counts[rows[r], c]:,}" for r, c in zip(y, x, strict=True)],
        mode="text",
        textfont={"size": 10, "color": np.where(share[y, x] > 0.5, "black", "white")},
        hoverinfo="skip",
    )
    one = {"type": "category", "showgrid": False, "zeroline": False, "dtick": 1, "tickangle": 0}
    return go.Figure(
        [heat, numbers],
        frame(
            f"{what}: {100 * right / n:.1f} % right",
            f"images by label and answer; {where}, n = {n:,}",
            **SIZE,
            xaxis=axis_of("the classifier says", categoryarray=short, **one),
            yaxis=axis_of("label", autorange="reversed", **one),
        ),
    )


def changes(mean: np.ndarray, interval: np.ndarray, names: Sequence[str], where: str, n: int) -> go.Figure:
    """What the edit adds (orange) to each class's probability [C] or takes away (blue), with its interval [C, 2]."""
    percent, ends = 100 * mean, 100 * interval
    bars = go.Bar(
        x=_short(names),
        y=percent,
        marker_color=np.where(percent >= 0, ORANGE, BLUE),
        error_y={
            "type": "data",
            "array": ends[:, 1] - percent,
            "arrayminus": percent - ends[:, 0],
            "thickness": 2,
            "color": MIDDLE,
        },
        customdata=ends,
        hovertemplate="%{x}: %{y:+.2f} points (95 %: %{customdata[0]:+.2f} to %{customdata[1]:+.2f})<extra></extra>",
    )
    return go.Figure(
        bars,
        frame(
            "What the edit adds to each class",
            f"mean change of the probability, 95 % interval; {where}, n = {n:,}",
            **SIZE,
            xaxis=axis_of("class", type="category", tickangle=0),
            yaxis=axis_of("percentage points"),
        ),
    )


def dose(probabilities: np.ndarray, scales: Sequence[float], names: Sequence[str], where: str, n: int) -> go.Figure:
    """The mean probability of each class [scales, C] at each strength of the edit; those that change most in colour."""
    percent = 100 * probabilities
    order = np.argsort(-np.ptp(percent, 0), kind="stable")
    colours = dict(zip(order.tolist(), LINES, strict=False))
    lines: list[go.Scatter] = []
    labels = _end_labels(percent[-1], [c for c in order.tolist() if c in colours], names, 0.06 * float(percent.max()))
    for c in order[::-1].tolist():
        name = names[c]
        lines.append(
            go.Scatter(
                x=list(scales),
                y=percent[:, c],
                name=name,
                mode="lines+markers+text" if c in colours else "lines",
                text=[""] * (len(scales) - 1) + [labels.get(c, "")],
                textposition="middle right",
                cliponaxis=False,
                line={"color": colours.get(c, GREY), "width": 2.5 if c in colours else 1},
                hovertemplate=f"{name}: %{{y:.3g}} % at strength %{{x:g}}<extra></extra>",
            )
        )
    return go.Figure(
        lines,
        frame(
            "Dose and response",
            f"mean probability of each class; {where}, n = {n:,}",
            **SIZE,
            xaxis=axis_of("strength: 0 is untouched, 1 the edit", dtick=0.5, range=[-0.05, max(scales) + 0.25]),
            yaxis=axis_of("probability (%)", rangemode="tozero"),
        ),
    )


def _end_labels(ends: np.ndarray, classes: Sequence[int], names: Sequence[str], apart: float) -> dict[int, str]:
    """What stands at the end of which class's line.

    Lines that end within `apart` of the next have one label together, at the line of the group's middle.
    """
    groups: list[list[int]] = []
    for c in sorted(classes, key=lambda c: ends[c]):
        if groups and ends[c] - ends[groups[-1][-1]] <= apart:
            groups[-1].append(c)
        else:
            groups.append([c])
    return {g[len(g) // 2]: " " + " · ".join(names[c] for c in sorted(g)) for g in groups}
