"""What each class uses, as figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from sae_core.figures.style import BLUE, RATE_COLOURS, bar_figure, colour_bar, heat_map


def mean_code_bars(
    features: np.ndarray, means: np.ndarray, rates: np.ndarray, name: str, split: str, n: int
) -> go.Figure:
    """The largest entries of a class's mean code: features, their means, and the share of its images [m each]."""
    bars = go.Bar(
        x=[f"#{f}" for f in features],
        y=means.astype(float),
        marker_color=BLUE,
        customdata=100 * rates.astype(float),
        hovertemplate=f"feature %{{x}}: mean %{{y:.3f}}, active on %{{customdata:.3g}} % of the {name}s<extra></extra>",
    )
    return bar_figure(
        bars,
        f"Mean code of the {name}s",
        f"the {len(features)} features with the largest mean; {split}, n = {n:,}",
        {"type": "category", "title": {"text": "feature"}, "tickfont": {"size": 10}},
        {"title": {"text": "mean activation"}},
        height=340,
    )


def mean_code_map(means: np.ndarray, name: str, split: str, n: int) -> go.Figure:
    """A class's mean code [d_sae] as a square, feature by feature in lines, the empty rest left out."""
    side = int(np.ceil(np.sqrt(len(means))))
    square = np.full(side * side, np.nan)
    square[: len(means)] = means
    signed = bool((means < 0).any())
    heat = go.Heatmap(
        z=square.reshape(side, side),
        customdata=np.arange(side * side).reshape(side, side),
        colorscale="RdBu_r" if signed else RATE_COLOURS,
        zmid=0 if signed else None,
        zmin=None if signed else 0,
        hoverongaps=False,
        colorbar=colour_bar("mean activation"),
        hovertemplate="feature %{customdata}: mean %{z:.3f}<extra></extra>",
    )
    return heat_map(
        heat,
        f"Mean code of the {name}s, as a map",
        f"feature 0 top left, {side} a line; {split}, n = {n:,}",
        {"visible": False, "constrain": "domain"},
        {"visible": False, "constrain": "domain", "scaleanchor": "x"},
        height=340,
    )


def key_feature_rates(
    features: np.ndarray, groups: np.ndarray, rates: np.ndarray, names: Sequence[str], split: str, n: int
) -> go.Figure:
    """How often each class activates features [m], which stand in groups [m] of classes; rates [m, classes]."""
    heat = go.Heatmap(
        z=100 * rates.T.astype(float),
        x=np.arange(len(features)),
        y=list(names),
        customdata=np.tile(features, (len(names), 1)),
        colorscale=RATE_COLOURS,
        zmin=0,
        colorbar=colour_bar("share of its images (%)"),
        hovertemplate="feature %{customdata}: active on %{z:.3g} % of the %{y}s<extra></extra>",
    )
    there = np.unique(groups)
    white = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "line": {"color": "white", "width": 1.5}}
    return heat_map(
        heat,
        "How often digits use key features",
        f"{len(features)} key features by digit; {split}, n = {n:,}",
        {
            "title": {"text": "key features of"},
            "tickvals": [float(np.flatnonzero(groups == g).mean()) for g in there],
            "ticktext": [names[g] for g in there],
            "tickangle": 0,
        },
        {"type": "category", "title": {"text": "images of"}, "dtick": 1},
        height=420,
        shapes=[{**white, "x0": x, "x1": x} for x in np.flatnonzero(np.diff(groups)) + 0.5],
    )


def _square_of_classes(
    z: np.ndarray, names: Sequence[str], title: str, subtitle: str, bar: str, digits: str, hover: str
) -> go.Figure:
    """Values of each two classes [classes, classes] as a heat map with the numbers in it; NaN is left out."""
    low, high = float(np.nanmin(z)), float(np.nanmax(z))
    heat = go.Heatmap(
        z=z,
        x=list(names),
        y=list(names),
        colorscale=RATE_COLOURS,
        zmin=low,
        zmax=max(high, low + 1e-9),
        hoverongaps=False,
        colorbar=colour_bar(bar),
        hovertemplate=hover + "<extra></extra>",
    )
    rows, columns = np.nonzero(np.isfinite(z))
    values, labels = z[rows, columns], np.array(names)
    numbers = go.Scatter(
        x=labels[columns],
        y=labels[rows],
        text=[digits.format(v) for v in values],
        mode="text",
        # plotly's own choice of dark or light is too pale in the middle of this scale.
        textfont={"size": 10, "color": np.where(values - low > 0.5 * (high - low), "black", "white")},
        hoverinfo="skip",
    )
    one = {"type": "category", "dtick": 1, "tickangle": 0, "categoryarray": list(names)}
    return heat_map([heat, numbers], title, subtitle, one, one, height=400)


def code_cosines(cosines: np.ndarray, names: Sequence[str], split: str, n: int) -> go.Figure:
    """The cosine of each two classes' mean codes [classes, classes]."""
    return _square_of_classes(
        cosines,
        names,
        "How alike the mean codes are",
        f"cosine of each two; {split}, n = {n:,}",
        "cosine",
        "{:.2f}",
        "mean codes of %{y} and %{x}: cosine %{z:.3f}",
    )


def shared_key_features(shared: np.ndarray, names: Sequence[str], top: int, split: str, n: int) -> go.Figure:
    """How many of their first `top` key features each two classes share [classes, classes]; not the diagonal."""
    z = shared.astype(float)
    np.fill_diagonal(z, np.nan)
    return _square_of_classes(
        z,
        names,
        "Key features two digits share",
        f"of the first {top} of each; {split}, n = {n:,}",
        "shared features",
        "{:.0f}",
        "%{y} and %{x} share %{z:.0f}",
    )


def lists_per_feature(counts: np.ndarray, classes: int, top: int, split: str, n: int) -> go.Figure:
    """In how many of the classes' lists of key features each listed feature is; counts [m]."""
    lists = np.arange(1, classes + 1)
    bars = go.Bar(
        x=lists,
        y=[int((counts == c).sum()) for c in lists],
        marker_color=BLUE,
        hovertemplate="%{y} features are in %{x} of the lists<extra></extra>",
    )
    return bar_figure(
        bars,
        "How many lists a feature is in",
        f"first {top} key features of each digit; {split}, n = {n:,}",
        {"title": {"text": f"in how many of the {classes} lists"}, "dtick": 1},
        {"title": {"text": "features"}},
        height=400,
    )
