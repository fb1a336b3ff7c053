"""How what neurons and features respond to is drawn: NumPy in, figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from sae_core.figures.style import BLUE, LEGEND, ORANGE, RATE_COLOURS, axis_of, colour_bar, plot
from sae_core.measure.spread import effective


def responses(means: np.ndarray, names: Sequence[str], title: str, said: str) -> go.Figure:
    """Each unit's mean activation by class [units, classes] as shares of its sum; the most selective unit first."""
    total = means.sum(1, keepdims=True)
    active = total[:, 0] > 0
    classes = np.where(active, effective(np.where(active[:, None], means, 1)), np.inf)
    order = np.argsort(classes, kind="stable")[: int(active.sum())]
    shares = 100 * means[order] / total[order]
    heat = go.Heatmap(
        z=shares.astype(np.float32),
        x=list(names),
        y=np.arange(1, len(order) + 1),
        customdata=np.broadcast_to(np.stack([order, classes[order]], 1)[:, None], (*shares.shape, 2)),
        colorscale=RATE_COLOURS,
        zmin=0,
        zmax=100,
        colorbar=colour_bar("share of its activity (%)"),
        hovertemplate="unit %{customdata[0]:.0f}: %{z:.0f} % of its activity for %{x}; "
        "spread as over %{customdata[1]:.1f} classes<extra></extra>",
    )
    silent = f", {int((~active).sum())} never active" if not active.all() else ""
    few = int((classes[order] < 2).sum())
    return plot(
        heat,
        title,
        f"{few} of {len(means)} respond to fewer than two classes{silent}; the most selective on top; {said}",
        axis_of("class", type="category", showgrid=False, tickangle=-90),
        axis_of("rank", autorange="reversed", showgrid=False),
        420,
    )


def activations(shares: np.ndarray, top: float, title: str, said: str) -> go.Figure:
    """Histograms [units, 1 + bins] of shares of the images: column 0 is exactly 0, the others reach from 0 to `top`."""
    order = np.argsort(-shares[:, 0], kind="stable")
    bins = shares.shape[1] - 1
    middles = (np.arange(bins) + 0.5) * top / bins
    z = np.log10(np.where(shares[order] > 0, 100 * shares[order], np.nan))
    names = ["exactly 0", *(f"{m:.3g}" for m in middles)]
    ticks = [-2, -1, 0, 1, 2]
    heat = go.Heatmap(
        z=z.astype(np.float32),
        x=np.arange(-1, bins),
        y=np.arange(1, len(order) + 1),
        customdata=np.stack(
            [
                np.broadcast_to(order[:, None], z.shape).astype(object),
                np.broadcast_to(np.array(names, dtype=object), z.shape),
                (100 * shares[order]).astype(object),
            ],
            -1,
        ),
        colorscale=RATE_COLOURS,
        zmin=-2,
        zmax=2,
        colorbar=colour_bar("% of the images") | {"tickvals": ticks, "ticktext": [f"{10.0**t:g}" for t in ticks]},
        hoverongaps=False,
        hovertemplate="unit %{customdata[0]}, activation %{customdata[1]}: %{customdata[2]:.3g} % of the images"
        "<extra></extra>",
    )
    zero = 100 * float(shares[:, 0].mean())
    shown = [0, bins // 2, bins - 1]
    return plot(
        heat,
        title,
        f"a row is a histogram; left column: exactly 0, {zero:.0f} % on average; the most often silent on top; {said}",
        axis_of("activation", tickvals=[-1, *shown], ticktext=["0", *(names[i + 1] for i in shown)], showgrid=False),
        axis_of("rank", autorange="reversed", showgrid=False),
        420,
    )


def spread(found: Mapping[tuple[float, str], np.ndarray], names: Sequence[str], said: str) -> go.Figure:
    """For each target and reading, the number of features that count alike for each class and for all [classes + 1]."""
    rhos = sorted({rho for rho, _ in found})
    traces = [
        go.Scatter(
            x=list(names),
            y=values.astype(float),
            name=f"ρ = {rho:g}, {reading}",
            mode="markers",
            marker={
                "color": (BLUE, ORANGE)[rhos.index(rho)],
                "size": 10,
                "symbol": "circle-open" if reading == "as documented" else "circle",
            },
            hovertemplate=f"%{{x}}, ρ = {rho:g}, {reading}: %{{y:.0f}} features<extra></extra>",
        )
        for (rho, reading), values in found.items()
    ]
    return plot(
        traces,
        "How many features a class needs",
        f"features that count alike: exp of the entropy of importance shares, of 98; {said}",
        axis_of("class", type="category", tickangle=-90),
        axis_of("features", rangemode="tozero"),
        340,
        **LEGEND,
    )
