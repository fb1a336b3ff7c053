"""Pictures as figures: mosaics, and pictures on a map."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from sae_core.figures.style import GAP, HIDDEN, INK, RATE_COLOURS, SIGNED, colour_bar, plot
from sae_core.pictures.sides import side_of


def mosaic(pictures: np.ndarray, columns: int, above: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pictures [n, side²] as one array with NaN between them, and each one's top middle [n, 2] as (x, y).

    `above` pixels are left over each picture, for its label.
    """
    side = round(pictures.shape[1] ** 0.5)
    rows = -(-len(pictures) // columns)
    step_y, step_x = side + above + GAP, side + GAP
    z = np.full((rows * step_y - GAP, columns * step_x - GAP), np.nan, np.float32)
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
    z, places = mosaic(rows, columns, above if labels else 0)
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
            colorbar=colour_bar(unit),
            hovertemplate=f"%{{z:.3f}} {unit}<extra></extra>",
        )
    ]
    if labels:
        text = {"mode": "text", "textposition": "top center", "textfont": {"size": 10}, "hoverinfo": "skip"}
        traces.append(go.Scatter(x=places[:, 0], y=places[:, 1], text=list(labels), cliponaxis=False, **text))
    across = {**HIDDEN, "range": [-0.5, z.shape[1] - 0.5], "constraintoward": "left"}
    down = {**HIDDEN, "range": [z.shape[0] - 0.5, -0.5], "scaleanchor": "x", "constraintoward": "top"}
    return plot(traces, title, subtitle, across, down, height)


def most(rows: np.ndarray) -> float:
    """Where a scale of weights ends: 99.5 % are smaller, for a few large ones would leave all others pale."""
    return float(np.quantile(np.abs(rows), 0.995)) or 1.0


def picture_map(
    xy: np.ndarray, shown: np.ndarray, hover: Sequence[str], title: str, said: str, size: float = 0.06
) -> go.Figure:
    """A t-SNE map [n, 2] with pictures [n, 784] in [0, 1] as its points; `size` is a picture's share of the width."""
    low, span = xy.min(0), np.maximum(np.ptp(xy, axis=0), 1e-9)
    at = (xy - low) / span
    images = [
        {
            "source": png(picture),
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
    return plot(points, title, said, around, around, 460, images=images)


def png(picture: np.ndarray) -> str:
    """A picture [side²] in [0, 1] as the address of a PNG within itself."""
    from PIL import Image

    side = side_of(picture.size)
    levels = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8).reshape(side, side)
    out = io.BytesIO()
    Image.fromarray(levels).save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
