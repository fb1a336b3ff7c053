"""How the figures of documents 000 to 002 are drawn: NumPy in, figure out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sae_core.figures.pictures import most, pictures
from sae_core.figures.style import (
    BLUE,
    COLOURS,
    GAP,
    GREY,
    INK,
    LEGEND,
    ORANGE,
    RATE_COLOURS,
    SIGNED,
    SKY,
    axis_of,
    plot,
    styled,
)


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
    side = round(rows.shape[1] ** 0.5) + GAP
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
    return plot(
        traces,
        "Pearson by epoch",
        f"mean over images; lines: test, crosses: training; {said}" + (f"; dashed: {claimed} claimed" if lines else ""),
        axis_of("epochs" + ("; 0 is before training" if start is not None else ""), dtick=1),
        axis_of("Pearson"),
        320,
        shapes=lines,
        **LEGEND,
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
    found.update_layout(styled(f"One image and its code: {what}", f"{said}, n = 1", 500, above=18))
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
    found.update_xaxes(axis_of("feature", range=[-10, len(acts) + 10]), row=1, col=2)
    found.update_yaxes(axis_of(), row=1, col=2)
    return found


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
    return plot(
        bars,
        "Where an SAE starts and ends",
        said,
        axis_of("MSE per pixel", rangemode="tozero"),
        axis_of(autorange="reversed"),
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
    return plot(
        traces,
        "How alike the members are (MMCS)",
        f"mean cosine of partners, for each two members; {said}, n = {len(pairs)} pairs",
        axis_of("members", type="category"),
        axis_of("MMCS", rangemode="tozero"),
        300,
        **LEGEND,
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
    return plot(
        traces,
        "Readings of the consistency loss",
        said,
        axis_of("reading of the loss", type="category"),
        axis_of("mean of the members", rangemode="tozero"),
        300,
        barmode="group",
        **LEGEND,
    )
