"""What the figures show, each of made data in which no two numbers are alike."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from sae_core.figures import charts, digits, pictures, steering
from sae_core.figures.style import styled
from tests.shown import axes, hover, of_trace, said, shown, shows

NAMES = ["cat", "dog", "cow"]


def test_ranked_features_keep_their_order() -> None:
    shows(
        charts.ranked(np.array([7, 3, 8]), np.array([0.5, 0.25, 0.75]), "Most", "mean activation", "made/test, n = 12"),
        """
        Most
        made/test, n = 12
        xaxis: feature, category
        yaxis: mean activation, from 0
        bar, blue
          #7, 0.5: feature #7: 0.5 mean activation
          #3, 0.25: feature #3: 0.25 mean activation
          #8, 0.75: feature #8: 0.75 mean activation
        """,
    )


def test_frequency_against_strength() -> None:
    strength = np.array([2.0, 0.0, 4.0])
    shows(
        charts.frequency_against_strength(np.array([1, 0, 0.25]), strength, "when active", -0.75, "made/test, n = 12"),
        """
        Frequency against strength
        2 features, dead ones left out; their rank correlation
        -0.75; made/test, n = 12
        xaxis: active on (% of the images), log
        yaxis: mean activation when active
        scatter markers, blue
          100, 2: feature 0: on 100 %, 2
          25, 4: feature 2: on 25 %, 4
        """,
    )


def test_a_map_of_features() -> None:
    xy, frequency = np.array([[1.0, 2], [3, 4], [5, 6], [7, 8]]), np.array([0.01, 0, 1, 0.125])
    digit = np.array([7, -1, -1, 0])
    shows(
        charts.feature_map(xy, np.array([9, 4, 6, 5]), frequency, digit, "norm of the row", "made/train, n = 100"),
        """
        t-SNE of the features
        the 4 first by norm of the row, 1 of them never active
        (crosses); standardised encoder rows, perplexity 30; axes
        have no unit; made/train, n = 100
        xaxis: hidden
        yaxis: hidden
        scatter markers
        dark to yellow, bar “active on (%)”, at -5: 0.001, at -4: 0.01, at -3: 0.1, at -2: 1, at -1: 10, at 0: 100
          1, 2: feature 9: on 1 %, most lift for 7; -2; circle
          3, 4: feature 4: never active; -5; x-thin-open
          5, 6: feature 6: on 100 %, on too few images for a lift; 0; circle
          7, 8: feature 5: on 12.5 %, most lift for 0; -0.90309; circle
        """,
    )


def test_a_histogram_and_its_lines() -> None:
    values = np.array([0.0, 1, 1, 40])
    shows(
        charts.histogram(values, "Cosines", "n = 4", "cosine", {"called alike": 20, "median": 1}),
        """
        Cosines
        n = 4; dashed: called alike, 20; dashed: median, 1
        xaxis: cosine
        yaxis: features
        line at x 20: orange, dash
        line at x 1: orange, dash
        bar, blue
          0.5, 1: 1 features at about 0.5
          1.5, 2: 2 features at about 1.5
          39.5, 1: 1 features at about 39.5
        """,
    )
    found = charts.histogram(np.array([3.0, 3.0]), "Alike", "n = 2", "cosine", what="rows")
    assert said(found) == "Alike<br>n = 2" and axes(found) == ["xaxis: cosine", "yaxis: rows"]
    assert found.data[0].x[np.argmax(found.data[0].y)] == pytest.approx(3, abs=0.02), "of one value, around it"
    assert hover(found.data[0], int(np.argmax(found.data[0].y))).startswith("2 rows at about 3")


def test_a_histogram_of_one_value_has_it_in_the_middle() -> None:
    (bars,) = charts.histogram(np.full(3, 2.0), "Title", "made/test, n = 3", "unit").data
    assert len(bars.x) == 40 and sum(bars.y) == 3
    np.testing.assert_allclose([bars.x[0], bars.x[-1]], [1.5 + 1 / 80, 2.5 - 1 / 80])
    np.testing.assert_allclose(bars.width, 1 / 40)


def test_the_height_of_a_figure_is_its_plots_and_its_heads() -> None:
    one = styled("Title", "n = 3", 100)
    assert (one["height"], one["margin"]["t"], one["title"]["y"]) == (168, 68, 1 - 12 / 168)
    two = styled("Title", "word " * 20, 100, above=30)
    assert (two["height"], two["margin"]["t"], two["title"]["y"]) == (214, 114, 1 - 12 / 214)


def test_values_by_digit() -> None:
    shows(
        charts.by_digit(np.array([3.0, 1, 2]), "Active", "mean L0", "made/test, n = 5"),
        """
        Active
        made/test, n = 5
        xaxis: digit, category
        yaxis: mean L0
        bar, blue
          0, 3: 0: 3 mean L0
          1, 1: 1: 1 mean L0
          2, 2: 2: 2 mean L0
        """,
    )
    (points,) = charts.by_digit(np.array([3.0, 1]), "Pearson", "Pearson", "n = 5", zero=False).data
    assert list(of_trace(points)) == ["scatter markers, blue", "  0, 3: 0: 3 Pearson", "  1, 1: 1: 1 Pearson"]


def test_a_map_with_labels() -> None:
    xy = np.array([[0.0, 10], [4, 30], [1, 20]])
    found = charts.point_map(xy, ["a", "b", "c"], ["first", "second", "third"], "Map", "n = 3")
    shows(
        found,
        """
        Map
        n = 3
        xaxis: hidden, -0.6 to 4.6
        yaxis: hidden, 7 to 33
        scatter markers+text, blue
          0, 10: first; “a”
          4, 30: second; “b”
          1, 20: third; “c”
        """,
    )
    assert list(found.data[0].textposition) == ["top center", "bottom center", "top center"]
    assert list(charts.point_map(xy[:2], "ab", "AB", "", "").data[0].textposition) == ["top center", "bottom center"]


def test_how_often_a_feature_is_active_by_class() -> None:
    rates, of = np.array([0.5, 1, 0.25]), np.array([2, 30, 1000])
    shows(
        charts.class_rates(5, rates, of, NAMES, 0.125, "made/test"),
        """
        How often feature 5 is active
        made/test, n = 1,032; line: all images, 12.5 %
        xaxis: class, category
        yaxis: share of its images (%), from 0
        line at y 12.5: orange, dash
        bar, blue
          cat, 50: active on 50 % of the 2 images of cat
          dog, 100: active on 100 % of the 30 images of dog
          cow, 25: active on 25 % of the 1,000 images of cow
        """,
    )
    assert "all images, 100 %" in said(charts.class_rates(5, rates, of, NAMES, 1.0, "made/test"))
    assert list(charts.class_rates(5, rates[:2], of[:2], NAMES, 1, "made/test").data[0].x) == ["cat", "dog"]


def test_how_many_features_are_active_how_often() -> None:
    frequency = np.array([0, 0.001, 0.02, 0.025, 1.0])
    shows(
        charts.frequencies(frequency, 0.003, "3 in use, 1 rare and 1 dead", "made/test", 1000),
        """
        How often features are active
        made/test, n = 1,000; 3 in use, 1 rare and 1 dead; dashed: 0.3 %
        xaxis: active on (% of the images), at -3: 0.1, at -2: 1, at -1: 10, at 0: 100
        yaxis: features, from 0
        line at x -2.52288: orange, dash
        bar, blue
          -2.875, 1: 1 features on 0.1 to 0.178 %
          -1.625, 2: 2 features on 1.78 to 3.16 %
          -0.125, 1: 1 features on 56.2 to 100 %
        """,
    )


# ---- classes


def test_the_largest_of_a_mean_code() -> None:
    features, means, rates = np.array([9, 2]), np.array([0.5, 0.25]), np.array([0.75, 1.0])
    shows(
        digits.mean_code_bars(features, means, rates, "cat", "made/train", 1234),
        """
        Mean code of the cats
        the 2 features with the largest mean; made/train, n = 1,234
        xaxis: feature, category
        yaxis: mean activation, from 0
        bar, blue
          #9, 0.5: feature #9: mean 0.500, active on 75 % of the cats
          #2, 0.25: feature #2: mean 0.250, active on 100 % of the cats
        """,
    )


def test_a_mean_code_as_a_map() -> None:
    shows(
        digits.mean_code_map(np.array([0, 0.5, 0.25, 1, 2]), "cat", "made/train", 1234),
        """
        Mean code of the cats, as a map
        feature 0 top left, 3 a line; made/train, n = 1,234
        xaxis: hidden
        yaxis: hidden, downwards
        heatmap dark to yellow, from 0, bar “mean activation”
          0, 0: feature 0: mean 0.000
          0, 1: feature 1: mean 0.500
          0, 2: feature 2: mean 0.250
          1, 0: feature 3: mean 1.000
          1, 1: feature 4: mean 2.000
        """,
    )
    signed = digits.mean_code_map(np.array([-1, 0.5]), "cat", "made/train", 1234).data[0]
    assert next(of_trace(signed)) == "heatmap blue to red, middle 0, bar “mean activation”"


def test_how_often_classes_use_key_features() -> None:
    features, groups = np.array([8, 5, 7]), np.array([0, 0, 2])
    rates = np.array([[0.9, 0.1, 0.2], [0.8, 0.3, 0.4], [0.05, 0.15, 1.0]])
    shows(
        digits.key_feature_rates(features, groups, rates, NAMES, "made/train", 1234),
        """
        How often digits use key features
        3 key features by digit; made/train, n = 1,234
        xaxis: key features of, at 0.5: cat, at 2: cow
        yaxis: images of, category, downwards
        line at x 1.5: white, None
        heatmap dark to yellow, from 0, bar “share of its images (%)”
          cat, 0: feature 8: active on 90 % of the cats
          cat, 1: feature 5: active on 80 % of the cats
          cat, 2: feature 7: active on 5 % of the cats
          dog, 0: feature 8: active on 10 % of the dogs
          dog, 1: feature 5: active on 30 % of the dogs
          dog, 2: feature 7: active on 15 % of the dogs
          cow, 0: feature 8: active on 20 % of the cows
          cow, 1: feature 5: active on 40 % of the cows
          cow, 2: feature 7: active on 100 % of the cows
        """,
    )


def test_cosines_of_classes_stand_in_their_cells() -> None:
    cosines = np.array([[1, 0.2, 0.3], [0.4, 1, 0.5], [0.6, 0.7, 1]])
    found = digits.code_cosines(cosines, NAMES, "made/train", 1234)
    shows(
        found,
        """
        How alike the mean codes are
        cosine of each two; made/train, n = 1,234
        xaxis: no name, category
        yaxis: no name, category, downwards
        heatmap dark to yellow, 0.2 to 1, bar “cosine”
          cat, cat: mean codes of cat and cat: cosine 1.000
          cat, dog: mean codes of cat and dog: cosine 0.200
          cat, cow: mean codes of cat and cow: cosine 0.300
          dog, cat: mean codes of dog and cat: cosine 0.400
          dog, dog: mean codes of dog and dog: cosine 1.000
          dog, cow: mean codes of dog and cow: cosine 0.500
          cow, cat: mean codes of cow and cat: cosine 0.600
          cow, dog: mean codes of cow and dog: cosine 0.700
          cow, cow: mean codes of cow and cow: cosine 1.000
        scatter text
          cat, cat: “1.00”
          dog, cat: “0.20”
          cow, cat: “0.30”
          cat, dog: “0.40”
          dog, dog: “1.00”
          cow, dog: “0.50”
          cat, cow: “0.60”
          dog, cow: “0.70”
          cow, cow: “1.00”
        """,
    )
    dark = [c == "black" for c in found.data[1].textfont.color]
    assert dark == [True, False, False, False, True, False, False, True, True], "on yellow, and white on blue"


def test_shared_features_of_classes() -> None:
    shared = np.array([[9, 2, 3], [4, 9, 5], [6, 7, 9]])
    shows(
        digits.shared_key_features(shared, NAMES, 9, "made/train", 1234),
        """
        Key features two digits share
        of the first 9 of each; made/train, n = 1,234
        xaxis: no name, category
        yaxis: no name, category, downwards
        heatmap dark to yellow, 2 to 7, bar “shared features”
          cat, dog: cat and dog share 2
          cat, cow: cat and cow share 3
          dog, cat: dog and cat share 4
          dog, cow: dog and cow share 5
          cow, cat: cow and cat share 6
          cow, dog: cow and dog share 7
        scatter text
          dog, cat: “2”
          cow, cat: “3”
          cat, dog: “4”
          cow, dog: “5”
          cat, cow: “6”
          dog, cow: “7”
        """,
    )
    assert shared[0, 0] == 9, "what is handed over stays as it was"


def test_in_how_many_lists_features_are() -> None:
    shows(
        digits.lists_per_feature(np.array([1, 1, 3, 1, 2, 3]), 3, 9, "made/train", 1234),
        """
        How many lists a feature is in
        first 9 key features of each digit; made/train, n = 1,234
        xaxis: in how many of the 3 lists
        yaxis: features, from 0
        bar, blue
          1, 3: 3 features are in 1 of the lists
          2, 1: 1 features are in 2 of the lists
          3, 2: 2 features are in 3 of the lists
        """,
    )


# ---- pictures


def test_pictures_on_one_scale() -> None:
    rows = np.arange(12, dtype=np.float32).reshape(3, 4) - 4
    found = pictures.pictures(rows, 2, "Rows", "n = 3", "weight", labels=["a", "b", "c"], signed=True, above=1)
    shows(
        found,
        """
        Rows
        n = 3
        xaxis: hidden, -0.5 to 5.5
        yaxis: hidden, 7.5 to -0.5
        heatmap blue to red, -7 to 7, bar “weight”
          1, 0: -4.000 weight
          1, 1: -3.000 weight
          1, 4: 0.000 weight
          1, 5: 1.000 weight
          2, 0: -2.000 weight
          2, 1: -1.000 weight
          2, 4: 2.000 weight
          2, 5: 3.000 weight
          6, 0: 4.000 weight
          6, 1: 5.000 weight
          7, 0: 6.000 weight
          7, 1: 7.000 weight
        scatter text
          0.5, 1: “a”
          4.5, 1: “b”
          0.5, 6: “c”
        """,
    )


def test_pictures_have_the_scale_that_is_asked_for() -> None:
    rows = np.arange(8, dtype=np.float32).reshape(2, 4)
    plain, ink, asked = (
        pictures.pictures(rows, 2, "Rows", "n = 2", "ink", scale=scale).data[0] for scale in (None, (0, 1), (-1, 3))
    )
    assert [next(of_trace(t)) for t in (plain, ink, asked)] == [
        "heatmap dark to yellow, 0 to 7, bar “ink”",
        "heatmap ink, 0 to 1",
        "heatmap dark to yellow, -1 to 3, bar “ink”",
    ]
    assert pictures.pictures(0 * rows, 2, "Rows", "n = 2", "ink").data[0].zmax == 1
    assert pictures.most(np.array([*[-2.0] * 500, 90])) == 2 and pictures.most(np.zeros(3)) == 1


def test_pictures_on_a_map() -> None:
    shown_pictures = np.array([[0, 1, 0.2, 0.4], [1, 0, 0, 2]])
    found = pictures.picture_map(np.array([[10.0, 5], [20, 1]]), shown_pictures, ["A", "B"], "Map", "n = 2", 0.5)
    shows(
        found,
        """
        Map
        n = 2
        xaxis: hidden, -0.06 to 1.06
        yaxis: hidden, -0.06 to 1.06
        scatter markers
          0, 1: A
          1, 0: B
        """,
    )
    assert [(i.x, i.y, i.sizex, i.sizey) for i in found.layout.images] == [(0, 1, 0.5, 0.8), (1, 0, 0.5, 0.8)]
    for image, wanted in zip(found.layout.images, ([[0, 255], [51, 102]], [[255, 0], [0, 255]]), strict=True):
        png = io.BytesIO(base64.b64decode(image.source.removeprefix("data:image/png;base64,")))
        np.testing.assert_array_equal(np.asarray(Image.open(png)), wanted)


# ---- edits


def test_confusion() -> None:
    counts = np.array([[3, 1, 0], [0, 0, 0], [0, 2, 1]])
    found = steering.confusion(counts, ["cat", "dog", "no animal"], "After", "made/test")
    shows(
        found,
        """
        After: 57.1 % right
        images by label and answer; made/test, n = 7
        xaxis: the classifier says, category
        yaxis: label, category, downwards
        heatmap dark to yellow, 0 to 100
          cat, cat: of the cats, 3 (75 %) are taken for cat
          cat, dog: of the cats, 1 (25 %) are taken for dog
          cat, –: of the cats, 0 (0 %) are taken for –
          –, cat: of the –s, 0 (0 %) are taken for cat
          –, dog: of the –s, 2 (66.7 %) are taken for dog
          –, –: of the –s, 1 (33.3 %) are taken for –
        scatter text
          cat, cat: “3”
          dog, cat: “1”
          dog, –: “2”
          –, –: “1”
        """,
    )
    assert list(found.data[1].textfont.color) == ["black", "white", "black", "white"]


def test_changes_by_class() -> None:
    mean, interval = np.array([-0.2, 0.3, 0.0]), np.array([[-0.3, -0.15], [0.1, 0.35], [-0.01, 0.02]])
    found = steering.changes(mean, interval, NAMES, "made/test", 12)
    shows(
        found,
        """
        What the edit adds to each class
        mean change of the probability, 95 % interval; made/test, n = 12
        xaxis: class, category
        yaxis: percentage points
        bar
          cat, -20: cat: -20.00 points (95 %: -30.00 to -15.00); blue
          dog, 30: dog: +30.00 points (95 %: +10.00 to +35.00); orange
          cow, 0: cow: +0.00 points (95 %: -1.00 to +2.00); orange
        """,
    )
    np.testing.assert_allclose(found.data[0].error_y.array, [5, 5, 2])
    np.testing.assert_allclose(found.data[0].error_y.arrayminus, [10, 20, 1])


def test_dose_and_response() -> None:
    probabilities = np.array([[0.5, 0.1, 0.4], [0.25, 0.35, 0.4], [0.05, 0.8, 0.15]])
    shows(
        steering.dose(probabilities, (0, 0.5, 2), NAMES, "made/test", 12),
        """
        Dose and response
        mean probability of each class; made/test, n = 12
        xaxis: strength: 0 is untouched, 1 the edit, -0.05 to 2.25
        yaxis: probability (%), from 0
        scatter lines+markers+text, 'cow', green
          0, 40: cow: 40 % at strength 0
          0.5, 40: cow: 40 % at strength 0.5
          2, 15: cow: 15 % at strength 2; “ cow”
        scatter lines+markers+text, 'cat', blue
          0, 50: cat: 50 % at strength 0
          0.5, 25: cat: 25 % at strength 0.5
          2, 5: cat: 5 % at strength 2; “ cat”
        scatter lines+markers+text, 'dog', orange
          0, 10: dog: 10 % at strength 0
          0.5, 35: dog: 35 % at strength 0.5
          2, 80: dog: 80 % at strength 2; “ dog”
        """,
    )
    six = np.array([[0.0] * 6, [0.1, 0.6, 0.2, 0.5, 0.05, 0.4]])
    lines = steering.dose(six, (0, 1), list("abcdef"), "made/test", 1).data
    assert [(t.name, next(of_trace(t)).split(", ")[-1]) for t in lines][:3] == [
        ("e", "pale"),
        ("a", "pale"),
        ("c", "pink"),
    ]


def test_a_narrow_screen_breaks_no_number() -> None:
    """A long subtitle goes on in the next line, but not within "n = 500"."""
    lines = shown(charts.ranked(np.array([1]), np.ones(1), "T", "u", "x" * 55 + " n = 500"))[:3]
    assert lines == ["T", "x" * 55, "n = 500"]
