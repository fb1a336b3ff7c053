"""What the figures of the documents show, each of made data in which no two numbers are alike."""

from __future__ import annotations

from typing import Any

import numpy as np

from sae_core.documents.ensemble import drawing as ensemble
from sae_core.documents.hidden_layer import drawing as hidden
from sae_core.documents.hidden_layer import unit_drawing as units
from sae_core.documents.intro import drawing as intro
from tests.shown import axes, hover, of_trace, said, shows

SAID = "made/test, n = 12"
NAMES = ["cat", "dog", "cow"]


def cells(trace: Any, rows: slice, columns: slice) -> list[list[float]]:
    """A part of a heat map."""
    return [[float(z) for z in row[columns]] for row in trace.z[rows]]


# ---- documents 000 to 002


def test_originals_stand_over_their_reconstructions() -> None:
    x, x_hat = np.full((2, 784), 0.25), np.full((2, 784), 0.75)
    x[1], x_hat[1, 5], x_hat[0, 0] = 0.5, 1.5, -1
    found = ensemble.reconstructions(x, x_hat, np.array([0.9123, 0.8]), "made/test")
    assert said(found).split("<br>") == [
        "Images and their reconstructions",
        "above: images; below: reconstructions with Pearson over",
        "784 pixels; made/test, n = 2",
    ]
    heat, labels = found.data
    assert next(of_trace(heat)) == "heatmap ink, 0 to 1"
    above, below = 9, 9 + 28 + 2 + 9
    assert cells(heat, slice(above, above + 1), slice(0, 2)) == [[0.25, 0.25]]
    assert cells(heat, slice(above, above + 1), slice(30, 32)) == [[0.5, 0.5]]
    assert cells(heat, slice(below, below + 1), slice(0, 2)) == [[0, 0.75]], "clipped to 0"
    assert cells(heat, slice(below, below + 1), slice(34, 36)) == [[0.75, 1]], "clipped to 1"
    assert [(x, t) for x, y, t in zip(labels.x, labels.y, labels.text, strict=True) if y == below] == [
        (13.5, "0.912"),
        (43.5, "0.800"),
    ]
    assert not any(t for y, t in zip(labels.y, labels.text, strict=True) if y == above)


def test_encoder_rows() -> None:
    rows = np.tile(np.arange(1, 13.0)[:, None], (1, 4)) * [1, -1, 0.5, 0.25]
    found = ensemble.encoder_rows(rows, np.arange(12)[::-1] * 2, "the most used", "weights of member 0")
    heat, points = found.data
    assert said(found).replace("<br>", " ") == (
        "Encoder rows as pictures the most used; one scale to ±12, which 0.5 % of the weights exceed; weights of "
        "member 0, n = 12 rows"
    )
    assert next(of_trace(heat)) == "heatmap blue to red, -12 to 12, bar “weight”"
    assert cells(heat, slice(4, 6), slice(4, 6)) == [[12, -12], [6, 3]], "the twelfth: second line, second"
    assert [(x, y, hover(points, i)) for i, (x, y) in enumerate(zip(points.x, points.y, strict=True))][9:] == [
        (38, 2, "feature 4"),
        (2, 6, "feature 2"),
        (6, 6, "feature 0"),
    ]


def test_pearson_by_epoch() -> None:
    test, train = np.array([[0.91, 0.92], [0.93, 0.94]]), np.array([[0.81, 0.82], [0.83, 0.84]])
    shows(
        ensemble.pearson_by_epoch(test, train, np.array([0.11, 0.12]), SAID, 0.97),
        """
        Pearson by epoch
        mean over images; lines: test, crosses: training;
        made/test, n = 12; dashed: 0.97 claimed
        xaxis: epochs; 0 is before training
        yaxis: Pearson
        line at y 0.97: grey, dash
        a legend
        scatter lines+markers, 'member 0, test', blue, circle
          0, 0.11: member 0, test, epoch 0: 0.1100
          1, 0.91: member 0, test, epoch 1: 0.9100
          2, 0.93: member 0, test, epoch 2: 0.9300
        scatter markers, 'member 0, training', blue, x-thin, not in the legend
          1, 0.81: member 0, training, epoch 1: 0.8100
          2, 0.83: member 0, training, epoch 2: 0.8300
        scatter lines+markers, 'member 1, test', orange, circle
          0, 0.12: member 1, test, epoch 0: 0.1200
          1, 0.92: member 1, test, epoch 1: 0.9200
          2, 0.94: member 1, test, epoch 2: 0.9400
        scatter markers, 'member 1, training', orange, x-thin, not in the legend
          1, 0.82: member 1, training, epoch 1: 0.8200
          2, 0.84: member 1, training, epoch 2: 0.8400
        """,
    )
    plain = ensemble.pearson_by_epoch(test, train, None, SAID)
    assert axes(plain) == ["xaxis: epochs", "yaxis: Pearson", "a legend"] and said(plain).endswith(SAID)
    assert [list(t.x) for t in plain.data] == [[1, 2]] * 4 and not plain.layout.shapes


def test_one_image_and_its_code() -> None:
    x, x_hat, acts = np.arange(784) / 1000, 0.3 - np.arange(784) / 1000, np.array([0, 0.5, 0, 0.25, 0.125])
    found = ensemble.one_image(x, acts, x_hat, 0.9126, "number 3", "made/test")
    assert said(found).split("<br>") == ["One image and its code: number 3", "made/test, n = 1"]
    image, bars, code, back = found.data
    assert [a.text for a in found.layout.annotations] == [
        "the image",
        "its activations: 3/5",
        "its code, 3 a line",
        "reconstruction, Pearson 0.913",
    ]
    assert [(t.xaxis or "x", t.yaxis or "y") for t in found.data] == [
        ("x", "y"),
        ("x2", "y2"),
        ("x3", "y3"),
        ("x4", "y4"),
    ]
    np.testing.assert_array_equal(image.z, x.reshape(28, 28))
    np.testing.assert_array_equal(back.z, np.clip(x_hat, 0, 1).reshape(28, 28))
    assert [next(of_trace(t)) for t in (image, back)] == ["heatmap ink, 0 to 1"] * 2
    assert list(of_trace(bars)) == [
        "bar, blue",
        "  1, 0.5: feature 1: 0.500",
        "  3, 0.25: feature 3: 0.250",
        "  4, 0.125: feature 4: 0.125",
    ]
    assert list(of_trace(code)) == [
        "heatmap dark to yellow",
        "  0, 0: feature 0: 0.000",
        "  0, 1: feature 1: 0.500",
        "  0, 2: feature 2: 0.000",
        "  1, 0: feature 3: 0.250",
        "  1, 1: feature 4: 0.125",
    ]
    down = {key: found.layout[key].autorange for key in ("yaxis", "yaxis2", "yaxis3", "yaxis4")}
    assert down == {"yaxis": "reversed", "yaxis2": None, "yaxis3": "reversed", "yaxis4": "reversed"}
    assert found.layout.xaxis2.title.text == "feature" and tuple(found.layout.xaxis2.range) == (-10, 15)
    signed = ensemble.one_image(x, -acts, x_hat, 0.5, "", "").data[2]
    assert next(of_trace(signed)) == "heatmap blue to red, middle 0"


def test_mean_codes_of_digits() -> None:
    means = np.array([[1, 10], [2, 20], [3, 30], [4, 40], [5, 50.0]])
    found = ensemble.mean_codes(means, "made/train, n = 12")
    heat, labels = found.data
    assert said(found).replace("<br>", " ") == (
        "Mean code of each digit mean activation over each digit's images; feature 0 top left, 3 a line; made/train, "
        "n = 12"
    )
    assert list(labels.text) == ["0", "1"] and next(of_trace(heat)).endswith("0 to 50, bar “mean activation”")
    assert cells(heat, slice(11, 12), slice(0, 3)) == [[1, 2, 3]]
    assert cells(heat, slice(12, 13), slice(0, 2)) == [[4, 5]]
    assert cells(heat, slice(11, 12), slice(5, 8)) == [[10, 20, 30]]
    assert next(of_trace(ensemble.mean_codes(-means, "").data[0])).startswith("heatmap blue to red, -50 to 50")
    below_one = ensemble.mean_codes(means / 1000, "").data[0]
    assert next(of_trace(below_one)).partition(",")[0] == next(of_trace(found.data[0])).partition(",")[0]


def test_first_losses() -> None:
    shows(
        ensemble.first_losses(0.067, np.array([0.081, 0.083]), 0.012, SAID),
        """
        Where an SAE starts and ends
        made/test, n = 12
        xaxis: MSE per pixel, from 0
        yaxis: no name, downwards
        bar
          0.067, mean image: mean image: 0.0670; “0.0670”; orange
          0.081, member 0, untrained: member 0, untrained: 0.0810; “0.0810”; sky
          0.083, member 1, untrained: member 1, untrained: 0.0830; “0.0830”; sky
          0.012, members, trained: members, trained: 0.0120; “0.0120”; blue
        """,
    )


def test_agreement_of_members() -> None:
    before, after = np.array([[0.11, 0.12], [0.21, 0.22]]), np.array([[0.71, 0.72], [0.81, 0.82]])
    shows(
        ensemble.agreement(before, after, np.array([[0, 1], [0, 2]]), "weights"),
        """
        How alike the members are (MMCS)
        mean cosine of partners, for each two members; weights,
        n = 2 pairs
        xaxis: members, category
        yaxis: MMCS, from 0
        a legend
        scatter markers, 'matching, untrained', blue, circle-open
          0–1, 0.11: members 0–1, matching, untrained: 0.1100
          0–2, 0.12: members 0–2, matching, untrained: 0.1200
        scatter markers, 'row-max, untrained', orange, circle-open
          0–1, 0.21: members 0–1, row-max, untrained: 0.2100
          0–2, 0.22: members 0–2, row-max, untrained: 0.2200
        scatter markers, 'matching, trained', blue, circle
          0–1, 0.71: members 0–1, matching, trained: 0.7100
          0–2, 0.72: members 0–2, matching, trained: 0.7200
        scatter markers, 'row-max, trained', orange, circle
          0–1, 0.81: members 0–1, row-max, trained: 0.8100
          0–2, 0.82: members 0–2, row-max, trained: 0.8200
        """,
    )


def test_readings_of_the_consistency_loss() -> None:
    found = np.array([[0.91, 0.52, 0.63, 300], [0.94, 0.45, 0.76, 200]])
    shows(
        ensemble.consistency(["mmcs", "codes"], found, SAID),
        """
        Readings of the consistency loss
        made/test, n = 12
        xaxis: reading of the loss, category
        yaxis: mean of the members, from 0
        bars: group
        a legend
        bar, 'Pearson', blue
          mmcs, 0.91: mmcs: Pearson 0.9100
          codes, 0.94: codes: Pearson 0.9400
        bar, 'MMCS, matching', orange
          mmcs, 0.52: mmcs: MMCS, matching 0.5200
          codes, 0.45: codes: MMCS, matching 0.4500
        bar, 'MMCS, row-max', green
          mmcs, 0.63: mmcs: MMCS, row-max 0.6300
          codes, 0.76: codes: MMCS, row-max 0.7600
        """,
    )


# ---- document 003


def test_fvu_against_l0() -> None:
    curves = {
        "ReLU + L1": np.array([[49, 0.13, 0.95, 1], [98, 0.08, 0.97, 2]]),
        "BatchTopK": np.array([[50, 0.05, 0.98, 3.0]]),
    }
    shows(
        intro.fvu_against_l0(curves, SAID),
        """
        Sparsity against fidelity
        lower and further left is better; made/test, n = 12
        xaxis: L0: active latents of an image, from 0
        yaxis: FVU: share of the variance left over, from 0
        a legend
        scatter lines+markers, 'ReLU + L1', orange, diamond
          49, 0.13: ReLU + L1: L0 49.0, FVU 0.1300, Pearson 0.9500, dead 1
          98, 0.08: ReLU + L1: L0 98.0, FVU 0.0800, Pearson 0.9700, dead 2
        scatter lines+markers, 'BatchTopK', blue, circle
          50, 0.05: BatchTopK: L0 50.0, FVU 0.0500, Pearson 0.9800, dead 3
        """,
    )


def test_lengths_of_decoder_rows() -> None:
    shows(
        intro.decoder_norms(np.array([1.0, 1, 1]), np.array([2.0, 6, 100]), SAID),
        """
        Length of the decoder's rows
        made/test, n = 12
        xaxis: length of a row (L2 norm)
        yaxis: rows
        bars: overlay
        a legend
        bar, 'held: median 1.00', blue
          0.85, 3: held: 3 rows of about 0.85
        bar, 'free: median 6.00', orange
          2.55, 1: free: 1 rows of about 2.55
          5.95, 1: free: 1 rows of about 5.95
          99.45, 1: free: 1 rows of about 99.45
        """,
    )


def test_active_latents_of_images() -> None:
    shows(
        intro.l0_of_images(np.array([0, 3, 1, 0, 4]), "made/test"),
        """
        Active latents of an image
        n = 8; dashed: the mean, 2.6; made/test
        xaxis: L0
        yaxis: images
        line at x 2.625: orange, dash
        bar, blue
          0, 0: 0 images with 0 active latents
          1, 3: 3 images with 1 active latents
          2, 1: 1 images with 2 active latents
          3, 0: 0 images with 3 active latents
          4, 4: 4 images with 4 active latents
        """,
    )


# ---- document 004


def test_a_documents_numbers_beside_ours() -> None:
    lines = {"here": np.array([0.7, 0.8]), "here, digits alone": np.array([0.5, 0.6])}
    shows(
        hidden.loss_by_epoch(np.array([0.9, 0.95]), lines, "Phase", "share", SAID),
        """
        Phase
        made/test, n = 12
        xaxis: epoch
        yaxis: share
        a legend
        scatter lines+markers, 'claimed', grey, dash
          1, 0.9: claimed, epoch 1: 0.9000
          2, 0.95: claimed, epoch 2: 0.9500
        scatter lines+markers, 'here', blue
          1, 0.7: here, epoch 1: 0.7000
          2, 0.8: here, epoch 2: 0.8000
        scatter lines+markers, 'here, digits alone', orange
          1, 0.5: here, digits alone, epoch 1: 0.5000
          2, 0.6: here, digits alone, epoch 2: 0.6000
        """,
    )


def test_importance_of_features() -> None:
    shows(
        hidden.importance(np.array([0.0, 0.1, 0.2, 0.7]), "Importance", "made/train, n = 12"),
        """
        Importance
        4 features; dashed: 1/4 = 0.2500, dotted: 90th percentile,
        0.5500; made/train, n = 12
        xaxis: share of importance
        yaxis: features
        line at x 0.25: orange, dash
        line at x 0.55: green, dot
        bar, blue
          0.0035, 1: 1 features with a share of about 0.0035
          0.1015, 1: 1 features with a share of about 0.1015
          0.1995, 1: 1 features with a share of about 0.1995
          0.6965, 1: 1 features with a share of about 0.6965
        """,
    )


def test_importance_by_class() -> None:
    shares = np.array([[0.0, 0.1, 0.2, 0.7], [0.25, 0.15, 0.55, 0.05], [0.3, 0.3, 0.3, 0.1]])
    found = hidden.importance_by_class(shares, ["cat", "dog", "all"], (-0.02, 0.72), "By class", "made/train, n = 12")
    shows(
        found,
        """
        By class
        4 features each, 100 bins; across: share of importance,
        up: features; dashed: 1/4, dotted: 90th percentile;
        made/train, n = 12
        xaxis: no name, -0.02 to 0.72
        xaxis2: no name, -0.02 to 0.72
        xaxis3: no name, -0.02 to 0.72
        yaxis: no name
        yaxis2: no name
        yaxis3: no name
        line at x 0.25 of x: orange, dash
        line at x 0.55 of x: green, dot
        line at x 0.25 of x2: orange, dash
        line at x 0.46 of x2: green, dot
        line at x 0.25 of x3: orange, dash
        line at x 0.3 of x3: green, dot
        panel: cat
        panel: dog
        panel: all
        bar, blue
          0.0035, 1: cat: 1 features with a share of about 0.0035
          0.1015, 1: cat: 1 features with a share of about 0.1015
          0.1995, 1: cat: 1 features with a share of about 0.1995
          0.6965, 1: cat: 1 features with a share of about 0.6965
        bar, blue
          0.0525, 1: dog: 1 features with a share of about 0.0525
          0.1475, 1: dog: 1 features with a share of about 0.1475
          0.2475, 1: dog: 1 features with a share of about 0.2475
          0.5475, 1: dog: 1 features with a share of about 0.5475
        bar, blue
          0.101, 1: all: 1 features with a share of about 0.1010
          0.299, 3: all: 3 features with a share of about 0.2990
        """,
    )


def test_cosines_of_features() -> None:
    cosines = np.array([[1, 0.2, -0.3], [0.4, 1, 0.5], [0.6, 0.7, 1]])
    shows(
        hidden.cosine_matrix(cosines, np.array([8, 5, 7]), "Cosines", "3 features"),
        """
        Cosines
        3 features
        xaxis: feature, category
        yaxis: feature, category, downwards
        heatmap dark to yellow, -0.3 to 1, bar “cosine”
          8, 8: features 8 and 8: 1.000
          8, 5: features 8 and 5: 0.200
          8, 7: features 8 and 7: -0.300
          5, 8: features 5 and 8: 0.400
          5, 5: features 5 and 5: 1.000
          5, 7: features 5 and 7: 0.500
          7, 8: features 7 and 8: 0.600
          7, 5: features 7 and 5: 0.700
          7, 7: features 7 and 7: 1.000
        """,
    )
    assert hidden.cosine_matrix(np.abs(cosines), np.array([8, 5, 7]), "", "").data[0].zmin == 0


def test_distances_in_two_spaces() -> None:
    x, y = np.array([0.1, 0.2, 0.3]), np.array([0.9, 0.6, 0.7])
    shows(
        hidden.distance_scatter(x, y, -0.6547, "each pair once", "made/train, n = 12"),
        """
        Hidden against picture distance: r = -0.655
        3 pairs: each pair once; made/train, n = 12
        xaxis: cosine distance in the hidden layer, from 0
        yaxis: cosine distance of the pictures, from 0
        scatter markers, blue
          0.1, 0.9: hidden 0.100, pictures 0.900
          0.2, 0.6: hidden 0.200, pictures 0.600
          0.3, 0.7: hidden 0.300, pictures 0.700
        """,
    )


def test_pictures_of_classes_and_what_is_read_in_them() -> None:
    shown_pictures = np.stack([np.full(4, 0.25), np.full(4, 0.5), np.full(4, 0.75)])
    probabilities = np.array([[0.1, 0.7, 0.2], [0.0, 0.96, 0.04], [0.6, 0.1, 0.3]])
    found = hidden.class_pictures(shown_pictures, ["0", "1", "scrambled"], probabilities, "Classes", "n = 12")
    heat, labels = found.data
    assert list(labels.text) == ["<b>0</b> → 1, 70 %", "<b>1</b> → 1, 96 %", "<b>scra.</b> → 0, 60 %"]
    assert next(of_trace(heat)) == "heatmap ink, 0 to 1"
    assert [heat.z[7][4 * i] for i in range(3)] == [0.25, 0.5, 0.75]
    assert said(found) == "Classes<br>over each: its class → what the classifier reads; n = 12"


def test_top_lists() -> None:
    tops, lists = np.array([[3, 1], [3, 0], [0, 3]]), np.array([1, 1, 0, 2])
    shows(
        hidden.top_lists(tops, ["cat", "dog", "all"], lists, "Lists", "made/train, n = 12"),
        """
        Lists
        cells: feature numbers; made/train, n = 12
        xaxis: no name, category
        yaxis: rank, downwards
        heatmap dark to yellow, 0 to 2, bar “in how many classes’ lists”
          1, cat: rank 1 for cat: feature 3, in 2 lists; “3”
          1, dog: rank 1 for dog: feature 3, in 2 lists; “3”
          1, all: rank 1 for all: feature 0, in 1 lists; “0”
          2, cat: rank 2 for cat: feature 1, in 1 lists; “1”
          2, dog: rank 2 for dog: feature 0, in 1 lists; “0”
          2, all: rank 2 for all: feature 3, in 2 lists; “3”
        """,
    )


def test_overlap_of_lists() -> None:
    shares = np.array([[1, 0.2, 0.3], [0.4, 1, 0.5], [0.6, 0.7, 1]])
    shows(
        hidden.overlap(shares, NAMES, 30, "Shared", "made/train, n = 12"),
        """
        Shared
        made/train, n = 12
        xaxis: no name, category
        yaxis: no name, category, downwards
        heatmap dark to yellow, 0 to 100, bar “shared of 30 (%)”
          cat, dog: cat and dog: 20 % shared; “20”
          cat, cow: cat and cow: 30 % shared; “30”
          dog, cat: dog and cat: 40 % shared; “40”
          dog, cow: dog and cow: 50 % shared; “50”
          cow, cat: cow and cat: 60 % shared; “60”
          cow, dog: cow and dog: 70 % shared; “70”
        """,
    )
    assert shares[0, 0] == 1, "what is handed over stays as it was"


def test_shared_and_distinctive_features() -> None:
    lists = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 3, 3])
    shows(
        hidden.sharing(lists, 3, "Sharing", "11 features"),
        """
        Sharing
        orange: distinctive, in one list only; grey: in none; 11
        features
        xaxis: in how many of the 3 lists
        yaxis: features
        bar
          0, 5: 5 features are in 0 lists; grey
          1, 3: 3 features are in 1 lists; orange
          2, 1: 1 features are in 2 lists; blue
          3, 2: 2 features are in 3 lists; blue
        """,
    )


def test_right_from_few_features() -> None:
    kept = np.arange(2 * 2 * 11).reshape(2, 2, 11) / 100
    found = hidden.kept_accuracy(np.array([1, 98]), kept, [*map(str, range(10)), "scrambled"], "Few", SAID)
    assert [*said(found).split("<br>"), *axes(found)] == [
        "Few",
        "of each image only its class’s first n features are kept;",
        "thin: one digit each; made/test, n = 12",
        "xaxis: features kept, log, at 1: 1, at 98: 98",
        "yaxis: read right (%), -2 to 102",
        "a legend",
    ]
    assert [line for t in (found.data[0], found.data[10], found.data[14], found.data[21]) for line in of_trace(t)] == [
        "scatter lines, blue, not in the legend",
        "  1, 0: 0, hidden layer, 1 features: 0.0 %",
        "  98, 11: 0, hidden layer, 98 features: 11.0 %",
        "scatter lines+markers, 'hidden layer: mean of the digits', blue",
        "  1, 4.5: digits, hidden layer, 1 features: 4.5 %",
        "  98, 15.5: digits, hidden layer, 98 features: 15.5 %",
        "scatter lines, orange, not in the legend",
        "  1, 25: 3, generated picture, 1 features: 25.0 %",
        "  98, 36: 3, generated picture, 98 features: 36.0 %",
        "scatter lines+markers, 'generated picture: mean of the digits', orange",
        "  1, 26.5: digits, generated picture, 1 features: 26.5 %",
        "  98, 37.5: digits, generated picture, 98 features: 37.5 %",
    ]


def test_mean_activations_of_two_targets() -> None:
    by_rho = {0.1: np.array([0.25, 0.5, 0.0]), 0.999: np.array([0.75, 1.0, 0.875])}
    shows(
        hidden.mean_activations(by_rho, "made/train, n = 12"),
        """
        ρ is a target for the mean activation
        features from the most to the least active; dashed: the
        targets; made/train, n = 12
        xaxis: features, sorted
        yaxis: mean activation, from 0
        line at y 0.1: blue, dash
        line at y 0.999: orange, dash
        a legend
        scatter lines, 'ρ = 0.1: mean 0.250', blue
          0, 0.5: ρ = 0.1, feature 1: 0.500
          1, 0.25: ρ = 0.1, feature 0: 0.250
          2, 0: ρ = 0.1, feature 2: 0.000
        scatter lines, 'ρ = 0.999: mean 0.875', orange
          0, 1: ρ = 0.999, feature 1: 1.000
          1, 0.875: ρ = 0.999, feature 2: 0.875
          2, 0.75: ρ = 0.999, feature 0: 0.750
        """,
    )


def test_responses_of_units() -> None:
    means = np.array([[1, 1, 2.0], [0, 0, 0], [0, 3, 0], [1, 9, 0]])
    shows(
        units.responses(means, NAMES, "Responses", "the 4 neurons"),
        """
        Responses
        2 of 4 respond to fewer than two classes, 1 never active;
        the most selective on top; the 4 neurons
        xaxis: class, category
        yaxis: rank, downwards
        heatmap dark to yellow, 0 to 100, bar “share of its activity (%)”
          1, cat: unit 2: 0 % of its activity for cat; spread as over 1.0 classes
          1, dog: unit 2: 100 % of its activity for dog; spread as over 1.0 classes
          1, cow: unit 2: 0 % of its activity for cow; spread as over 1.0 classes
          2, cat: unit 3: 10 % of its activity for cat; spread as over 1.4 classes
          2, dog: unit 3: 90 % of its activity for dog; spread as over 1.4 classes
          2, cow: unit 3: 0 % of its activity for cow; spread as over 1.4 classes
          3, cat: unit 0: 25 % of its activity for cat; spread as over 2.8 classes
          3, dog: unit 0: 25 % of its activity for dog; spread as over 2.8 classes
          3, cow: unit 0: 50 % of its activity for cow; spread as over 2.8 classes
        """,
    )
    assert "never active" not in said(units.responses(means[[0, 2]], NAMES, "", ""))


def test_activations_of_units() -> None:
    shares = np.array([[0.5, 0.4, 0.1, 0], [0.75, 0.05, 0.2, 0]])
    shows(
        units.activations(shares, 3.0, "Activations", "the 2 neurons"),
        """
        Activations
        a row is a histogram; left column: exactly 0, 62 % on
        average; the most often silent on top; the 2 neurons
        xaxis: activation, at -1: 0, at 0: 0.5, at 1: 1.5, at 2: 2.5
        yaxis: rank, downwards
        heatmap dark to yellow, -2 to 2, bar “% of the images”, at -2: 0.01, at -1: 0.1, at 0: 1, at 1: 10, at 2: 100
          1, -1: unit 1, activation exactly 0: 75 % of the images; 1.87506
          1, 0: unit 1, activation 0.5: 5 % of the images; 0.69897
          1, 1: unit 1, activation 1.5: 20 % of the images; 1.30103
          2, -1: unit 0, activation exactly 0: 50 % of the images; 1.69897
          2, 0: unit 0, activation 0.5: 40 % of the images; 1.60206
          2, 1: unit 0, activation 1.5: 10 % of the images; 1
        """,
    )


def test_how_many_features_a_class_needs() -> None:
    found = {
        (0.1, "as documented"): np.array([87, 86]),
        (0.1, "reconstruction alone"): np.array([44, 43]),
        (0.999, "as documented"): np.array([81, 80]),
        (0.999, "reconstruction alone"): np.array([72, 71]),
    }
    shows(
        units.spread(found, ["cat", "all"], "made/train, n = 12"),
        """
        How many features a class needs
        features that count alike: exp of the entropy of
        importance shares, of 98; made/train, n = 12
        xaxis: class, category
        yaxis: features, from 0
        a legend
        scatter markers, 'ρ = 0.1, as documented', blue, circle-open
          cat, 87: cat, ρ = 0.1, as documented: 87 features
          all, 86: all, ρ = 0.1, as documented: 86 features
        scatter markers, 'ρ = 0.1, reconstruction alone', blue, circle
          cat, 44: cat, ρ = 0.1, reconstruction alone: 44 features
          all, 43: all, ρ = 0.1, reconstruction alone: 43 features
        scatter markers, 'ρ = 0.999, as documented', orange, circle-open
          cat, 81: cat, ρ = 0.999, as documented: 81 features
          all, 80: all, ρ = 0.999, as documented: 80 features
        scatter markers, 'ρ = 0.999, reconstruction alone', orange, circle
          cat, 72: cat, ρ = 0.999, reconstruction alone: 72 features
          all, 71: all, ρ = 0.999, reconstruction alone: 71 features
        """,
    )
