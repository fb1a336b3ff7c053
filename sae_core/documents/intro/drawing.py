"""How the figures of document 003 are drawn: NumPy in, figure out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from sae_core.figures.style import BLUE, GREEN, LEGEND, ORANGE, axis_of, plot, upright


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
    return plot(
        traces,
        "Sparsity against fidelity",
        f"lower and further left is better; {said}",
        axis_of("L0: active latents of an image", rangemode="tozero"),
        axis_of("FVU: share of the variance left over", rangemode="tozero"),
        340,
        **LEGEND,
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
    return plot(
        traces,
        "Length of the decoder's rows",
        said,
        axis_of("length of a row (L2 norm)"),
        axis_of("rows"),
        300,
        barmode="overlay",
        **LEGEND,
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
    return plot(
        bars, "Active latents of an image", subtitle, axis_of("L0"), axis_of("images"), 300, shapes=[upright(mean)]
    )
