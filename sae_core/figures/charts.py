"""Charts that several pages and documents share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from sae_core.figures.style import BLUE, ORANGE, RATE_COLOURS, axis_of, bar_figure, colour_bar, plot, upright


def ranked(features: np.ndarray, values: np.ndarray, title: str, unit: str, said: str) -> go.Figure:
    """Features [m] in a given order with a value each, as bars."""
    bars = go.Bar(
        x=[f"#{f}" for f in features],
        y=values.astype(float),
        marker_color=BLUE,
        hovertemplate=f"feature %{{x}}: %{{y:.4g}} {unit}<extra></extra>",
    )
    category = axis_of("feature", type="category", tickfont={"size": 10})
    return plot(bars, title, said, category, axis_of(unit, rangemode="tozero"), 280)


def frequency_against_strength(
    frequency: np.ndarray, strength: np.ndarray, reading: str, rank: float, said: str
) -> go.Figure:
    """Each feature's frequency [d_sae] in (0, 1] against its strength [d_sae]; `rank`: their rank correlation."""
    used = frequency > 0
    points = go.Scatter(
        x=100 * frequency[used].astype(float),
        y=strength[used].astype(float),
        mode="markers",
        marker={"color": BLUE, "size": 5, "opacity": 0.6},
        customdata=np.flatnonzero(used),
        hovertemplate="feature %{customdata}: on %{x:.3g} %, %{y:.3g}<extra></extra>",
    )
    return plot(
        points,
        "Frequency against strength",
        f"{int(used.sum()):,} features, dead ones left out; their rank correlation {rank:.2f}; {said}",
        axis_of("active on (% of the images)", type="log"),
        axis_of(f"mean activation {reading}"),
        320,
    )


def feature_map(
    xy: np.ndarray, features: np.ndarray, frequency: np.ndarray, digit: np.ndarray, by: str, said: str
) -> go.Figure:
    """A t-SNE map [n, 2] of features [n]; colour is the frequency [n], a cross where that is 0.

    `digit` [n] is the class of most lift, −1 where there is none to name: see `sae_core.measure.features.most_lift`.
    Source: figure 7 of the program that documents 000–002 describe.
    """
    log = np.log10(np.maximum(frequency.astype(float), 1e-5))
    ticks = np.arange(-5, 1)
    colour = {**colour_bar("active on (%)"), "tickvals": ticks, "ticktext": [f"{100 * 10.0**t:g}" for t in ticks]}
    points = go.Scatter(
        x=xy[:, 0],
        y=xy[:, 1],
        mode="markers",
        marker={
            "size": 6,
            "color": log,
            "colorscale": RATE_COLOURS,
            "showscale": True,
            "colorbar": colour,
            "symbol": np.where(frequency > 0, "circle", "x-thin-open"),
        },
        customdata=np.array(
            [(int(f), _on_map(f, *of)) for f, *of in zip(features, frequency, digit, strict=True)], dtype=object
        ),
        hovertemplate="%{customdata[1]}<extra></extra>",
    )
    unused = int((frequency == 0).sum())
    return plot(
        points,
        "t-SNE of the features",
        f"the {len(features)} first by {by}, {unused} of them never active (crosses); standardised encoder rows, "
        f"perplexity 30; axes have no unit; {said}",
        {"visible": False},
        {"visible": False},
        420,
    )


def _on_map(feature: int, frequency: float, digit: int) -> str:
    """What is said of a feature on a map."""
    if not frequency:
        return f"feature {feature}: never active"
    lift = f", most lift for {digit}" if digit >= 0 else ", on too few images for a lift"
    return f"feature {feature}: on {100 * frequency:.3g} %{lift}"


def histogram(
    values: np.ndarray, title: str, subtitle: str, unit: str, lines: Mapping[str, float] | None = None, what: str = ""
) -> go.Figure:
    """How many features (or another `what`) have which value; dashed lines with their names in the subtitle."""
    edges = np.linspace(float(np.min(values)), float(np.max(values)) or 1.0, 41)
    if edges[0] == edges[-1]:
        edges = np.linspace(edges[0] - 0.5, edges[0] + 0.5, 41)
    counts, _ = np.histogram(values, edges)
    bars = go.Bar(
        x=(edges[:-1] + edges[1:]) / 2,
        y=counts,
        width=np.diff(edges),
        marker={"color": BLUE, "line": {"width": 0}},
        hovertemplate=f"%{{y:,}} {what or 'features'} at about %{{x:.3g}}<extra></extra>",
    )
    marked = "".join(f"; dashed: {name}, {v:.3g}" for name, v in (lines or {}).items())
    return plot(
        bars,
        title,
        subtitle + marked,
        axis_of(unit),
        axis_of(what or "features"),
        shapes=[upright(v) for v in (lines or {}).values()],
    )


def by_digit(values: np.ndarray, title: str, unit: str, said: str, zero: bool = True) -> go.Figure:
    """A value for each digit [10], as bars, or as points where the axis does not start at 0."""
    names, y = [str(c) for c in range(len(values))], values.astype(float)
    hover = f"%{{x}}: %{{y:.4g}} {unit}<extra></extra>"
    trace = (
        go.Bar(x=names, y=y, marker_color=BLUE, hovertemplate=hover)
        if zero
        else go.Scatter(x=names, y=y, mode="markers", marker={"color": BLUE, "size": 11}, hovertemplate=hover)
    )
    return plot(trace, title, said, axis_of("digit", type="category"), axis_of(unit))


def point_map(xy: np.ndarray, labels: Sequence[str], hover: Sequence[str], title: str, said: str) -> go.Figure:
    """A t-SNE map [n, 2] with labels beside the points; axes have no unit."""
    points = go.Scatter(
        x=xy[:, 0],
        y=xy[:, 1],
        mode="markers+text",
        text=list(labels),
        textposition=["top center", "bottom center"] * (len(labels) // 2) + ["top center"] * (len(labels) % 2),
        textfont={"size": 10},
        cliponaxis=False,
        marker={"color": BLUE, "size": 7, "opacity": 0.8},
        customdata=list(hover),
        hovertemplate="%{customdata}<extra></extra>",
    )
    across, down = ({"visible": False, "range": [a - 0.15 * (b - a), b + 0.15 * (b - a)]} for a, b in _ends(xy))
    return plot(points, title, said, across, down, 400)


def _ends(xy: np.ndarray) -> list[tuple[float, float]]:
    return [(float(a), float(b)) for a, b in zip(xy.min(0), xy.max(0), strict=True)]


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
    return bar_figure(
        bars,
        f"How often feature {feature} is active",
        f"{split}, n = {int(class_n.sum()):,}; line: all images, {100 * frequency:.3g} %",
        {"type": "category", "title": {"text": "class"}},
        {"title": {"text": "share of its images (%)"}},
        shapes=[all_images],
    )


def frequencies(frequency: np.ndarray, rare: float, use: str, split: str, n: int) -> go.Figure:
    """How many features [d_sae] are active how often, on a logarithmic scale; dead ones are only counted.

    rare: the frequency under which a feature is rare, drawn as a line. use: how many are in use, rare and dead.
    """
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
        hovertemplate="%{y:,} features on %{customdata[0]:.3g} to %{customdata[1]:.3g} %<extra></extra>",
    )
    ticks = np.arange(np.ceil(edges[0]), 1)
    return bar_figure(
        bars,
        "How often features are active",
        f"{split}, n = {n:,}; {use}; dashed: {100 * rare:g} %",
        {
            "title": {"text": "active on (% of the images)"},
            "tickvals": ticks,
            "ticktext": [f"{100 * 10**t:g}" for t in ticks],
        },
        {"title": {"text": "features"}},
        shapes=[upright(float(np.log10(rare)))],
    )
