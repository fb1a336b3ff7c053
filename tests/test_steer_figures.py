"""The figures of Steer: what a result made by hand becomes in them."""

from __future__ import annotations

import numpy as np

from sae_core.figures import steering as figures
from sae_core.figures.style import BLUE, ORANGE
from sae_core.steering.many import ManyResult

NAMES = ["0", "1", "2", "3", "no digit"]
FOUND = ManyResult(
    confusion_before=np.array([[3, 1, 0, 0, 0], [0, 2, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]]),
    confusion_after=np.array([[1, 3, 0, 0, 0], [0, 2, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]),
    mean_change=np.array([-0.2, 0.3, 0.0, -0.15, 0.05]),
    interval=np.array([[-0.3, -0.1], [0.25, 0.35], [0.0, 0.0], [-0.2, -0.1], [0.0, 0.1]]),
    dose=np.array([[0.5, 0.2, 0.1, 0.15, 0.05], [0.3, 0.5, 0.1, 0.0, 0.1], [0.1, 0.75, 0.1, 0.02, 0.03]]),
    scales=(0.0, 1.0, 2.0),
    n=7,
)


def test_confusion_counts_and_shares() -> None:
    figure = figures.confusion(FOUND.confusion_before, NAMES, "Before", "digits/test")
    heat, numbers = figure.data
    assert list(heat.x) == ["0", "1", "2", "3", "–"]
    assert list(heat.y) == ["0", "1", "3"], "classes of which there is no image"
    np.testing.assert_allclose(heat.z, [[75, 25, 0, 0, 0], [0, 100, 0, 0, 0], [0, 0, 0, 100, 0]])
    shown = set(zip(numbers.y, numbers.x, numbers.text, strict=True))
    assert shown == {("0", "0", "3"), ("0", "1", "1"), ("1", "1", "2"), ("3", "3", "1")}
    assert figure.layout.title.text == "Before: 85.7 % right"
    assert "digits/test, n = 7" in figure.layout.title.subtitle.text
    assert figures.confusion(FOUND.confusion_after, NAMES, "After", "x").layout.title.text == "After: 42.9 % right"


def test_changes_are_orange_where_the_edit_adds_and_blue_where_it_takes() -> None:
    (bars,) = figures.changes(FOUND.mean_change, FOUND.interval, NAMES, "digits/test", FOUND.n).data
    np.testing.assert_allclose(bars.y, [-20, 30, 0, -15, 5])
    assert list(bars.marker.color) == [BLUE, ORANGE, ORANGE, BLUE, ORANGE]
    np.testing.assert_allclose(bars.error_y.array, [10, 5, 0, 5, 5])
    np.testing.assert_allclose(bars.error_y.arrayminus, [10, 5, 0, 5, 5])
    assert bars.error_y.color == figures.MIDDLE, "dark grey on a dark page"


def test_a_single_image_has_bars_without_an_interval() -> None:
    (bars,) = figures.changes(FOUND.mean_change, np.full((5, 2), np.nan), NAMES, "x", 1).data
    assert np.isnan(bars.error_y.array).all()


def test_every_coloured_curve_of_the_dose_has_its_name_at_its_end_once() -> None:
    lines = {line.name: line for line in figures.dose(FOUND.dose, FOUND.scales, NAMES, "digits/test", FOUND.n).data}
    assert set(lines) == set(NAMES)
    for c, name in enumerate(NAMES):
        assert list(lines[name].x) == [0, 1, 2]
        np.testing.assert_allclose(lines[name].y, 100 * FOUND.dose[:, c])
        assert not any(lines[name].text[:-1]), "a name stands at the end"
    coloured = [name for name, line in lines.items() if line.line.color != figures.GREY]
    assert sorted(coloured) == ["0", "1", "3", "no digit"]
    said = [line.text[-1].strip() for line in lines.values() if line.text[-1]]
    assert sorted(said) == ["0", "1", "3 · no digit"]
    assert lines["1"].line.color == ORANGE, "the one that changes most"


def test_curves_that_end_together_are_one_group() -> None:
    ends = np.array([50.0, 10.0, 14.0, 18.0, 90.0])
    assert figures._end_labels(ends, [4, 3, 2, 1], NAMES, 4) == {2: " 1 · 2 · 3", 4: " no digit"}
    assert figures._end_labels(ends, [1, 2], NAMES, 3.9) == {1: " 1", 2: " 2"}
