"""Which of a report's numbers each of its figures is drawn from, and what it says of them.

Reports are made up (`tests.made`); what a drawing shows of what it is given is held by `test_shown*.py`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from scipy.special import expit, softmax

from sae_core.documents import export
from sae_core.documents.ensemble import drawing as of_ensemble
from sae_core.documents.ensemble import figures as ensemble_figures
from sae_core.documents.hidden_layer import drawing as of_hidden
from sae_core.documents.hidden_layer import unit_drawing
from sae_core.documents.intro import drawing as of_intro
from sae_core.documents.source import NAMES, RHOS, Source, said_of
from sae_core.figures import charts, digits, pictures
from sae_core.measure import geometry
from sae_core.measure.features import most_lift
from sae_core.measure.lists import by_lift
from sae_core.measure.spread import effective
from tests import made
from tests.shown import axes, said, shown

TEST, TRAIN = "mnist/test, n = 3,000", "mnist/train, n = 12,000"
BOTH = "mnist/train + scrambled, n = 24,000"
TESTED = "mnist/test + scrambled, n = 6,000"


def same(found: go.Figure, wanted: go.Figure) -> None:
    assert shown(found) == shown(wanted)


def each(source: made.Made) -> dict[str, partial[go.Figure]]:
    """Every figure of a report by its file name, ready to be drawn."""
    return {name: partial(build, source) for name, build in export.builders(source.report.name).items()}


# ---- documents 000 to 002


def test_figures_of_the_ensemble() -> None:
    s = made.ensemble([made.claim("MSE per pixel of the mean image, called so", 0.068, 0.012)])
    draw, a = each(s), s.report.arrays
    rows = s.tensors[ensemble_figures.ENSEMBLE]["W_enc"][0].T
    used = np.argsort(-a["frequency"], kind="stable")
    same(
        draw["encoder-rows"](),
        of_ensemble.encoder_rows(rows, np.arange(made.D), "the first by number", "weights of member 0"),
    )
    most = f"those most used on {TRAIN}"
    same(draw["encoder-rows-most-used"](), of_ensemble.encoder_rows(rows[used], used, most, "weights of member 0"))
    on = f"{TEST}; training: its first 10,000"
    curves = a["pearson_test"], a["pearson_train"]
    same(draw["pearson-by-epoch"](), of_ensemble.pearson_by_epoch(*curves, None, on, 0.97))
    same(draw["pearson-from-start"](), of_ensemble.pearson_by_epoch(*curves, a["initial_pearson"], on, 0.94))
    few = "member 0; mnist/test, n = 1,000"
    of = a["use_frequency"]
    top = np.argsort(-of, kind="stable")[:25]
    same(
        draw["most-frequent"](),
        charts.ranked(top, 100 * of[top], "The 25 most frequent features", "active on (% of the images)", few),
    )
    for key, name, reading in (
        ("", "use_mean_active", "when active"),
        ("-over-all", "use_mean_all", "over all images"),
    ):
        top = np.argsort(-a[name])[:25]
        on = f"mean activation {reading}; {few}"
        wanted = charts.ranked(top, a[name][top], "The 25 strongest features", f"mean activation {reading}", on)
        same(draw[f"strongest{key}"](), wanted)
        ranks = [np.argsort(np.argsort(v[of > 0])).astype(float) for v in (of, a[name])]
        rank = float(np.corrcoef(ranks[0], ranks[1])[0, 1])
        wanted = charts.frequency_against_strength(of, a[name], reading, rank, few)
        same(draw[f"frequency-strength{key}"](), wanted)
    same(draw["mean-codes"](), of_ensemble.mean_codes(a["class_means"].astype(np.float32), f"member 0; {TRAIN}"))
    same(draw["first-losses"](), of_ensemble.first_losses(0.068, a["initial_mse"], 0.012, TEST))
    same(draw["agreement"](), of_ensemble.agreement(a["mmcs_before"], a["mmcs_after"], a["pairs"], "weights"))
    about = f"after 77 steps each, mean of the members; Pearson on {TEST}"
    same(draw["consistency"](), of_ensemble.consistency(["mmcs", "codes"], a["consistency"], about))
    lines = {"a row that is the same everywhere": 100 / 784, "median": float(np.median(a["locality"]))}
    unit = "share of energy in the best 10×10 window"
    wanted = charts.histogram(
        a["locality"], "How local the features are", "weights of member 0, n = 30 features", unit, lines
    )
    same(draw["locality"](), wanted)
    ever = f"weights of member 0, n = 30 features, 28 ever active on {TRAIN}"
    unit = "cosine to the nearest other feature"
    wanted = charts.histogram(
        a["nearest_cosine"], "How redundant the features are", ever, unit, {"called redundant": 0.9}
    )
    same(draw["nearest"](), wanted)
    by_digit = charts.by_digit(
        a["pearson_by_digit"], "Pearson of each digit", "Pearson", f"member 0; {TEST}", zero=False
    )
    same(draw["pearson-by-digit"](), by_digit)


def test_maps_of_the_ensemble() -> None:
    s = made.ensemble()
    draw, a = each(s), s.report.arrays
    lifts = most_lift(a["class_rates"], np.round(a["frequency"] * 12_000), 12_000)
    for by, words in (("norm", "norm of the row"), ("variance", "variance of the row"), ("largest", "largest weight")):
        which = a[f"tsne_{by}_features"]
        on = f"weights of member 0, n = {len(which)}; use on {TRAIN}"
        wanted = charts.feature_map(a[f"tsne_{by}_xy"], which, a["frequency"][which], lifts[which], words, on)
        same(draw[f"tsne-{by}"](), wanted)


def test_key_features_of_the_ensemble() -> None:
    s = made.ensemble()
    draw, a = each(s), s.report.arrays
    means = [np.argsort(-a["class_means"][:, c])[:5] for c in range(10)]
    lifts = [order[:5] for order in by_lift(a["class_rates"], a["frequency"])]
    ways = {"by-mean": (means, "raw mean"), "by-lift": (lifts, "lift, of those on 5 % or more of its images")}
    for key, (lists, how) in ways.items():
        found, top = draw[f"key-features-{key}"](), np.concatenate(lists)
        groups = np.repeat(np.arange(10), 5)
        wanted = digits.key_feature_rates(top, groups, a["class_rates"][top], NAMES[:10], "mnist/train", 12_000)
        assert shown(found)[3:] == shown(wanted)[2:], "a title of its own, in three lines"
        assert said(found).split("<br>") == ["Key features of each digit", f"5 each by {how};", f"member 0; {TRAIN}"]


def test_images_and_codes_of_the_ensemble() -> None:
    s, x, on = made.ensemble(), made.IMAGES.x, "member 0; mnist/test"
    first = [9 - c for c in range(10)]
    _, x_hat, r = encoded(s, x[first])
    same(each(s)["reconstructions"](), of_ensemble.reconstructions(x[first], x_hat, r, on))
    for asked, number in (({}, 0), ({"index": 5}, 5), ({"index": 15}, 3)):
        acts, x_hat, r = (v[0] for v in encoded(s, x[number : number + 1]))
        wanted = of_ensemble.one_image(x[number], acts, x_hat, float(r), f"number {number}", on)
        same(each(s)["one-image"](**asked), wanted)


def encoded(s: made.Made, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes, reconstructions and the Pearson of each."""
    with torch.no_grad():
        out = s.sae("")(torch.tensor(x))
    x_hat = out.x_hat.numpy()
    return out.acts.numpy(), x_hat, np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(x, x_hat, strict=True)])


# ---- document 003


def test_figures_of_the_introduction() -> None:
    s = made.intro()
    draw, a = each(s), s.report.arrays
    curves = {"ReLU + L1": a["curve_relu_l1"], "BatchTopK": a["curve_batch_topk"]}
    same(draw["fvu-l0"](), of_intro.fvu_against_l0(curves, TEST))
    on = "ReLU + L1, weights, n = 3 rows each"
    same(draw["decoder-norms"](), of_intro.decoder_norms(a["decoder_norms_held"], a["decoder_norms_free"], on))
    on = "BatchTopK, k = 50 on average; mnist/test"
    same(draw["l0-of-images"](), of_intro.l0_of_images(a["l0_of_images"], on))
    wanted = charts.by_digit(a["l0_by_digit"], "Active latents by digit", "mean L0", on + ", n = 3,000")
    same(draw["l0-by-digit"](), wanted)
    for key, title, l1 in (("dense", "without", "= 0"), ("sparse", "with", "term")):
        rows = a[f"rows_{key}"].astype(np.float32)
        end = float(np.quantile(np.abs(rows), 0.995))
        on = f"ReLU with L1 {l1}; weights, n = 12 rows; one scale to ±{end:.2g}, which 0.5 % of the weights exceed"
        title = f"Decoder rows {title} sparsity"
        wanted = pictures.pictures(rows, 10, title, on, "weight", signed=True, scale=(-end, end))
        same(draw[f"decoder-rows-{key}"](), wanted)


# ---- document 004


def test_losses_by_epoch_of_document_4() -> None:
    targets = [f"phase 2, ρ = {rho:g}: validation loss" for rho in RHOS]
    claims = [
        made.claim(what, None, None, [i + 0.5, i + 0.25])
        for i, what in enumerate(["phase 1: x", *targets, "phase 3: y"])
    ]
    s = made.experiment3(claims)
    draw, a = each(s), s.report.arrays
    lines = {"here": a["accuracy"], "here, digits alone": a["accuracy_digits"]}
    wanted = of_hidden.loss_by_epoch(
        np.array([0.5, 0.25]), lines, "Phase 1: the classifier", "share of right classes", TESTED
    )
    same(draw["phase1"](), wanted)
    for i, rho in enumerate(RHOS, 1):
        lines, on = {"here": a[f"loss_rho{rho:g}"]}, f"ρ = {rho:g}; {TESTED}"
        wanted = of_hidden.loss_by_epoch(
            np.array([i + 0.5, i + 0.25]), lines, "Phase 2: the SAE", "validation loss", on
        )
        same(draw[f"rho{rho:g}-phase2"](), wanted)
    lines, claimed = {"here": a["loss_phase3"]}, np.array([3.5, 3.25])
    wanted = of_hidden.loss_by_epoch(claimed, lines, "Phase 3: the picture generator", "MSE per pixel", TESTED)
    same(draw["phase3"](), wanted)


READINGS = {"": ("share", "reconstruction alone"), "-notebook": ("notebook", "with the notebook’s constant")}


@pytest.mark.parametrize("rho", RHOS)
def test_importance_of_document_4(rho: float) -> None:
    s = made.experiment3()
    draw, a = each(s), {k.removeprefix(f"rho{rho:g}/"): v for k, v in s.report.arrays.items()}
    both = np.concatenate([a["share"], a["notebook"]])
    room = 0.03 * (both.max() - both.min())
    span = (float(both.min() - room), float(both.max() + room))
    for key, (name, reading) in READINGS.items():
        on = f"{reading}; ρ = {rho:g}; {BOTH}"
        wanted = of_hidden.importance(a[name][-1], "Importance of features, all classes", on)
        same(draw[f"rho{rho:g}-importance{key}"](), wanted)
        classes, title = [*NAMES, "all"], "Importance of features by class"
        wanted = of_hidden.importance_by_class(a[name], classes, span, title, on)
        same(draw[f"rho{rho:g}-importance-by-class{key}"](), wanted)
    for key, name in (("", "closed"), ("-notebook", "notebook")):
        on = f"importance: {READINGS[key][1]}; ρ = {rho:g}; {BOTH}"
        tops, shared = a[f"tops_{name}"], a[f"overlap_{name}"]
        lists = np.array([sum(f in top for top in tops[:11]) for f in range(made.D)])
        wanted = of_hidden.top_lists(tops, [*NAMES, "all"], lists, "The top 4 features of each class", on)
        same(draw[f"rho{rho:g}-top-lists{key}"](), wanted)
        mean = (shared.sum() - np.trace(shared)) / 110
        on = f"mean of each two {100 * mean:.0f} %; {on}"
        wanted = of_hidden.overlap(shared, NAMES, 30, "Top-30 features two classes share", on)
        same(draw[f"rho{rho:g}-overlap{key}"](), wanted)
    on = f"30 features; ρ = {rho:g}; {BOTH}"
    same(draw[f"rho{rho:g}-sharing"](), of_hidden.sharing(a["lists"], 11, "Shared and distinctive features", on))
    on, title = f"ρ = {rho:g}; {TEST}", "Read right from few features"
    wanted = of_hidden.kept_accuracy(a["counts"], a["kept_accuracy"], NAMES, title, on)
    same(draw[f"rho{rho:g}-kept-accuracy"](), wanted)


@pytest.mark.parametrize("rho", RHOS)
def test_geometry_of_document_4(rho: float) -> None:
    s = made.experiment3()
    draw, a = each(s), {k.removeprefix(f"rho{rho:g}/"): v for k, v in s.report.arrays.items()}
    union, everything = a["union_notebook"], np.arange(made.D)
    which = {
        "": (everything, "all 30 features"),
        "-top": (union, f"{len(union)} features, the top 3 of each class and of all"),
    }
    for top, (features, of) in which.items():
        for key, space in (("hidden", "in the hidden layer"), ("pictures", "as pictures")):
            cosines = geometry.cosines(a[f"alone_{key}"][features])
            wanted = of_hidden.cosine_matrix(
                cosines, features, f"Cosines of features {space}", f"{of}; ρ = {rho:g}; {BOTH}"
            )
            same(draw[f"rho{rho:g}-cosines-{key}{top}"](), wanted)
    classes = {
        f: [n for n, t in zip([*NAMES[:10], "scr.", "all"], a["tops_notebook"], strict=True) if f in t[:3]]
        for f in everything.tolist()
    }
    short = {f: ", ".join(n) if len(n) < 5 else f"{len(n)} classes" for f, n in classes.items()}
    assert (short[made.D - 1], short[made.D - 2]) == ("5 classes", "5, 6, 7, 8"), "few by name, many by number"
    plain = [f"feature {f}" for f in range(made.D)]
    hover = [f"feature {f}" + (f", top 3 of {short[f]}" if short[f] else "") for f in range(made.D)]
    honest, documented = "t-SNE of the distances", "t-SNE of rows of distances, as documented"
    tail = f"axes have no unit; ρ = {rho:g}; {BOTH}"
    for key, name, title in (("hidden", "hidden", "in the hidden layer"), ("pictures", "picture", "as pictures")):
        title = f"Map of features {title}"
        of = "all 30 features"
        wanted = charts.point_map(a[f"honest_map_{name}"], [""] * 30, hover, title, f"{honest}; {of}; {tail}")
        same(draw[f"rho{rho:g}-map-{key}"](), wanted)
        wanted = charts.point_map(a[f"map_{name}"], [""] * 30, hover, title, f"{documented}; {of}; {tail}")
        same(draw[f"rho{rho:g}-map-{key}-documented"](), wanted)
        of, labels = which["-top"][1], [f"{f} ({short[f]})" for f in union]
        on = f"{honest}; {of}; {tail}"
        wanted = charts.point_map(a[f"union_honest_map_{name}"], labels, [hover[f] for f in union], title, on)
        same(draw[f"rho{rho:g}-map-{key}-top"](), wanted)
    mixed = np.stack([a["map_picture"][:, 0], a["map_hidden"][:, 1]], 1)
    title, on = "Map with the axes of two maps", f"{documented}; all 30 features; {tail}"
    same(draw[f"rho{rho:g}-map-mixed-documented"](), charts.point_map(mixed, [""] * 30, hover, title, on))
    title, on = "Features as the pictures they make", f"{honest}; all 30 features; ρ = {rho:g}; {BOTH}"
    found = draw[f"rho{rho:g}-picture-map"]()
    same(found, pictures.picture_map(a["honest_map_picture"], a["alone_pictures"], plain, title, on, 0.07))
    assert (
        found.layout.images[7].source == pictures.png(a["alone_pictures"][7]) and found.layout.images[0].sizex == 0.07
    )
    on = f"{documented}; {which['-top'][1]}; ρ = {rho:g}; {BOTH}"
    found, shown_pictures = draw[f"rho{rho:g}-picture-map-top-documented"](), a["alone_pictures"][union]
    same(
        found, pictures.picture_map(a["union_map_picture"], shown_pictures, [plain[f] for f in union], title, on, 0.12)
    )
    assert found.layout.images[1].source == pictures.png(shown_pictures[1]) and found.layout.images[0].sizex == 0.12


@pytest.mark.parametrize("rho", RHOS)
def test_correlations_of_document_4(rho: float) -> None:
    s = made.experiment3()
    draw, a = each(s), {k.removeprefix(f"rho{rho:g}/"): v for k, v in s.report.arrays.items()}
    bias, painter = s.weights(f"exp3-kl-98-rho{rho:g}")["b_dec"], s.weights("exp3-generator")
    grey = expit(bias @ painter["W"] + painter["b"])
    readings = {
        "documented": "both triangles and the diagonal, as documented",
        "off-diagonal": "each pair once",
        "bias-free": "each pair once, without the shared bias",
    }
    for union, of in ((True, a["union_notebook"]), (False, np.arange(made.D))):
        count = f"{len(of)} features, the top 3 of each class and of all" if union else "all 30 features"
        for i, (reading, words) in enumerate(readings.items()):
            hidden, shown_pictures = a["alone_hidden"][of], a["alone_pictures"][of]
            if reading == "bias-free":
                hidden, shown_pictures = hidden - bias, shown_pictures - grey
            x, y = (_distances(rows, reading == "documented") for rows in (hidden, shown_pictures))
            r = float(a[f"correlations_{'union' if union else 'all'}"][i])
            wanted = of_hidden.distance_scatter(x, y, r, words, f"{count}; ρ = {rho:g}; {BOTH}")
            found = draw[f"rho{rho:g}-correlation-{reading}"](union=union)
            assert said(found) == said(wanted) and axes(found) == axes(wanted)
            for axis in "xy":
                np.testing.assert_allclose(found.data[0][axis], wanted.data[0][axis], atol=1e-6)


def _distances(rows: np.ndarray, twice: bool) -> np.ndarray:
    """1 − cosine of each two rows; `twice`: in both orders, and of each with itself."""
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    n = len(units)
    return np.array([1 - float(units[i] @ units[j]) for i in range(n) for j in range(n) if twice or i < j])


@pytest.mark.parametrize("rho", RHOS)
def test_pictures_of_classes_of_document_4(rho: float) -> None:
    s = made.experiment3()
    draw, a = each(s), {k.removeprefix(f"rho{rho:g}/"): v for k, v in s.report.arrays.items()}
    sae, painter, reader = (s.weights(n) for n in (f"exp3-kl-98-rho{rho:g}", "exp3-generator", "exp3-classifier"))

    def wanted(n: int, own: bool, values: np.ndarray, on: str) -> go.Figure:
        shown_pictures = []
        for c in range(11):
            acts = np.zeros(made.D)
            top = np.argsort(-values[c])[:n]
            acts[top] = a["mean_acts"][c if own else -1][top]
            hidden = acts @ sae["W_dec"] + sae["b_dec"]
            shown_pictures.append(expit(hidden @ painter["W"] + painter["b"]))
        of = np.stack(shown_pictures)
        hidden = np.maximum(np.tanh(of @ reader["W_in"] + reader["b_in"]), 0)
        read = softmax(hidden @ reader["W_out"] + reader["b_out"], axis=1)
        title = f"Each class from its top {n} feature" + ("s" if n > 1 else "")
        return of_hidden.class_pictures(of, NAMES, read, title, f"means over {on}; ρ = {rho:g}; {BOTH}")

    own, over_all = draw[f"rho{rho:g}-class-pictures-own"], draw[f"rho{rho:g}-class-pictures-documented"]
    on = "the class’s own images; lists reconstruction alone"
    same(own(n=1), wanted(1, True, a["increase"], on))
    same(own(n=3), wanted(3, True, a["increase"], on))
    same(over_all(n=2), wanted(2, False, a["notebook"], "all images; lists with the notebook’s constant"))
    assert said(own()).startswith("Each class from its top 30 features")


def test_both_targets_and_units_of_document_4() -> None:
    s = made.experiment3()
    draw, a = each(s), s.report.arrays
    means = {rho: a[f"rho{rho:g}/mean_acts"][-1] for rho in RHOS}
    same(draw["mean-activations"](), of_hidden.mean_activations(means, BOTH))
    needed = {
        (rho, words): effective(a[f"rho{rho:g}/{name}"])
        for rho in RHOS
        for name, words in (("notebook", "as documented"), ("share", "reconstruction alone"))
    }
    same(draw["spread"](), unit_drawing.spread(needed, [*NAMES, "all"], BOTH))
    of = {"neurons": "the 49 neurons", "rho0.1": "the 98 features, ρ = 0.1", "rho0.999": "the 98 features, ρ = 0.999"}
    for kind, words in of.items():
        unit, on = "neuron" if kind == "neurons" else "feature", f"{words}; {TESTED}"
        wanted = unit_drawing.responses(a[f"units/{kind}/classes"], NAMES, f"What each {unit} responds to", on)
        same(draw[f"responses-{kind}"](), wanted)
        top = float(a[f"units/{kind}/top"][0])
        wanted = unit_drawing.activations(a[f"units/{kind}/histogram"], top, f"Activations of each {unit}", on)
        same(draw[f"activations-{kind}"](), wanted)


# ---- where they come from


def test_every_figure_has_its_file() -> None:
    """So that none is left out of the tests above: a new one wants its own."""
    assert {name: len(export.builders(name)) for name in ("ensemble", "intro", "experiment3")} == {
        "ensemble": 23,
        "intro": 6,
        "experiment3": 10 + 2 * 29,
    }


def test_what_was_measured_is_said() -> None:
    s = made.ensemble([made.claim("first of all", 1, 2), made.claim("first", 3, 4)])
    assert (s.on(), s.on("train"), s.on(scrambled=True), s.on("train", True)) == (TEST, TRAIN, TESTED, BOTH)
    assert s.claimed("first of").documented == 1 and s.claimed("first").ours == 2
    assert said_of(made.IMAGES) == "mnist/test"


def test_without_mnist_the_embedded_digits_stand_in(tmp_path: Path) -> None:
    images = Source(made.ensemble().report, tmp_path).images()
    assert (images.name, images.split) == ("digits", "test")
    assert said_of(images) == "digits/test (embedded digits: MNIST is not here)"
