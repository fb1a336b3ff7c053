"""How the figures of document 004 are drawn: NumPy in, figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sae_core.figures.pictures import pictures
from sae_core.figures.style import (
    BLUE,
    COLOURS,
    GREEN,
    GREY,
    LEGEND,
    ORANGE,
    RATE_COLOURS,
    axis_of,
    colour_bar,
    plot,
    styled,
    upright,
)

BINS = 100
"""of a histogram of importance, as in document 004"""


def loss_by_epoch(claimed: np.ndarray, lines: Mapping[str, np.ndarray], title: str, unit: str, said: str) -> go.Figure:
    """A document's numbers by epoch [epochs] (dashed) and ours; each line [epochs]."""
    dashed = go.Scatter(
        x=np.arange(1, len(claimed) + 1),
        y=claimed,
        name="claimed",
        mode="lines+markers",
        line={"color": GREY, "dash": "dash", "width": 2},
        hovertemplate="claimed, epoch %{x}: %{y:.4f}<extra></extra>",
    )
    ours = [
        go.Scatter(
            x=np.arange(1, len(y) + 1),
            y=y.astype(float),
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": 2},
            hovertemplate=f"{name}, epoch %{{x}}: %{{y:.4f}}<extra></extra>",
        )
        for (name, y), colour in zip(lines.items(), COLOURS, strict=False)
    ]
    return plot([dashed, *ours], title, said, axis_of("epoch", dtick=1), axis_of(unit), 280, **LEGEND)


def importance(share: np.ndarray, title: str, said: str) -> go.Figure:
    """Histogram of importance shares [d_sae] in 100 bins, with lines at 1/d_sae and at the 90th percentile."""
    edges = np.linspace(float(share.min()), float(share.max()) + 1e-12, BINS + 1)
    even, ninety = 1 / len(share), float(np.percentile(share, 90))
    bars = go.Bar(
        x=(edges[:-1] + edges[1:]) / 2,
        y=np.histogram(share, edges)[0],
        width=np.diff(edges),
        marker={"color": BLUE, "line": {"width": 0}},
        hovertemplate="%{y} features with a share of about %{x:.4f}<extra></extra>",
    )
    return plot(
        bars,
        title,
        f"{len(share)} features; dashed: 1/{len(share)} = {even:.4f}, dotted: 90th percentile, {ninety:.4f}; {said}",
        axis_of("share of importance"),
        axis_of("features"),
        300,
        shapes=[upright(even), upright(ninety, GREEN, "dot")],
    )


def importance_by_class(
    shares: np.ndarray, names: Sequence[str], span: tuple[float, float], title: str, said: str
) -> go.Figure:
    """Figures 1 and 2: a histogram of importance shares for each class and for all [classes + 1, d_sae].

    `span` is what every axis reaches over, so that two readings can be held against each other.
    """
    columns = 3
    lines = -(-len(names) // columns)
    found = make_subplots(lines, columns, subplot_titles=list(names), shared_yaxes=True, vertical_spacing=0.09)
    even, shapes = 1 / shares.shape[1], []
    for i, share in enumerate(shares):
        edges = np.linspace(float(share.min()), float(share.max()) + 1e-12, BINS + 1)
        bars = go.Bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=np.histogram(share, edges)[0],
            width=np.diff(edges),
            marker={"color": BLUE, "line": {"width": 0}},
            hovertemplate=f"{names[i]}: %{{y}} features with a share of about %{{x:.4f}}<extra></extra>",
        )
        found.add_trace(bars, i // columns + 1, i % columns + 1)
        axis = str(i + 1) if i else ""
        for x, colour, dash in ((even, ORANGE, "dash"), (float(np.percentile(share, 90)), GREEN, "dot")):
            line = upright(x, colour, dash)
            shapes.append({**line, "xref": f"x{axis}", "yref": f"y{axis} domain"})
    subtitle = f"{shares.shape[1]} features each, {BINS} bins; across: share of importance, up: features; "
    subtitle += f"dashed: 1/{shares.shape[1]}, dotted: 90th percentile; {said}"
    found.update_layout(styled(title, subtitle, 150 * lines, above=18, shapes=shapes))
    found.update_annotations(font_size=12)
    found.update_xaxes(fixedrange=True, nticks=4, tickfont={"size": 10}, range=span)
    found.update_yaxes(fixedrange=True, nticks=4, tickfont={"size": 10})
    return found


def cosine_matrix(cosines: np.ndarray, features: np.ndarray, title: str, said: str) -> go.Figure:
    """Cosines of each two rows [n, n], which are of those features [n]."""
    names = [str(f) for f in features]
    heat = go.Heatmap(
        z=cosines.astype(np.float32),
        x=names,
        y=names,
        zmin=float(min(0.0, cosines.min())),
        zmax=1,
        colorscale=RATE_COLOURS,
        colorbar=colour_bar("cosine"),
        hovertemplate="features %{y} and %{x}: %{z:.3f}<extra></extra>",
    )
    square = {"type": "category", "constrain": "domain", "showgrid": False, "zeroline": False, "nticks": 20}
    up = {"constraintoward": "top"}
    down = axis_of("feature", autorange="reversed", scaleanchor="x", **square, **up)
    return plot(heat, title, said, axis_of("feature", **square), down, 400)


def distance_scatter(hidden: np.ndarray, shown: np.ndarray, r: float, reading: str, said: str) -> go.Figure:
    """Cosine distances of pairs in the hidden layer against those of their pictures, both [pairs]; r their Pearson."""
    points = go.Scatter(
        x=hidden,
        y=shown,
        mode="markers",
        marker={"color": BLUE, "size": 5, "opacity": 0.35 if len(hidden) > 500 else 0.8},
        hovertemplate="hidden %{x:.3f}, pictures %{y:.3f}<extra></extra>",
    )
    return plot(
        points,
        f"Hidden against picture distance: r = {r:.3f}",
        f"{len(hidden):,} pairs: {reading}; {said}",
        axis_of("cosine distance in the hidden layer", rangemode="tozero"),
        axis_of("cosine distance of the pictures", rangemode="tozero"),
        360,
    )


def class_pictures(
    shown: np.ndarray, names: Sequence[str], probabilities: np.ndarray, title: str, said: str
) -> go.Figure:
    """A picture [784] for each class, and over each its name and what the classifier reads in it [classes, classes]."""
    best = probabilities.argmax(1)
    short = [n if len(n) < 3 else n[:4] + "." for n in names]
    labels = [
        f"<b>{short[c]}</b> → {short[b]}, {100 * p:.0f} %"
        for c, (b, p) in enumerate(zip(best, probabilities.max(1), strict=True))
    ]
    return pictures(
        shown,
        4,
        title,
        f"over each: its class → what the classifier reads; {said}",
        "ink",
        labels=labels,
        scale=(0, 1),
        height=430,
        above=7,
    )


def top_lists(tops: np.ndarray, names: Sequence[str], lists: np.ndarray, title: str, said: str) -> go.Figure:
    """The top features of each class and of all [classes + 1, n]; colour: in how many classes' lists [d_sae] it is."""
    counts = lists[tops].T
    heat = go.Heatmap(
        z=counts,
        x=list(names),
        y=np.arange(1, tops.shape[1] + 1),
        text=tops.T,
        texttemplate="%{text}",
        textfont={"size": 10},
        xgap=1,
        ygap=1,
        zmin=0,
        zmax=len(names) - 1,
        colorscale=RATE_COLOURS,
        colorbar=colour_bar("in how many classes’ lists"),
        hovertemplate="rank %{y} for %{x}: feature %{text}, in %{z} lists<extra></extra>",
    )
    return plot(
        heat,
        title,
        f"cells: feature numbers; {said}",
        axis_of(type="category", side="top", tickangle=-90 if max(map(len, names)) > 4 else 0, showgrid=False),
        axis_of("rank", autorange="reversed", showgrid=False, dtick=5, tick0=0),
        17 * tops.shape[1],
        above=56,
    )


def overlap(shares: np.ndarray, names: Sequence[str], top: int, title: str, said: str) -> go.Figure:
    """Share of features that each two classes' lists have in common [classes, classes]; not the diagonal."""
    z = 100 * shares.astype(float)
    np.fill_diagonal(z, np.nan)
    heat = go.Heatmap(
        z=z,
        x=list(names),
        y=list(names),
        colorscale=RATE_COLOURS,
        zmin=0,
        zmax=100,
        texttemplate="%{z:.0f}",
        textfont={"size": 10},
        hoverongaps=False,
        colorbar=colour_bar(f"shared of {top} (%)"),
        hovertemplate="%{y} and %{x}: %{z:.0f} % shared<extra></extra>",
    )
    one: dict[str, Any] = {"type": "category", "dtick": 1, "showgrid": False}
    return plot(heat, title, said, axis_of(**one, tickangle=-90), axis_of(**one, autorange="reversed"), 380)


def sharing(lists: np.ndarray, classes: int, title: str, said: str) -> go.Figure:
    """How many features are in how many classes' lists; lists [d_sae]."""
    at = np.arange(classes + 1)
    bars = go.Bar(
        x=at,
        y=np.bincount(lists, minlength=classes + 1)[: classes + 1],
        marker_color=[GREY, ORANGE, *[BLUE] * (classes - 1)],
        hovertemplate="%{y} features are in %{x} lists<extra></extra>",
    )
    return plot(
        bars,
        title,
        f"orange: distinctive, in one list only; grey: in none; {said}",
        axis_of(f"in how many of the {classes} lists", dtick=1),
        axis_of("features"),
        300,
    )


def kept_accuracy(counts: np.ndarray, kept: np.ndarray, names: Sequence[str], title: str, said: str) -> go.Figure:
    """Share read right from the top n features of an image's class; kept [2, counts, classes]: hidden, picture."""
    traces = []
    for i, (how, colour) in enumerate((("hidden layer", BLUE), ("generated picture", ORANGE))):
        for c in range(10):
            traces.append(
                go.Scatter(
                    x=counts,
                    y=100 * kept[i, :, c].astype(float),
                    mode="lines",
                    line={"color": colour, "width": 1},
                    opacity=0.3,
                    showlegend=False,
                    hovertemplate=f"{names[c]}, {how}, %{{x}} features: %{{y:.1f}} %<extra></extra>",
                )
            )
        traces.append(
            go.Scatter(
                x=counts,
                y=100 * kept[i, :, :10].mean(1).astype(float),
                name=f"{how}: mean of the digits",
                mode="lines+markers",
                line={"color": colour, "width": 3},
                hovertemplate=f"digits, {how}, %{{x}} features: %{{y:.1f}} %<extra></extra>",
            )
        )
    return plot(
        traces,
        title,
        f"of each image only its class’s first n features are kept; thin: one digit each; {said}",
        axis_of("features kept", type="log", tickvals=counts, ticktext=[str(c) for c in counts]),
        axis_of("read right (%)", range=[-2, 102]),
        340,
        **LEGEND,
    )


def mean_activations(by_rho: Mapping[float, np.ndarray], said: str) -> go.Figure:
    """Mean activation of each feature [d_sae] for each target ρ, sorted; dashed: the target."""
    traces, lines = [], []
    for (rho, means), colour in zip(by_rho.items(), COLOURS, strict=False):
        order = np.argsort(-means, kind="stable")
        traces.append(
            go.Scatter(
                x=np.arange(len(means)),
                y=means[order].astype(float),
                name=f"ρ = {rho:g}: mean {means.mean():.3f}",
                mode="lines",
                line={"color": colour, "width": 3},
                customdata=order,
                hovertemplate=f"ρ = {rho:g}, feature %{{customdata}}: %{{y:.3f}}<extra></extra>",
            )
        )
        dashed = {"color": colour, "dash": "dash", "width": 1.5}
        lines.append({"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": rho, "y1": rho, "line": dashed})
    return plot(
        traces,
        "ρ is a target for the mean activation",
        f"features from the most to the least active; dashed: the targets; {said}",
        axis_of("features, sorted"),
        axis_of("mean activation", rangemode="tozero"),
        320,
        shapes=lines,
        **LEGEND,
    )
