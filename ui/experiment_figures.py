"""Figures of the source documents' experiments. NumPy in, plotly figure out; no streamlit and no torch here.

Like `ui.figures`: title, unit, split and n are in each figure, backgrounds are transparent, text has no colour of its
own, and colours are Okabe and Ito's (cividis for amounts, red to blue for what has a sign).
"""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ui.figures import BLUE, ORANGE, RATE_COLOURS

GREEN, PINK, SKY, GREY = "#009e73", "#cc79a7", "#56b4e9", "#8c8c8c"
COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY)
INK = [[0, "black"], [1, "white"]]
"""of pictures as MNIST has them: 0 is black paper, 1 full ink"""
SIGNED = "RdBu_r"
BINS = 100
"""of a histogram of importance, as in document 004"""
_LINE, _GAP = 58, 2


def _style(title: str, subtitle: str, height: int, above: int = 0, **layout: Any) -> dict[str, Any]:
    """Layout of every figure; a subtitle longer than a narrow screen goes on in the next line.

    The plot is `height` pixels high, with `above` more for the names of panels.
    """
    kept = subtitle.replace(" = ", "\u00a0=\u00a0")  # no line ends within "n = 500"
    lines = [line.replace("\u00a0", " ") for line in textwrap.wrap(kept, _LINE)]
    text = {"text": title, "subtitle": {"text": "<br>".join(lines)}}
    top = 52 + 16 * len(lines) + above
    return {
        "title": {**text, "x": 0, "xref": "container", "y": 1 - 12 / (height + top), "yanchor": "top"},
        "height": height + top,
        "margin": {"l": 8, "r": 8, "t": top, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "dragmode": False,
        **layout,
    }


def _axis(title: str = "", **more: Any) -> dict[str, Any]:
    return {"fixedrange": True, "automargin": True, "title": {"text": title}, **more}


def _plot(
    traces: Sequence[Any] | Any,
    title: str,
    subtitle: str,
    x: Mapping[str, Any],
    y: Mapping[str, Any],
    height: int = 260,
    **layout: Any,
) -> go.Figure:
    return go.Figure(traces, _style(title, subtitle, height, xaxis={**_axis(), **x}, yaxis={**_axis(), **y}, **layout))


_LEGEND: dict[str, Any] = {
    "showlegend": True,
    "legend": {"orientation": "h", "y": -0.3, "yanchor": "top", "x": 0, "title": {"text": ""}},
}
_HIDDEN: dict[str, Any] = {"visible": False, "constrain": "domain", "fixedrange": True}


def _bar(title: str) -> dict[str, Any]:
    return {"title": {"text": title, "side": "right"}, "thickness": 10, "outlinewidth": 0, "xpad": 6}


def _upright(x: float, colour: str = ORANGE, dash: str = "dash") -> dict[str, Any]:
    """A vertical line through the whole plot."""
    line = {"color": colour, "width": 1.5, "dash": dash}
    return {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": x, "x1": x, "line": line}


# ---- pictures beside each other


def _mosaic(pictures: np.ndarray, columns: int, above: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pictures [n, side²] as one array with NaN between them, and each one's top middle [n, 2] as (x, y).

    `above` pixels are left over each picture, for its label.
    """
    side = round(pictures.shape[1] ** 0.5)
    rows = -(-len(pictures) // columns)
    step_y, step_x = side + above + _GAP, side + _GAP
    z = np.full((rows * step_y - _GAP, columns * step_x - _GAP), np.nan, np.float32)
    places = np.zeros((len(pictures), 2))
    for i, picture in enumerate(pictures):
        y, x = (i // columns) * step_y + above, (i % columns) * step_x
        z[y : y + side, x : x + side] = picture.reshape(side, side)
        places[i] = x + (side - 1) / 2, y
    return z, places


def pictures(
    rows: np.ndarray,
    columns: int,
    title: str,
    subtitle: str,
    unit: str,
    *,
    labels: Sequence[str] = (),
    scale: tuple[float, float] | None = None,
    signed: bool = False,
    height: int = 480,
    above: int = 11,
) -> go.Figure:
    """Pictures [n, side²] on one common scale, row by row, each with its label above it where there are labels.

    signed: the scale is symmetric around 0 and reaches the largest absolute value. `scale` gives its ends instead.
    """
    z, places = _mosaic(rows, columns, above if labels else 0)
    end = float(np.nanmax(np.abs(z))) or 1.0
    low, high = scale or ((-end, end) if signed else (0.0, end))
    ink = scale == (0, 1)
    traces: list[Any] = [
        go.Heatmap(
            z=z,
            zmin=low,
            zmax=high,
            colorscale=SIGNED if signed else INK if ink else RATE_COLOURS,
            hoverongaps=False,
            showscale=not ink,
            colorbar=_bar(unit),
            hovertemplate=f"%{{z:.3f}} {unit}<extra></extra>",
        )
    ]
    if labels:
        text = {"mode": "text", "textposition": "top center", "textfont": {"size": 10}, "hoverinfo": "skip"}
        traces.append(go.Scatter(x=places[:, 0], y=places[:, 1], text=list(labels), cliponaxis=False, **text))
    across = {**_HIDDEN, "range": [-0.5, z.shape[1] - 0.5], "constraintoward": "left"}
    down = {**_HIDDEN, "range": [z.shape[0] - 0.5, -0.5], "scaleanchor": "x", "constraintoward": "top"}
    return _plot(traces, title, subtitle, across, down, height)


def most(rows: np.ndarray) -> float:
    """Where a scale of weights ends: 99.5 % are smaller, for a few large ones would leave all others pale."""
    return float(np.quantile(np.abs(rows), 0.995)) or 1.0


# ---- documents 000–002


def reconstructions(x: np.ndarray, x_hat: np.ndarray, pearson: np.ndarray, said: str) -> go.Figure:
    """Figure 1: originals [n, 784] over their reconstructions, with each one's Pearson between them.

    Reconstructions are clipped to [0, 1] here, the numbers were not.
    """
    n = len(x)
    both = np.concatenate([x, np.clip(x_hat, 0, 1)])
    labels = [*[""] * n, *[f"{r:.3f}" for r in pearson]]
    subtitle = f"above: images; below: reconstructions with Pearson over 784 pixels; {said}, n = {n}"
    return pictures(
        both, n, "Images and their reconstructions", subtitle, "ink", labels=labels, scale=(0, 1), height=200, above=9
    )


def encoder_rows(rows: np.ndarray, features: np.ndarray, which: str, said: str) -> go.Figure:
    """Figure 2: encoder rows [n, 784] of features [n] as pictures, ten in a line, on one scale."""
    end = most(rows)
    subtitle = f"{which}; one scale to ±{end:.2g}, which 0.5 % of the weights exceed; {said}, n = {len(features)} rows"
    found = pictures(
        rows, 10, "Encoder rows as pictures", subtitle, "weight", signed=True, scale=(-end, end), height=480
    )
    side = round(rows.shape[1] ** 0.5) + _GAP
    at = np.arange(len(features))
    places = {"x": (at % 10) * side + side / 2, "y": (at // 10) * side + side / 2}
    found.add_trace(
        go.Scatter(
            **places,
            mode="markers",
            marker={"opacity": 0, "size": 22},
            customdata=features,
            hovertemplate="feature %{customdata}<extra></extra>",
        )
    )
    return found


def pearson_by_epoch(
    test: np.ndarray, train: np.ndarray, start: np.ndarray | None, said: str, claimed: float | None = None
) -> go.Figure:
    """Figure 3: Pearson on test (lines) and training images (dots) [epochs, members]; start [members]: untrained."""
    epochs = np.arange(1, len(test) + 1)
    traces = []
    for i in range(test.shape[1]):
        first = [] if start is None else [start[i]]
        common = {"line": {"color": COLOURS[i % 5], "width": 2}, "legendgroup": str(i)}
        for split, series in (("test", [*first, *test[:, i]]), ("training", train[:, i])):
            traces.append(
                go.Scatter(
                    x=np.arange(len(epochs) + 1 - len(series), len(epochs) + 1),
                    y=np.asarray(series, float),
                    name=f"member {i}, {split}",
                    showlegend=split == "test",
                    mode="lines+markers" if split == "test" else "markers",
                    marker={"size": 6 if split == "test" else 9, "symbol": "circle" if split == "test" else "x-thin"}
                    | ({} if split == "test" else {"line": {"width": 2, "color": COLOURS[i % 5]}}),
                    hovertemplate=f"member {i}, {split}, epoch %{{x}}: %{{y:.4f}}<extra></extra>",
                    **common,
                )
            )
    lines = []
    if claimed is not None:
        lines.append(
            {
                "type": "line",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "y0": claimed,
                "y1": claimed,
                "line": {"color": GREY, "dash": "dash", "width": 1.5},
            }
        )
    return _plot(
        traces,
        "Pearson by epoch",
        f"mean over images; lines: test, crosses: training; {said}" + (f"; dashed: {claimed} claimed" if lines else ""),
        _axis("epochs" + ("; 0 is before training" if start is not None else ""), dtick=1),
        _axis("Pearson"),
        320,
        shapes=lines,
        **_LEGEND,
    )


def one_image(x: np.ndarray, acts: np.ndarray, x_hat: np.ndarray, pearson: float, what: str, said: str) -> go.Figure:
    """Figure 4: an image [784] | its non-zeros as bars | its code [d_sae] as a square | the reconstruction [784]."""
    active = np.flatnonzero(acts)
    side = int(np.ceil(len(acts) ** 0.5))
    square = np.full(side * side, np.nan)
    square[: len(acts)] = acts
    titles = (
        "the image",
        f"its activations: {len(active)}/{len(acts)}",
        f"its code, {side} a line",
        f"reconstruction, Pearson {pearson:.3f}",
    )
    found = make_subplots(2, 2, subplot_titles=titles, horizontal_spacing=0.12, vertical_spacing=0.17)
    ink = {"colorscale": INK, "zmin": 0, "zmax": 1, "showscale": False, "hovertemplate": "%{z:.2f}<extra></extra>"}
    found.add_trace(go.Heatmap(z=x.reshape(28, 28), **ink), 1, 1)
    bars = go.Bar(
        x=active,
        y=acts[active].astype(float),
        width=len(acts) / 200,
        marker={"color": BLUE, "line": {"width": 0}},
        hovertemplate="feature %{x}: %{y:.3f}<extra></extra>",
    )
    found.add_trace(bars, 1, 2)
    signed = bool((acts < 0).any())
    code = go.Heatmap(
        z=square.reshape(side, side),
        customdata=np.arange(side * side).reshape(side, side),
        colorscale=SIGNED if signed else RATE_COLOURS,
        zmid=0 if signed else None,
        showscale=False,
        hoverongaps=False,
        hovertemplate="feature %{customdata}: %{z:.3f}<extra></extra>",
    )
    found.add_trace(code, 2, 1)
    found.add_trace(go.Heatmap(z=np.clip(x_hat, 0, 1).reshape(28, 28), **ink), 2, 2)
    found.update_layout(_style(f"One image and its code: {what}", f"{said}, n = 1", 500, above=18))
    found.update_annotations(font_size=12)
    for cell, (row, column) in enumerate(((1, 1), (2, 1), (2, 2))):
        anchor = ("x", "x3", "x4")[cell]
        found.update_xaxes(visible=False, constrain="domain", fixedrange=True, row=row, col=column)
        found.update_yaxes(
            visible=False,
            constrain="domain",
            autorange="reversed",
            scaleanchor=anchor,
            fixedrange=True,
            row=row,
            col=column,
        )
    found.update_xaxes(_axis("feature", range=[-10, len(acts) + 10]), row=1, col=2)
    found.update_yaxes(_axis(), row=1, col=2)
    return found


def ranked(features: np.ndarray, values: np.ndarray, title: str, unit: str, said: str) -> go.Figure:
    """Features [m] in a given order with a value each, as bars."""
    bars = go.Bar(
        x=[f"#{f}" for f in features],
        y=values.astype(float),
        marker_color=BLUE,
        hovertemplate=f"feature %{{x}}: %{{y:.4g}} {unit}<extra></extra>",
    )
    category = _axis("feature", type="category", tickfont={"size": 10})
    return _plot(bars, title, said, category, _axis(unit, rangemode="tozero"), 280)


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
        hovertemplate="feature %{customdata}: on %{x:.2g} %, %{y:.3g}<extra></extra>",
    )
    return _plot(
        points,
        "Frequency against strength",
        f"{int(used.sum()):,} features in use, rank correlation {rank:.2f}; {said}",
        _axis("active on (% of the images)", type="log"),
        _axis(f"mean activation {reading}"),
        320,
    )


def mean_codes(means: np.ndarray, said: str) -> go.Figure:
    """Figure 6: each class's mean code; means [d_sae, classes], each class as one square of d_sae cells."""
    side = int(np.ceil(len(means) ** 0.5))
    squares = np.full((means.shape[1], side * side), np.nan, np.float32)
    squares[:, : len(means)] = means.T
    names = [str(c) for c in range(means.shape[1])]
    subtitle = f"mean activation over each digit's images; feature 0 top left, {side} a line; {said}"
    signed = bool((means < 0).any())
    return pictures(
        squares, 5, "Mean code of each digit", subtitle, "mean activation", labels=names, signed=signed, height=380
    )


def feature_map(
    xy: np.ndarray, features: np.ndarray, frequency: np.ndarray, digit: np.ndarray, by: str, said: str
) -> go.Figure:
    """Figure 7: a t-SNE map [n, 2] of features [n]; colour is the frequency [n], `digit` [n] the class of most lift."""
    log = np.log10(np.maximum(frequency.astype(float), 1e-5))
    ticks = np.arange(-5, 1)
    colour = {**_bar("active on (%)"), "tickvals": ticks, "ticktext": [f"{100 * 10.0**t:g}" for t in ticks]}
    points = go.Scatter(
        x=xy[:, 0],
        y=xy[:, 1],
        mode="markers",
        marker={"size": 6, "color": log, "colorscale": RATE_COLOURS, "showscale": True, "colorbar": colour},
        customdata=np.stack([features, 100 * frequency, digit], 1),
        hovertemplate="feature %{customdata[0]:.0f}: on %{customdata[1]:.2g} %, most lift for %{customdata[2]:.0f}"
        "<extra></extra>",
    )
    return _plot(
        points,
        "t-SNE of the features",
        f"the {len(features)} first by {by}, standardised encoder rows, perplexity 30; axes have no unit; {said}",
        {"visible": False},
        {"visible": False},
        420,
    )


def first_losses(mean_image: float, before: np.ndarray, after: float, said: str) -> go.Figure:
    """MSE per pixel of the mean image, of each member before training [members], and of the trained members."""
    names = ["mean image", *(f"member {i}, untrained" for i in range(len(before))), "members, trained"]
    bars = go.Bar(
        x=[mean_image, *before.astype(float), after],
        y=names,
        orientation="h",
        marker_color=[ORANGE, *[SKY] * len(before), BLUE],
        hovertemplate="%{y}: %{x:.4f}<extra></extra>",
        texttemplate="%{x:.4f}",
    )
    return _plot(
        bars,
        "Where an SAE starts and ends",
        said,
        _axis("MSE per pixel", rangemode="tozero"),
        _axis(autorange="reversed"),
        280,
    )


def agreement(before: np.ndarray, after: np.ndarray, pairs: np.ndarray, said: str) -> go.Figure:
    """MMCS of each pair of members: before and after, each [2, pairs], by matching and by row-max."""
    names = [f"{i}–{j}" for i, j in pairs]
    traces = [
        go.Scatter(
            x=names,
            y=values[j].astype(float),
            name=f"{how}, {when}",
            mode="markers",
            marker={"color": COLOURS[j], "size": 9, "symbol": symbol},
            hovertemplate=f"members %{{x}}, {how}, {when}: %{{y:.4f}}<extra></extra>",
        )
        for values, when, symbol in ((before, "untrained", "circle-open"), (after, "trained", "circle"))
        for j, how in enumerate(("matching", "row-max"))
    ]
    return _plot(
        traces,
        "How alike the members are (MMCS)",
        f"mean cosine of partners, for each two members; {said}, n = {len(pairs)} pairs",
        _axis("members", type="category"),
        _axis("MMCS", rangemode="tozero"),
        300,
        **_LEGEND,
    )


def consistency(names: Sequence[str], found: np.ndarray, said: str) -> go.Figure:
    """The readings of the consistency loss; found [readings, 4]: Pearson, MMCS by matching and row-max, dead."""
    columns = ("Pearson", "MMCS, matching", "MMCS, row-max")
    traces = [
        go.Bar(
            x=list(names),
            y=found[:, j].astype(float),
            name=name,
            marker_color=COLOURS[j],
            hovertemplate=f"%{{x}}: {name} %{{y:.4f}}<extra></extra>",
        )
        for j, name in enumerate(columns)
    ]
    return _plot(
        traces,
        "Readings of the consistency loss",
        said,
        _axis("reading of the loss", type="category"),
        _axis("mean of the members", rangemode="tozero"),
        300,
        barmode="group",
        **_LEGEND,
    )


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
    return _plot(
        bars,
        title,
        subtitle + marked,
        _axis(unit),
        _axis(what or "features"),
        shapes=[_upright(v) for v in (lines or {}).values()],
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
    return _plot(trace, title, said, _axis("digit", type="category"), _axis(unit))


# ---- document 003


def fvu_against_l0(curves: Mapping[str, np.ndarray], said: str) -> go.Figure:
    """FVU against L0 of several SAEs; each curve [models, 4]: L0, FVU, Pearson, dead."""
    traces = [
        go.Scatter(
            x=found[:, 0],
            y=found[:, 1],
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": 2},
            marker={"size": 9, "symbol": symbol},
            customdata=found[:, 2:],
            hovertemplate=f"{name}: L0 %{{x:.1f}}, FVU %{{y:.4f}}, Pearson %{{customdata[0]:.4f}}, "
            "dead %{customdata[1]:.0f}<extra></extra>",
        )
        for (name, found), colour, symbol in zip(
            curves.items(), (ORANGE, BLUE, GREEN), ("diamond", "circle", "square"), strict=False
        )
    ]
    return _plot(
        traces,
        "Sparsity against fidelity",
        f"lower and further left is better; {said}",
        _axis("L0: active latents of an image", rangemode="tozero"),
        _axis("FVU: share of the variance left over", rangemode="tozero"),
        340,
        **_LEGEND,
    )


def decoder_norms(held: np.ndarray, free: np.ndarray, said: str) -> go.Figure:
    """Length of the decoder's rows [d_sae], held at 1 and free to grow."""
    both = np.concatenate([held, free])
    edges = np.linspace(0, float(both.max()) * 1.02, 61)
    traces = [
        go.Bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=np.histogram(values, edges)[0],
            width=np.diff(edges),
            name=f"{name}: median {np.median(values):.2f}",
            marker={"color": colour, "line": {"width": 0}},
            opacity=0.75,
            hovertemplate=f"{name}: %{{y:,}} rows of about %{{x:.2f}}<extra></extra>",
        )
        for name, values, colour in (("held", held, BLUE), ("free", free, ORANGE))
    ]
    return _plot(
        traces,
        "Length of the decoder's rows",
        said,
        _axis("length of a row (L2 norm)"),
        _axis("rows"),
        300,
        barmode="overlay",
        **_LEGEND,
    )


def l0_of_images(counts: np.ndarray, said: str) -> go.Figure:
    """How many images have how many active latents; counts [most + 1]."""
    l0 = np.arange(len(counts))
    mean = float((counts * l0).sum() / max(1, counts.sum()))
    bars = go.Bar(
        x=l0,
        y=counts,
        width=1,
        marker={"color": BLUE, "line": {"width": 0}},
        hovertemplate="%{y:,} images with %{x} active latents<extra></extra>",
    )
    subtitle = f"n = {int(counts.sum()):,}; dashed: the mean, {mean:.1f}; {said}"
    return _plot(
        bars, "Active latents of an image", subtitle, _axis("L0"), _axis("images"), 300, shapes=[_upright(mean)]
    )


# ---- document 004


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
    return _plot([dashed, *ours], title, said, _axis("epoch", dtick=1), _axis(unit), 280, **_LEGEND)


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
    return _plot(
        bars,
        title,
        f"{len(share)} features; dashed: 1/{len(share)} = {even:.4f}, dotted: 90th percentile, {ninety:.4f}; {said}",
        _axis("share of importance"),
        _axis("features"),
        300,
        shapes=[_upright(even), _upright(ninety, GREEN, "dot")],
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
            line = _upright(x, colour, dash)
            shapes.append({**line, "xref": f"x{axis}", "yref": f"y{axis} domain"})
    subtitle = f"{shares.shape[1]} features each, {BINS} bins; across: share of importance, up: features; "
    subtitle += f"dashed: 1/{shares.shape[1]}, dotted: 90th percentile; {said}"
    found.update_layout(_style(title, subtitle, 150 * lines, above=18, shapes=shapes))
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
        colorbar=_bar("cosine"),
        hovertemplate="features %{y} and %{x}: %{z:.3f}<extra></extra>",
    )
    square = {"type": "category", "constrain": "domain", "showgrid": False, "zeroline": False, "nticks": 20}
    up = {"constraintoward": "top"}
    down = _axis("feature", autorange="reversed", scaleanchor="x", **square, **up)
    return _plot(heat, title, said, _axis("feature", **square), down, 400)


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
    return _plot(points, title, said, across, down, 400)


def _ends(xy: np.ndarray) -> list[tuple[float, float]]:
    return [(float(a), float(b)) for a, b in zip(xy.min(0), xy.max(0), strict=True)]


def picture_map(
    xy: np.ndarray, shown: np.ndarray, hover: Sequence[str], title: str, said: str, size: float = 0.06
) -> go.Figure:
    """A t-SNE map [n, 2] with pictures [n, 784] in [0, 1] as its points; `size` is a picture's share of the width."""
    low, span = xy.min(0), np.maximum(np.ptp(xy, axis=0), 1e-9)
    at = (xy - low) / span
    images = [
        {
            "source": _png(picture),
            "x": x,
            "y": y,
            "xref": "x",
            "yref": "y",
            "sizex": size,
            "sizey": size * 1.6,
            "xanchor": "center",
            "yanchor": "middle",
            "layer": "above",
        }
        for (x, y), picture in zip(at.tolist(), shown, strict=True)
    ]
    points = go.Scatter(
        x=at[:, 0],
        y=at[:, 1],
        mode="markers",
        marker={"opacity": 0, "size": 18},
        customdata=list(hover),
        hovertemplate="%{customdata}<extra></extra>",
    )
    around: dict[str, Any] = {"visible": False, "fixedrange": True, "range": [-0.06, 1.06]}
    return _plot(points, title, said, around, around, 460, images=images)


def _png(picture: np.ndarray) -> str:
    """A picture [784] in [0, 1] as the address of a PNG within itself."""
    from PIL import Image

    levels = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8).reshape(28, 28)
    out = io.BytesIO()
    Image.fromarray(levels).save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def distance_scatter(hidden: np.ndarray, shown: np.ndarray, r: float, reading: str, said: str) -> go.Figure:
    """Cosine distances of pairs in the hidden layer against those of their pictures, both [pairs]; r their Pearson."""
    points = go.Scatter(
        x=hidden,
        y=shown,
        mode="markers",
        marker={"color": BLUE, "size": 5, "opacity": 0.35 if len(hidden) > 500 else 0.8},
        hovertemplate="hidden %{x:.3f}, pictures %{y:.3f}<extra></extra>",
    )
    return _plot(
        points,
        f"Hidden against picture distance: r = {r:.3f}",
        f"{len(hidden):,} pairs: {reading}; {said}",
        _axis("cosine distance in the hidden layer", rangemode="tozero"),
        _axis("cosine distance of the pictures", rangemode="tozero"),
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
        colorbar=_bar("in how many classes’ lists"),
        hovertemplate="rank %{y} for %{x}: feature %{text}, in %{z} lists<extra></extra>",
    )
    return _plot(
        heat,
        title,
        f"cells: feature numbers; {said}",
        _axis(type="category", side="top", tickangle=-90 if max(map(len, names)) > 4 else 0, showgrid=False),
        _axis("rank", autorange="reversed", showgrid=False, dtick=5, tick0=0),
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
        colorbar=_bar(f"shared of {top} (%)"),
        hovertemplate="%{y} and %{x}: %{z:.0f} % shared<extra></extra>",
    )
    one: dict[str, Any] = {"type": "category", "dtick": 1, "showgrid": False}
    return _plot(heat, title, said, _axis(**one, tickangle=-90), _axis(**one, autorange="reversed"), 380)


def sharing(lists: np.ndarray, classes: int, title: str, said: str) -> go.Figure:
    """How many features are in how many classes' lists; lists [d_sae]."""
    at = np.arange(classes + 1)
    bars = go.Bar(
        x=at,
        y=np.bincount(lists, minlength=classes + 1)[: classes + 1],
        marker_color=[GREY, ORANGE, *[BLUE] * (classes - 1)],
        hovertemplate="%{y} features are in %{x} lists<extra></extra>",
    )
    return _plot(
        bars,
        title,
        f"orange: distinctive, in one list only; grey: in none; {said}",
        _axis(f"in how many of the {classes} lists", dtick=1),
        _axis("features"),
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
    return _plot(
        traces,
        title,
        f"of each image only its class’s first n features are kept; thin: one digit each; {said}",
        _axis("features kept", type="log", tickvals=counts, ticktext=[str(c) for c in counts]),
        _axis("read right (%)", range=[-2, 102]),
        340,
        **_LEGEND,
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
    return _plot(
        traces,
        "ρ is a target for the mean activation",
        f"features from the most to the least active; dashed: the targets; {said}",
        _axis("features, sorted"),
        _axis("mean activation", rangemode="tozero"),
        320,
        shapes=lines,
        **_LEGEND,
    )
