"""The figures of documents 000 to 002, from a report."""

from __future__ import annotations

from functools import partial

import numpy as np
import plotly.graph_objects as go

from sae_core.documents.ensemble import drawing
from sae_core.documents.source import NAMES, Builder, Source, said_of
from sae_core.figures import charts
from sae_core.figures import digits as shared
from sae_core.measure import geometry
from sae_core.measure.features import most_lift
from sae_core.measure.lists import KEY_SHARE, by_lift

RANKINGS = {"norm": "norm of the row", "variance": "variance of the row", "largest": "largest weight"}
ENSEMBLE = "ensemble-tied-topk-1024-k50"


def _encoded(source: Source, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of images [N, 784] the codes, reconstructions, and the Pearson of each, by member 0."""
    import torch

    from sae_core.measure.metrics import pearson

    sae = source.sae(ENSEMBLE)
    with torch.no_grad():
        pictures = torch.tensor(x)
        out = sae(pictures)
        return out.acts.numpy(), out.x_hat.numpy(), pearson(pictures, out.x_hat).numpy()


def reconstructions(source: Source) -> go.Figure:
    """Figure 1: the first image of each digit, by member 0."""
    images = source.images()
    first = [int(np.flatnonzero(images.labels == c)[0]) for c in range(10)]
    _, x_hat, r = _encoded(source, images.x[first])
    return drawing.reconstructions(images.x[first], x_hat, r, f"member 0; {said_of(images)}")


def one_image(source: Source, index: int = 0) -> go.Figure:
    """Figure 4, of any test image."""
    images = source.images()
    index %= len(images)
    acts, x_hat, r = _encoded(source, images.x[index : index + 1])
    said = f"member 0; {said_of(images)}"
    return drawing.one_image(images.x[index], acts[0], x_hat[0], float(r[0]), f"number {index}", said)


def encoder_rows(source: Source, most_used: bool = False) -> go.Figure:
    """Figure 2: the first 100 encoder rows of member 0, or those of the 100 features used most."""
    rows = source.weights(ENSEMBLE)["W_enc"][0].T
    order = np.argsort(-source["frequency"], kind="stable") if most_used else np.arange(len(rows))
    which = f"those most used on {source.on('train')}" if most_used else "the first by number"
    return drawing.encoder_rows(rows[order[:100]], order[:100], which, "weights of member 0")


def pearson_by_epoch(source: Source, from_start: bool = False) -> go.Figure:
    """Figure 3, with the untrained members where `from_start`."""
    start = source["initial_pearson"] if from_start else None
    first = min(10_000, source.report.info["n"]["train"])
    said = f"{source.on()}; training: its first {first:,}"
    claimed = 0.94 if from_start else 0.97
    return drawing.pearson_by_epoch(source["pearson_test"], source["pearson_train"], start, said, claimed)


def _use_n(source: Source) -> int:
    return min(1000, source.report.info["n"]["test"])


def most_frequent(source: Source) -> go.Figure:
    """Figure 5: the 25 features that are active most often."""
    frequency = source["use_frequency"]
    top = np.argsort(-frequency, kind="stable")[:25]
    said = f"member 0; mnist/test, n = {_use_n(source):,}"
    return charts.ranked(
        top, 100 * frequency[top], "The 25 most frequent features", "active on (% of the images)", said
    )


def strongest(source: Source, over_all: bool = False) -> go.Figure:
    """Figure 5: the 25 strongest, by the mean over the images on which each is active, or over all images."""
    strength = source["use_mean_all" if over_all else "use_mean_active"]
    top = np.argsort(-strength, kind="stable")[:25]
    reading = "over all images" if over_all else "when active"
    said = f"mean activation {reading}; member 0; mnist/test, n = {_use_n(source):,}"
    return charts.ranked(top, strength[top], "The 25 strongest features", f"mean activation {reading}", said)


def frequency_strength(source: Source, over_all: bool = False) -> go.Figure:
    """Figure 5: frequency against strength, with their rank correlation over the features in use."""
    frequency, strength = source["use_frequency"], source["use_mean_all" if over_all else "use_mean_active"]
    used = frequency > 0
    rank = geometry.rank_correlation(frequency[used], strength[used])
    said = f"member 0; mnist/test, n = {_use_n(source):,}"
    return charts.frequency_against_strength(
        frequency, strength, "over all images" if over_all else "when active", rank, said
    )


def mean_codes(source: Source) -> go.Figure:
    """Figure 6: the mean code of each digit."""
    return drawing.mean_codes(source["class_means"].astype(np.float32), f"member 0; {source.on('train')}")


EACH = 5
"""key features shown of each digit"""


def key_features(source: Source, by_mean: bool = False) -> list[np.ndarray]:
    """The first features of each digit: by mean activation, or by lift among those that it often uses."""
    if by_mean:
        found = list(np.argsort(-source["class_means"].astype(float), axis=0, kind="stable").T)
    else:
        found = by_lift(source["class_rates"], source["frequency"])
    return [order[:EACH] for order in found]


def key_feature_rates(source: Source, by_mean: bool = False) -> go.Figure:
    """Figure 6: how often each digit activates the key features of each."""
    lists = key_features(source, by_mean)
    top, groups = np.concatenate(lists), np.repeat(np.arange(len(lists)), [len(one) for one in lists])
    rates, n = source["class_rates"][top].astype(float), source.report.info["n"]["train"]
    found = shared.key_feature_rates(top, groups, rates, NAMES[:10], "mnist/train", n)
    how = "raw mean" if by_mean else f"lift, of those on {100 * KEY_SHARE:.0f} % or more of its images"
    found.layout.title.text = "Key features of each digit"
    found.layout.title.subtitle.text = f"{EACH} each by {how};<br>member 0; {source.on('train')}"
    found.layout.margin.t = 84
    return found


def feature_map(source: Source, by: str = "norm") -> go.Figure:
    """A map of the features (figure 7 of the documents' program), by one of three rankings."""
    features, xy = source[f"tsne_{by}_features"], source[f"tsne_{by}_xy"]
    frequency = source["frequency"]
    n = source.report.info["n"]["train"]
    digit = most_lift(source["class_rates"], np.round(frequency.astype(float) * n), n)[features]
    frequency = frequency[features]
    said = f"weights of member 0, n = {len(features)}; use on {source.on('train')}"
    return charts.feature_map(xy, features, frequency, digit, RANKINGS[by], said)


def first_losses(source: Source) -> go.Figure:
    """The mean image's MSE beside the members' before and after training."""
    claim = source.claimed("MSE per pixel of the mean image")
    return drawing.first_losses(claim.documented, source["initial_mse"], claim.ours, source.on())


def agreement(source: Source) -> go.Figure:
    """MMCS of each two members, by both readings, before and after training."""
    return drawing.agreement(source["mmcs_before"], source["mmcs_after"], source["pairs"], "weights")


def consistency(source: Source) -> go.Figure:
    """The readings of the consistency loss after a short training."""
    said = source.report.info["consistency"]
    about = f"after {said['steps']} steps each, mean of the members; Pearson on {source.on()}"
    return drawing.consistency(said["names"], source["consistency"], about)


def locality(source: Source) -> go.Figure:
    """How much of each encoder row's energy is in its best 10×10 window."""
    values = source["locality"]
    lines = {"a row that is the same everywhere": 100 / 784, "median": float(np.median(values))}
    return charts.histogram(
        values,
        "How local the features are",
        f"weights of member 0, n = {len(values):,} features",
        "share of energy in the best 10×10 window",
        lines,
    )


def nearest(source: Source) -> go.Figure:
    """Each feature's cosine to the nearest other."""
    values, ever = source["nearest_cosine"], source["ever_active"][0]
    return charts.histogram(
        values,
        "How redundant the features are",
        f"weights of member 0, n = {len(values):,} features, {int(ever.sum()):,} ever active on {source.on('train')}",
        "cosine to the nearest other feature",
        {"called redundant": 0.9},
    )


def pearson_by_digit(source: Source) -> go.Figure:
    """Mean Pearson on the test images of each digit."""
    return charts.by_digit(
        source["pearson_by_digit"], "Pearson of each digit", "Pearson", f"member 0; {source.on()}", zero=False
    )


def builders() -> dict[str, Builder]:
    """Every figure of the document by its file name, each reading of the contradictions included."""
    return {
        "reconstructions": reconstructions,
        "encoder-rows": encoder_rows,
        "encoder-rows-most-used": partial(encoder_rows, most_used=True),
        "pearson-by-epoch": pearson_by_epoch,
        "pearson-from-start": partial(pearson_by_epoch, from_start=True),
        "one-image": one_image,
        "most-frequent": most_frequent,
        "strongest": strongest,
        "strongest-over-all": partial(strongest, over_all=True),
        "frequency-strength": frequency_strength,
        "frequency-strength-over-all": partial(frequency_strength, over_all=True),
        "mean-codes": mean_codes,
        "key-features-by-lift": key_feature_rates,
        "key-features-by-mean": partial(key_feature_rates, by_mean=True),
        **{f"tsne-{by}": partial(feature_map, by=by) for by in RANKINGS},
        "first-losses": first_losses,
        "agreement": agreement,
        "consistency": consistency,
        "locality": locality,
        "nearest": nearest,
        "pearson-by-digit": pearson_by_digit,
    }
