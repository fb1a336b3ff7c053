"""The figures of document 004, from a report."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import plotly.graph_objects as go

from sae_core.documents.hidden_layer import drawing, unit_drawing
from sae_core.documents.source import NAMES, RHOS, TOP, Builder, Source
from sae_core.figures import charts, pictures
from sae_core.measure import geometry
from sae_core.measure.spread import effective
from sae_core.models.forms import Layer

CORRELATIONS = {
    "documented": "both triangles and the diagonal, as documented",
    "off-diagonal": "each pair once",
    "bias-free": "each pair once, without the shared bias",
}


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
    return drawing.loss_by_epoch(np.array(claim.claimed), lines, title, unit, said)


def _shares(source: Source, rho: float, notebook: bool) -> np.ndarray:
    return _of(source, rho, "notebook" if notebook else "share")


def _reading(notebook: bool) -> str:
    return "with the notebook’s constant" if notebook else "reconstruction alone"


def importance(source: Source, rho: float, notebook: bool = False) -> go.Figure:
    """Figures 1 and 2, all classes together."""
    return drawing.importance(
        _shares(source, rho, notebook)[-1],
        "Importance of features, all classes",
        f"{_reading(notebook)}; {_both(source, rho)}",
    )


def importance_by_class(source: Source, rho: float, notebook: bool = False) -> go.Figure:
    """Figures 1 and 2, for each class and for all."""
    both = np.concatenate([_shares(source, rho, n) for n in (True, False)])
    room = 0.03 * float(np.ptp(both))
    return drawing.importance_by_class(
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
    return drawing.cosine_matrix(geometry.cosines(rows), which, title, said)


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
    return charts.point_map(xy, labels, hover, title, said)


def picture_map(source: Source, rho: float, union: bool = False, documented: bool = False) -> go.Figure:
    """Figure 3: the map of the pictures with the generated pictures as its points."""
    rows, which = _rows(source, rho, True, union)
    hover = [f"feature {f}" for f in which]
    said = f"{_map_said(documented)}; {_which(union, len(which))}; {_both(source, rho)}"
    xy = map_points(source, rho, True, union, documented)
    return pictures.picture_map(xy, rows, hover, "Features as the pictures they make", said, 0.12 if union else 0.07)


def paint(source: Source, hidden: np.ndarray) -> np.ndarray:
    """Hidden layers [n, 49] as the generator's pictures [n, 784], without torch."""
    weights = source.weights("exp3-generator")
    return Layer(weights["W"], weights["b"], "sigmoid")(hidden)


def classify(source: Source, pictures: np.ndarray) -> np.ndarray:
    """The classifier's probabilities [n, 11] of pictures [n, 784], without torch."""
    from scipy.special import softmax

    weights = source.weights("exp3-classifier")
    hidden = Layer(weights["W_in"], weights["b_in"], "tanh-relu")(pictures)
    return np.asarray(softmax(hidden @ weights["W_out"] + weights["b_out"], axis=1))


def pair_distances(source: Source, rho: float, reading: str, union: bool) -> tuple[np.ndarray, np.ndarray]:
    """Cosine distances of pairs of features, in the hidden layer and as pictures; `reading` of CORRELATIONS."""
    hidden, pictures = (_rows(source, rho, p, union)[0].astype(np.float64) for p in (False, True))
    if reading == "bias-free":
        bias = source.weights(f"exp3-kl-98-rho{rho:g}")["b_dec"].astype(np.float64)
        hidden, pictures = hidden - bias, pictures - paint(source, bias[None])[0]
    if reading != "documented":
        return geometry.distances_of_pairs(hidden, pictures)
    return geometry.distances(hidden).ravel(), geometry.distances(pictures).ravel()


def correlation(source: Source, rho: float, reading: str = "documented", union: bool = True) -> go.Figure:
    """Figure 3: are features that are near in the hidden layer near as pictures?"""
    hidden, pictures = pair_distances(source, rho, reading, union)
    found = _of(source, rho, "correlations_union" if union else "correlations_all")
    r = float(found[list(CORRELATIONS).index(reading)])
    n = len(_rows(source, rho, False, union)[1])
    said = f"{_which(union, n)}; {_both(source, rho)}"
    return drawing.distance_scatter(hidden, pictures, r, CORRELATIONS[reading], said)


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
    return drawing.class_pictures(shown, NAMES, classify(source, shown), title, said)


def top_lists(source: Source, rho: float, notebook: bool = False) -> go.Figure:
    """The top-30 lists of the classes and of all."""
    tops = _of(source, rho, "tops_notebook" if notebook else "tops_closed")
    lists = np.bincount(tops[:-1].ravel(), minlength=_of(source, rho, "share").shape[1])
    said = f"importance: {_reading(notebook)}; {_both(source, rho)}"
    return drawing.top_lists(tops, [*NAMES, "all"], lists, f"The top {tops.shape[1]} features of each class", said)


def overlap(source: Source, rho: float, notebook: bool = False) -> go.Figure:
    """What two classes' lists have in common."""
    found = _of(source, rho, "overlap_notebook" if notebook else "overlap_closed")
    off = found[~np.eye(len(found), dtype=bool)].mean()
    said = f"mean of each two {100 * off:.0f} %; importance: {_reading(notebook)}; {_both(source, rho)}"
    return drawing.overlap(found, NAMES, TOP, f"Top-{TOP} features two classes share", said)


def sharing(source: Source, rho: float) -> go.Figure:
    """Shared against distinctive features."""
    lists = _of(source, rho, "lists")
    said = f"{len(lists)} features; {_both(source, rho)}"
    return drawing.sharing(lists, len(NAMES), "Shared and distinctive features", said)


def kept_accuracy(source: Source, rho: float) -> go.Figure:
    """Accuracy kept against the number of features."""
    said = f"ρ = {rho:g}; {source.on()}"
    return drawing.kept_accuracy(
        _of(source, rho, "counts"), _of(source, rho, "kept_accuracy"), NAMES, "Read right from few features", said
    )


def mean_activations(source: Source) -> go.Figure:
    """Mean activation of each feature for both targets."""
    means = {rho: _of(source, rho, "mean_acts")[-1] for rho in RHOS}
    return drawing.mean_activations(means, source.on("train", scrambled=True))


UNITS = {
    "neurons": "the 49 neurons",
    "rho0.1": "the 98 features, ρ = 0.1",
    "rho0.999": "the 98 features, ρ = 0.999",
}
"""whose responses a report keeps"""


def responses(source: Source, kind: str) -> go.Figure:
    """To which classes each neuron or feature responds."""
    title = f"What each {'neuron' if kind == 'neurons' else 'feature'} responds to"
    said = f"{UNITS[kind]}; {source.on(scrambled=True)}"
    return unit_drawing.responses(source[f"units/{kind}/classes"], NAMES, title, said)


def activations(source: Source, kind: str) -> go.Figure:
    """The activation histogram of each neuron or feature, exact zeros in a column of their own."""
    shares, top = source[f"units/{kind}/histogram"], float(source[f"units/{kind}/top"][0])
    title = f"Activations of each {'neuron' if kind == 'neurons' else 'feature'}"
    return unit_drawing.activations(shares, top, title, f"{UNITS[kind]}; {source.on(scrambled=True)}")


def spread(source: Source) -> go.Figure:
    """With how many features each class gets along, by both readings of importance and for both targets."""
    found = {
        (rho, reading): effective(_shares(source, rho, notebook))
        for rho in RHOS
        for notebook, reading in ((True, "as documented"), (False, "reconstruction alone"))
    }
    return unit_drawing.spread(found, [*NAMES, "all"], source.on("train", scrambled=True))


def builders() -> dict[str, Builder]:
    """Every figure of the document by its file name, each reading of the contradictions included."""
    found: dict[str, Builder] = {
        "phase1": partial(phase, number=1),
        "phase3": partial(phase, number=3),
        "mean-activations": mean_activations,
        "spread": spread,
        **{f"responses-{kind}": partial(responses, kind=kind) for kind in UNITS},
        **{f"activations-{kind}": partial(activations, kind=kind) for kind in UNITS},
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
