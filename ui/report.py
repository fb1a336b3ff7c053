"""From a report to its figures, and the figures as files. No streamlit; torch only where an image is encoded.

A figure that needs single images takes them from MNIST where it is on the disk, else from the embedded digits, and
says which; everything else is drawn from the report's arrays and its models' weights.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from sae_core import geometry, store
from sae_core.datasets import DataError, ImageSet, dataset_info, default_data_dir, load_dataset
from sae_core.reproduce import Report, Stage
from sae_core.store import CheckpointError
from ui import experiment_figures as draw
from ui import figures as shared

if TYPE_CHECKING:
    from sae_core.sae import SAE

RHOS = (0.1, 0.999)
NAMES = [*(str(c) for c in range(10)), "scrambled"]
"""classes of document 004"""
TOP = 30
LEAST = 0.05
"""share of a digit's images on which a feature must be active to be ranked by its lift; as on the Digits page"""
RANKINGS = {"norm": "norm of the row", "variance": "variance of the row", "largest": "largest weight"}
CORRELATIONS = {
    "documented": "both triangles and the diagonal, as documented",
    "off-diagonal": "each pair once",
    "bias-free": "each pair once, without the shared bias",
}


@dataclass(frozen=True, eq=False)
class Source:
    """A report, and where its images are; its models are found by their names, or in the folder of a quick run."""

    report: Report
    data_dir: Path | None = None

    def __getitem__(self, name: str) -> np.ndarray:
        """An array of the report. CheckpointError where an older report does not have it."""
        try:
            return self.report.arrays[name]
        except KeyError:
            raise CheckpointError(f"the report in {self.report.folder} has no {name!r}: make it anew") from None

    def model(self, name: str) -> Path:
        """The folder of one of its models. CheckpointError where it is not here."""
        there = self.report.info["models"][name]
        own = self.report.folder / "models" / there
        return own if own.is_dir() else store.find(there)[0]

    def weights(self, name: str) -> dict[str, np.ndarray]:
        """A model's tensors in float32, without torch."""
        return _weights(path := self.model(name) / store.WEIGHTS, path.stat().st_mtime)

    def sae(self, name: str, member: int = 0) -> SAE:
        """The model itself, on the CPU."""
        path = self.model(name)
        return _sae(path, (path / store.WEIGHTS).stat().st_mtime, member)

    def images(self) -> ImageSet:
        """Test images to show one by one."""
        folder = Path(self.data_dir or default_data_dir())
        here = "mnist" if dataset_info("mnist").is_here(folder) else "digits"
        return load_dataset(here, "test", folder if here == "mnist" else None)

    def on(self, split: str = "test", scrambled: bool = False) -> str:
        """What was measured, as figures say it: "mnist/test, n = 10,000"."""
        n = self.report.info["n"][split]
        return f"mnist/{split}{' + scrambled' if scrambled else ''}, n = {(2 if scrambled else 1) * n:,}"

    def claimed(self, what: str) -> Any:
        """The claim whose words start so."""
        return next(c for c in self.report.claims if c.what.startswith(what))


@lru_cache(maxsize=16)
def _weights(path: Path, changed: float) -> dict[str, np.ndarray]:
    return {k: a.astype(np.float32) for k, a in store.read_tensors(path)[0].items()}


@lru_cache(maxsize=4)
def _sae(path: Path, changed: float, member: int) -> SAE:
    from sae_core.checkpoints import load

    return load(path).member(member)


def _said(images: ImageSet) -> str:
    stand_in = " (embedded digits: MNIST is not here)" if images.name != "mnist" else ""
    return f"{images.name}/{images.split}{stand_in}"


# ---- documents 000–002

ENSEMBLE = "ensemble-tied-topk-1024-k50"


def _encoded(source: Source, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of images [N, 784] the codes, reconstructions, and the Pearson of each, by member 0."""
    import torch

    from sae_core.metrics import pearson

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
    return draw.reconstructions(images.x[first], x_hat, r, f"member 0; {_said(images)}")


def one_image(source: Source, index: int = 0) -> go.Figure:
    """Figure 4, of any test image."""
    images = source.images()
    index %= len(images)
    acts, x_hat, r = _encoded(source, images.x[index : index + 1])
    said = f"member 0; {_said(images)}"
    return draw.one_image(images.x[index], acts[0], x_hat[0], float(r[0]), f"number {index}", said)


def encoder_rows(source: Source, most_used: bool = False) -> go.Figure:
    """Figure 2: the first 100 encoder rows of member 0, or those of the 100 features used most."""
    rows = source.weights(ENSEMBLE)["W_enc"][0].T
    order = np.argsort(-source["frequency"], kind="stable") if most_used else np.arange(len(rows))
    which = f"those most used on {source.on('train')}" if most_used else "the first by number"
    return draw.encoder_rows(rows[order[:100]], order[:100], which, "weights of member 0")


def pearson_by_epoch(source: Source, from_start: bool = False) -> go.Figure:
    """Figure 3, with the untrained members where `from_start`."""
    start = source["initial_pearson"] if from_start else None
    first = min(10_000, source.report.info["n"]["train"])
    said = f"{source.on()}; training: its first {first:,}"
    claimed = 0.94 if from_start else 0.97
    return draw.pearson_by_epoch(source["pearson_test"], source["pearson_train"], start, said, claimed)


def _use_n(source: Source) -> int:
    return min(1000, source.report.info["n"]["test"])


def most_frequent(source: Source) -> go.Figure:
    """Figure 5: the 25 features that are active most often."""
    frequency = source["use_frequency"]
    top = np.argsort(-frequency, kind="stable")[:25]
    said = f"member 0; mnist/test, n = {_use_n(source):,}"
    return draw.ranked(top, 100 * frequency[top], "The 25 most frequent features", "active on (% of the images)", said)


def strongest(source: Source, over_all: bool = False) -> go.Figure:
    """Figure 5: the 25 strongest, by the mean over the images on which each is active, or over all images."""
    strength = source["use_mean_all" if over_all else "use_mean_active"]
    top = np.argsort(-strength, kind="stable")[:25]
    reading = "over all images" if over_all else "when active"
    said = f"mean activation {reading}; member 0; mnist/test, n = {_use_n(source):,}"
    return draw.ranked(top, strength[top], "The 25 strongest features", f"mean activation {reading}", said)


def frequency_strength(source: Source, over_all: bool = False) -> go.Figure:
    """Figure 5: frequency against strength, with their rank correlation over the features in use."""
    frequency, strength = source["use_frequency"], source["use_mean_all" if over_all else "use_mean_active"]
    used = frequency > 0
    rank = geometry.rank_correlation(frequency[used], strength[used])
    said = f"member 0; mnist/test, n = {_use_n(source):,}"
    return draw.frequency_against_strength(
        frequency, strength, "over all images" if over_all else "when active", rank, said
    )


def mean_codes(source: Source) -> go.Figure:
    """Figure 6: the mean code of each digit."""
    return draw.mean_codes(source["class_means"].astype(np.float32), f"member 0; {source.on('train')}")


def lift(source: Source) -> np.ndarray:
    """Share of a digit's images on which a feature is active over its share of all images: [d_sae, 10]."""
    rates, base = source["class_rates"].astype(float), source["frequency"].astype(float)[:, None]
    return np.divide(rates, base, out=np.zeros_like(rates), where=base > 0)


def key_features(source: Source, by_mean: bool = False, each: int = 5) -> np.ndarray:
    """The first features of each digit [10, each]: by mean activation, or by lift among those that it often uses."""
    rates = source["class_rates"].astype(float)
    value = source["class_means"].astype(float) if by_mean else np.where(rates >= LEAST, lift(source), 0)
    return np.argsort(-value, axis=0, kind="stable")[:each].T


def key_feature_rates(source: Source, by_mean: bool = False) -> go.Figure:
    """Figure 6: how often each digit activates the key features of each."""
    top = key_features(source, by_mean)
    groups = np.repeat(np.arange(10), top.shape[1])
    rates, n = source["class_rates"][top.ravel()].astype(float), source.report.info["n"]["train"]
    found = shared.key_feature_rates(top.ravel(), groups, rates, NAMES[:10], "mnist/train", n)
    how = "raw mean" if by_mean else f"lift, of those on {100 * LEAST:.0f} % or more of its images"
    found.layout.title.text = "Key features of each digit"
    found.layout.title.subtitle.text = f"{top.shape[1]} each by {how};<br>member 0; {source.on('train')}"
    found.layout.margin.t = 84
    return found


def feature_map(source: Source, by: str = "norm") -> go.Figure:
    """Figure 7, by one of three rankings."""
    features, xy = source[f"tsne_{by}_features"], source[f"tsne_{by}_xy"]
    digit = lift(source).argmax(1)[features]
    frequency = source["frequency"][features]
    said = f"weights of member 0, n = {len(features)}"
    return draw.feature_map(xy, features, frequency, digit, RANKINGS[by], said)


def first_losses(source: Source) -> go.Figure:
    """The mean image's MSE beside the members' before and after training."""
    claim = source.claimed("MSE per pixel of the mean image")
    return draw.first_losses(claim.documented, source["initial_mse"], claim.ours, source.on())


def agreement(source: Source) -> go.Figure:
    """MMCS of each two members, by both readings, before and after training."""
    return draw.agreement(source["mmcs_before"], source["mmcs_after"], source["pairs"], "weights")


def consistency(source: Source) -> go.Figure:
    """The readings of the consistency loss after a short training."""
    said = source.report.info["consistency"]
    about = f"after {said['steps']} steps each, mean of the members; Pearson on {source.on()}"
    return draw.consistency(said["names"], source["consistency"], about)


def locality(source: Source) -> go.Figure:
    """How much of each encoder row's energy is in its best 10×10 window."""
    values = source["locality"]
    lines = {"a row that is the same everywhere": 100 / 784, "median": float(np.median(values))}
    return draw.histogram(
        values,
        "How local the features are",
        f"weights of member 0, n = {len(values):,} features",
        "share of energy in the best 10×10 window",
        lines,
    )


def nearest(source: Source) -> go.Figure:
    """Each feature's cosine to the nearest other."""
    values = source["nearest_cosine"]
    return draw.histogram(
        values,
        "How redundant the features are",
        f"weights of member 0, n = {len(values):,} features",
        "cosine to the nearest other feature",
        {"called redundant": 0.9},
    )


def pearson_by_digit(source: Source) -> go.Figure:
    """Mean Pearson on the test images of each digit."""
    return draw.by_digit(
        source["pearson_by_digit"], "Pearson of each digit", "Pearson", f"member 0; {source.on()}", zero=False
    )


# ---- document 003


def fvu_l0(source: Source) -> go.Figure:
    """FVU against L0 of ReLU + L1 and BatchTopK."""
    curves = {"ReLU + L1": source["curve_relu_l1"], "BatchTopK": source["curve_batch_topk"]}
    return draw.fvu_against_l0(curves, source.on())


def decoder_norms(source: Source) -> go.Figure:
    """Lengths of the decoder's rows, held at 1 and free."""
    held, free = source["decoder_norms_held"], source["decoder_norms_free"]
    return draw.decoder_norms(held, free, f"ReLU + L1, weights, n = {len(held):,} rows each")


def l0_of_images(source: Source) -> go.Figure:
    """How many active latents BatchTopK gives the test images."""
    return draw.l0_of_images(source["l0_of_images"], "BatchTopK, k = 50 on average; mnist/test")


def l0_by_digit(source: Source) -> go.Figure:
    """The same by digit."""
    return draw.by_digit(
        source["l0_by_digit"], "Active latents by digit", "mean L0", f"BatchTopK, k = 50 on average; {source.on()}"
    )


def decoder_rows(source: Source, dense: bool = False) -> go.Figure:
    """The 100 longest decoder rows without (`dense`) and with a sparsity term."""
    rows = source["rows_dense" if dense else "rows_sparse"].astype(np.float32)
    end = draw.most(rows)
    said = f"ReLU with L1 {'= 0' if dense else 'term'}; weights, n = {len(rows)} rows; "
    said += f"one scale to ±{end:.2g}, which 0.5 % of the weights exceed"
    title = "Decoder rows without sparsity" if dense else "Decoder rows with sparsity"
    return draw.pictures(rows, 10, title, said, "weight", signed=True, scale=(-end, end), height=480)


# ---- document 004


def _of(source: Source, rho: float, name: str) -> np.ndarray:
    return source[f"rho{rho:g}/{name}"]


def _both(source: Source, rho: float) -> str:
    return f"ρ = {rho:g}; {source.on('train', scrambled=True)}"


def phase(source: Source, number: int, rho: float = 0.1) -> go.Figure:
    """One of the three trainings by epoch, beside what the document says of it."""
    said = source.on(scrambled=True)
    if number == 1:
        claim = source.claimed("phase 1")
        lines = {"here": source["accuracy"], "here, digits alone": source["accuracy_digits"]}
        title, unit = "Phase 1: the classifier", "share of right classes"
    elif number == 2:
        claim = source.claimed(f"phase 2, ρ = {rho:g}")
        lines, said = {"here": source[f"loss_rho{rho:g}"]}, f"ρ = {rho:g}; {said}"
        title, unit = "Phase 2: the SAE", "validation loss"
    else:
        claim = source.claimed("phase 3")
        lines, title, unit = {"here": source["loss_phase3"]}, "Phase 3: the picture generator", "MSE per pixel"
    return draw.loss_by_epoch(np.array(claim.claimed), lines, title, unit, said)


def _shares(source: Source, rho: float, notebook: bool) -> np.ndarray:
    return _of(source, rho, "notebook" if notebook else "share")


def _reading(notebook: bool) -> str:
    return "with the notebook’s constant" if notebook else "reconstruction alone"


def importance(source: Source, rho: float, notebook: bool = False) -> go.Figure:
    """Figures 1 and 2, all classes together."""
    return draw.importance(
        _shares(source, rho, notebook)[-1],
        "Importance of features, all classes",
        f"{_reading(notebook)}; {_both(source, rho)}",
    )


def importance_by_class(source: Source, rho: float, notebook: bool = False) -> go.Figure:
    """Figures 1 and 2, for each class and for all."""
    both = np.concatenate([_shares(source, rho, n) for n in (True, False)])
    room = 0.03 * float(np.ptp(both))
    return draw.importance_by_class(
        _shares(source, rho, notebook),
        [*NAMES, "all"],
        (float(both.min()) - room, float(both.max()) + room),
        "Importance of features by class",
        f"{_reading(notebook)}; {_both(source, rho)}",
    )


def _rows(source: Source, rho: float, pictures: bool, union: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the features alone, and which features they are of."""
    rows = _of(source, rho, "alone_pictures" if pictures else "alone_hidden")
    which = _of(source, rho, "union_notebook") if union else np.arange(len(rows))
    return rows[which], which


def _which(union: bool, n: int) -> str:
    return f"{n} features, the top 3 of each class and of all" if union else f"all {n} features"


def cosine_matrix(source: Source, rho: float, pictures: bool = False, union: bool = False) -> go.Figure:
    """Figure 3: cosines of what the features alone decode to, in the hidden layer or as pictures."""
    rows, which = _rows(source, rho, pictures, union)
    title = f"Cosines of features {'as pictures' if pictures else 'in the hidden layer'}"
    said = f"{_which(union, len(which))}; {_both(source, rho)}"
    return draw.cosine_matrix(geometry.cosines(rows), which, title, said)


def map_points(source: Source, rho: float, pictures: bool, union: bool, documented: bool) -> np.ndarray:
    """A t-SNE map [n, 2]: documented, of the rows of distances taken for features, or of the distances themselves."""
    name = ("union_" if union else "") + ("map_" if documented else "honest_map_")
    return _of(source, rho, name + ("picture" if pictures else "hidden"))


def _classes_of(source: Source, rho: float, feature: int) -> str:
    """In whose top 3 a feature is: "1, 7"."""
    tops = _of(source, rho, "tops_notebook")[:, :3]
    found = [[*NAMES[:10], "scr.", "all"][row] for row in range(len(tops)) if feature in tops[row]]
    return ", ".join(found) if len(found) < 5 else f"{len(found)} classes"


def _map_said(documented: bool) -> str:
    return "t-SNE of rows of distances, as documented" if documented else "t-SNE of the distances"


def feature_points(
    source: Source,
    rho: float,
    pictures: bool = False,
    union: bool = False,
    documented: bool = False,
    mixed: bool = False,
) -> go.Figure:
    """Figure 3: a map of the features; the top ones are labelled. `mixed`: x of one map and y of the other (E14)."""
    xy = map_points(source, rho, pictures, union, documented)
    if mixed:
        xy = np.stack([map_points(source, rho, p, union, documented)[:, i] for i, p in enumerate((True, False))], 1)
    which = _rows(source, rho, pictures, union)[1].tolist()
    classes = [_classes_of(source, rho, f) for f in which]
    labels = [f"{f} ({c})" if union else "" for f, c in zip(which, classes, strict=True)]
    hover = [f"feature {f}" + (f", top 3 of {c}" if c else "") for f, c in zip(which, classes, strict=True)]
    title = f"Map of features {'as pictures' if pictures else 'in the hidden layer'}"
    if mixed:
        title = "Map with the axes of two maps"
    said = f"{_map_said(documented)}; {_which(union, len(which))}; axes have no unit; {_both(source, rho)}"
    return draw.point_map(xy, labels, hover, title, said)


def picture_map(source: Source, rho: float, union: bool = False, documented: bool = False) -> go.Figure:
    """Figure 3: the map of the pictures with the generated pictures as its points."""
    rows, which = _rows(source, rho, True, union)
    hover = [f"feature {f}" for f in which]
    said = f"{_map_said(documented)}; {_which(union, len(which))}; {_both(source, rho)}"
    xy = map_points(source, rho, True, union, documented)
    return draw.picture_map(xy, rows, hover, "Features as the pictures they make", said, 0.12 if union else 0.07)


def paint(source: Source, hidden: np.ndarray) -> np.ndarray:
    """Hidden layers [n, 49] as the generator's pictures [n, 784], without torch."""
    weights = source.weights("exp3-generator")
    return 1 / (1 + np.exp(-(hidden @ weights["W"] + weights["b"])))


def classify(source: Source, pictures: np.ndarray) -> np.ndarray:
    """The classifier's probabilities [n, 11] of pictures [n, 784], without torch."""
    weights = source.weights("exp3-classifier")
    hidden = np.maximum(0, np.tanh(pictures @ weights["W_in"] + weights["b_in"]))
    logits = hidden @ weights["W_out"] + weights["b_out"]
    odds = np.exp(logits - logits.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)


def pair_distances(source: Source, rho: float, reading: str, union: bool) -> tuple[np.ndarray, np.ndarray]:
    """Cosine distances of pairs of features, in the hidden layer and as pictures; `reading` of CORRELATIONS."""
    hidden, pictures = (_rows(source, rho, p, union)[0].astype(np.float64) for p in (False, True))
    if reading == "bias-free":
        bias = source.weights(f"exp3-kl-98-rho{rho:g}")["b_dec"].astype(np.float64)
        hidden, pictures = hidden - bias, pictures - paint(source, bias[None])[0]
    if reading != "documented":
        directed = hidden.any(1) & pictures.any(1)
        hidden, pictures = hidden[directed], pictures[directed]
        upper = np.triu_indices(len(hidden), k=1)
        return geometry.distances(hidden)[upper], geometry.distances(pictures)[upper]
    return geometry.distances(hidden).ravel(), geometry.distances(pictures).ravel()


def correlation(source: Source, rho: float, reading: str = "documented", union: bool = True) -> go.Figure:
    """Figure 3: are features that are near in the hidden layer near as pictures?"""
    hidden, pictures = pair_distances(source, rho, reading, union)
    found = _of(source, rho, "correlations_union" if union else "correlations_all")
    r = float(found[list(CORRELATIONS).index(reading)])
    n = len(_rows(source, rho, False, union)[1])
    said = f"{_which(union, n)}; {_both(source, rho)}"
    return draw.distance_scatter(hidden, pictures, r, CORRELATIONS[reading], said)


def from_top(source: Source, rho: float, n: int, own: bool, notebook: bool) -> np.ndarray:
    """The mean picture [11, 784] of each class from only its n most important features."""
    weights = source.weights(f"exp3-kl-98-rho{rho:g}")
    values = _of(source, rho, "notebook" if notebook else "increase")
    means = _of(source, rho, "mean_acts")
    hidden = [
        geometry.from_only(
            np.argsort(-values[c], kind="stable")[:n], means[c if own else -1], weights["W_dec"], weights["b_dec"]
        )
        for c in range(len(NAMES))
    ]
    return paint(source, np.stack(hidden))


def class_pictures(source: Source, rho: float, n: int = TOP, own: bool = True, notebook: bool = False) -> go.Figure:
    """Figure 3: a picture of each class from only its top n features, averaged over its own images or over all."""
    shown = from_top(source, rho, n, own, notebook)
    said = (
        f"means over {'the class’s own images' if own else 'all images'}; lists {_reading(notebook)}; "
        f"{_both(source, rho)}"
    )
    title = f"Each class from its top {n} feature{'s' if n > 1 else ''}"
    return draw.class_pictures(shown, NAMES, classify(source, shown), title, said)


def top_lists(source: Source, rho: float, notebook: bool = False) -> go.Figure:
    """The top-30 lists of the classes and of all."""
    tops = _of(source, rho, "tops_notebook" if notebook else "tops_closed")
    lists = np.bincount(tops[:-1].ravel(), minlength=_of(source, rho, "share").shape[1])
    said = f"importance: {_reading(notebook)}; {_both(source, rho)}"
    return draw.top_lists(tops, [*NAMES, "all"], lists, f"The top {tops.shape[1]} features of each class", said)


def overlap(source: Source, rho: float, notebook: bool = False) -> go.Figure:
    """What two classes' lists have in common."""
    found = _of(source, rho, "overlap_notebook" if notebook else "overlap_closed")
    off = found[~np.eye(len(found), dtype=bool)].mean()
    said = f"mean of each two {100 * off:.0f} %; importance: {_reading(notebook)}; {_both(source, rho)}"
    return draw.overlap(found, NAMES, TOP, f"Top-{TOP} features two classes share", said)


def sharing(source: Source, rho: float) -> go.Figure:
    """Shared against distinctive features."""
    lists = _of(source, rho, "lists")
    said = f"{len(lists)} features; {_both(source, rho)}"
    return draw.sharing(lists, len(NAMES), "Shared and distinctive features", said)


def kept_accuracy(source: Source, rho: float) -> go.Figure:
    """Accuracy kept against the number of features."""
    said = f"ρ = {rho:g}; {source.on()}"
    return draw.kept_accuracy(
        _of(source, rho, "counts"), _of(source, rho, "kept_accuracy"), NAMES, "Read right from few features", said
    )


def mean_activations(source: Source) -> go.Figure:
    """Mean activation of each feature for both targets."""
    means = {rho: _of(source, rho, "mean_acts")[-1] for rho in RHOS}
    return draw.mean_activations(means, source.on("train", scrambled=True))


# ---- all figures of a report

Builder = Callable[[Source], go.Figure]


def builders(name: str) -> dict[str, Builder]:
    """Every figure of an experiment by its file name, each reading of the contradictions included."""
    if name == "ensemble":
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
    if name == "intro":
        return {
            "fvu-l0": fvu_l0,
            "decoder-norms": decoder_norms,
            "l0-of-images": l0_of_images,
            "l0-by-digit": l0_by_digit,
            "decoder-rows-dense": partial(decoder_rows, dense=True),
            "decoder-rows-sparse": decoder_rows,
        }
    found: dict[str, Builder] = {
        "phase1": partial(phase, number=1),
        "phase3": partial(phase, number=3),
        "mean-activations": mean_activations,
    }
    for rho in RHOS:
        of_rho: dict[str, Callable[..., go.Figure]] = {
            "phase2": partial(phase, number=2),
            "importance": importance,
            "importance-notebook": partial(importance, notebook=True),
            "importance-by-class": importance_by_class,
            "importance-by-class-notebook": partial(importance_by_class, notebook=True),
            "cosines-hidden": cosine_matrix,
            "cosines-pictures": partial(cosine_matrix, pictures=True),
            "cosines-hidden-top": partial(cosine_matrix, union=True),
            "cosines-pictures-top": partial(cosine_matrix, pictures=True, union=True),
            "map-hidden": feature_points,
            "map-pictures": partial(feature_points, pictures=True),
            "map-hidden-top": partial(feature_points, union=True),
            "map-pictures-top": partial(feature_points, pictures=True, union=True),
            "map-hidden-documented": partial(feature_points, documented=True),
            "map-pictures-documented": partial(feature_points, pictures=True, documented=True),
            "map-mixed-documented": partial(feature_points, documented=True, mixed=True),
            "picture-map": picture_map,
            "picture-map-top-documented": partial(picture_map, union=True, documented=True),
            **{f"correlation-{reading}": partial(correlation, reading=reading) for reading in CORRELATIONS},
            "class-pictures-own": class_pictures,
            "class-pictures-documented": partial(class_pictures, own=False, notebook=True),
            "top-lists": top_lists,
            "top-lists-notebook": partial(top_lists, notebook=True),
            "overlap": overlap,
            "overlap-notebook": partial(overlap, notebook=True),
            "sharing": sharing,
            "kept-accuracy": kept_accuracy,
        }
        found |= {f"rho{rho:g}-{key}": partial(build, rho=rho) for key, build in of_rho.items()}
    return found


def figures(report: Report, data_dir: Path | None = None) -> dict[str, go.Figure]:
    """Every figure of a report that can be drawn here, by its file name."""
    return _drawn(report, data_dir)[0]


def _drawn(report: Report, data_dir: Path | None) -> tuple[dict[str, go.Figure], list[str]]:
    """The figures, and a sentence for each that could not be drawn."""
    source = Source(report, data_dir)
    found: dict[str, go.Figure] = {}
    missing: list[str] = []
    for name, build in builders(report.name).items():
        try:
            found[name] = build(source)
        except (CheckpointError, DataError) as e:
            missing.append(f"{name} was left out: {e}")
    return found, missing


# ---- files

_CHROMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars")
WIDTH = 900
"""pixels of a PNG"""
_PAGE = """<!doctype html><meta charset="utf-8"><title>figures</title>
<script src="plotly.min.js"></script><body><script>
(async () => {
  for (const [name, figure] of Object.entries(FIGURES)) {
    const made = document.createElement("pre");
    made.dataset.name = name;
    try {
      made.textContent = await Plotly.toImage(figure, {format: "png", width: WIDTH, height: figure.layout.height});
    } catch (e) { made.textContent = "failed: " + e; }
    document.body.append(made);
  }
})();
</script></body>"""


def write_figures(report: Report, on_stage: Stage | None = None, data_dir: Path | None = None) -> list[str]:
    """Write each figure into report.folder/"figures": NAME.html, which holds plotly itself and opens anywhere, and
    NAME.png where a Chrome or Chromium is. Returns a sentence for each thing that could not be written."""
    tell = on_stage or (lambda what, done, of: None)
    tell("figures", 0, 1)
    found, missing = _drawn(report, data_dir)
    folder = report.folder / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    for i, (name, figure) in enumerate(found.items()):
        # A file has no page behind it: on a dark one the text could not be read.
        figure.update_layout(paper_bgcolor="white", plot_bgcolor="white")
        html = figure.to_html(include_plotlyjs=True, full_html=True, config={"displaylogo": False})
        title = figure.layout.title.text
        (folder / f"{name}.html").write_text(html.replace("<head>", f"<head><title>{title}</title>", 1), "utf-8")
        tell("figures", i + 1, len(found))
    return missing + _write_pngs(found, folder, tell)


def _write_pngs(found: dict[str, go.Figure], folder: Path, tell: Stage) -> list[str]:
    """All figures as PNG by one headless browser: a page draws them and writes them down as text."""
    named = os.environ.get("SAE_BROWSER")
    chrome = named or next((path for name in _CHROMES if (path := shutil.which(name))), None)
    if chrome is None:
        return ["no PNG was written: there is no Chrome or Chromium here (or name it in SAE_BROWSER)"]
    from plotly.offline import get_plotlyjs

    names, several = list(found), 10
    written, why = 0, ""
    with tempfile.TemporaryDirectory(prefix="sae-figures-", ignore_cleanup_errors=True) as place:
        aside = Path(place)
        (aside / "plotly.min.js").write_text(get_plotlyjs(), "utf-8")
        for start in range(0, len(names), several):
            tell("figures as PNG", start, len(names))
            part = ", ".join(f'"{n}": {found[n].to_json()}' for n in names[start : start + several])
            page = _PAGE.replace("FIGURES", f"({{{part}}})".replace("</", "<\\/")).replace("WIDTH", str(WIDTH))
            (aside / "page.html").write_text(page, "utf-8")
            dump = ["--virtual-time-budget=120000", "--dump-dom", (aside / "page.html").as_uri()]
            command = [chrome, *_FLAGS, f"--user-data-dir={aside / 'profile'}", *dump]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=180)
            except (OSError, subprocess.TimeoutExpired) as e:
                why = f": {type(e).__name__}"
                break
            pattern = r'<pre data-name="([\w.-]+)">data:image/png;base64,([A-Za-z0-9+/=]+)</pre>'
            for name, png in re.findall(pattern, done.stdout):
                (folder / f"{name}.png").write_bytes(base64.b64decode(png))
                written += 1
    tell("figures as PNG", len(names), len(names))
    if written == len(names):
        return []
    return [f"{len(names) - written} of {len(names)} figures have no PNG: {Path(chrome).name} did not draw them{why}"]
