"""How evenly something is spread: by hand, and by the sums written out."""

from __future__ import annotations

import numpy as np
import pytest

from sae_core.documents.hidden_layer import figures, unit_drawing
from sae_core.documents.report import BUNDLED, read_report
from sae_core.documents.source import RHOS, Source
from sae_core.documents.words import entries
from sae_core.measure.spread import effective, gini


def test_by_hand() -> None:
    rows = np.array([[1, 1, 1, 1], [0, 0, 0, 5], [1, 3, 0, 0], [2, 2, 0, -1]])
    assert gini(rows).tolist() == pytest.approx([0, 0.75, 0.625, 0.5])
    wanted = [4, 1, np.exp(-(0.25 * np.log(0.25) + 0.75 * np.log(0.75))), 2]
    assert effective(rows).tolist() == pytest.approx(wanted)
    with np.errstate(all="raise"):
        assert np.isnan(gini(np.zeros(3))) and np.isnan(effective(np.zeros((2, 3)))).all()
    assert float(gini(np.array([0.1, 0.3, 0, 0]))) == pytest.approx(0.625), "of shares whose sum is below 1 too"


def test_it_is_the_last_axis_that_is_spread() -> None:
    shares = np.array([[[1, 1, 1]], [[0, 2, 0]]])
    assert gini(shares).tolist() == [[0], [pytest.approx(2 / 3)]]
    assert effective(shares).tolist() == [[pytest.approx(3)], [1]]
    assert float(effective(np.array([5.0, 5.0]))) == pytest.approx(2)


def test_sums_are_in_float64() -> None:
    shares = np.array([0, 0, 40_000, 40_000], np.float16)  # whose sum float16 does not hold
    assert float(gini(shares)) == 0.5 and float(effective(shares)) == pytest.approx(2)


def test_gini_is_the_mean_difference_of_all_pairs() -> None:
    shares = np.random.default_rng(0).random(30)
    apart = np.abs(shares[:, None] - shares).mean() / (2 * shares.mean())
    assert float(gini(shares)) == pytest.approx(apart)


def test_document_004s_conclusion_by_both_readings() -> None:
    """What the report claims, from its shares by sums written out here; which of them the document is right by."""
    s = Source(read_report(BUNDLED / "experiment3"))
    found = {}
    for reading in ("notebook", "share"):
        for rho in RHOS:
            rows = np.maximum(s[f"rho{rho:g}/{reading}"][:10].astype(float), 0)
            pairs = [np.abs(row[:, None] - row).sum() / (2 * len(row) * row.sum()) for row in rows]
            p = rows / rows.sum(1, keepdims=True)
            entropy = [-sum(x * np.log(x) for x in row if x > 0) for row in p]
            found[reading, rho] = float(np.mean(pairs)), float(np.exp(entropy).mean())
    claim = s.claimed("how few features carry a digit")
    assert claim.documented == pytest.approx([found["notebook", rho][0] for rho in RHOS], abs=1e-5)
    assert claim.ours == pytest.approx([found["share", rho][0] for rho in RHOS], abs=1e-5)
    assert [round(v, 2) for v in claim.documented] == [0.24, 0.34]  # the reverse of what document 004 concludes
    assert [round(v, 2) for v in claim.ours] == [0.64, 0.42]
    assert "87 and 81 of 98: the reverse" in claim.note and "44 and 72 of 98" in claim.note
    sizes = [found[reading, rho][1] for reading in ("notebook", "share") for rho in RHOS]
    assert [round(v) for v in sizes] == [87, 81, 44, 72]
    entry = next(e for e in entries(s) if e.number == 10)
    assert "spread more at 0.1: Gini 0.24 against 0.34" in entry.documented
    assert "holds: Gini 0.64 at 0.1 and 0.42 at 0.999" in entry.ours
    points = {trace.name: list(trace.y) for trace in figures.spread(s).data}
    assert np.mean(points["ρ = 0.1, as documented"][:10]) == pytest.approx(sizes[0], abs=1e-3)
    assert np.mean(points["ρ = 0.999, reconstruction alone"][:10]) == pytest.approx(sizes[3], abs=1e-3)


def test_what_a_unit_responds_to_by_hand() -> None:
    means = np.array([[1.0, 1, 1], [0, 4, 0], [0, 0, 0]])
    found = unit_drawing.responses(means, ["a", "b", "c"], "Units", "n = 1")
    heat = found.data[0]
    np.testing.assert_allclose(heat.z, np.array([[0, 100, 0], [100 / 3] * 3]), atol=1e-4)
    assert heat.customdata[:, 0].tolist() == [[1, 1], [0, pytest.approx(3)]]
    assert "1 of 3 respond to fewer than two classes, 1 never active" in found.layout.title.subtitle.text


def test_zeros_are_told_apart_by_hand() -> None:
    shares = np.array([[0.25, 0.75, 0], [1, 0, 0]])
    found = unit_drawing.activations(shares, 2.0, "Units", "n = 4")
    heat = found.data[0]
    np.testing.assert_allclose(heat.z, [[2, np.nan, np.nan], [np.log10(25), np.log10(75), np.nan]], atol=1e-5)
    assert heat.customdata[:, 0, 0].tolist() == [1, 0] and heat.customdata[0, :, 1].tolist() == [
        "exactly 0",
        "0.5",
        "1.5",
    ]
    assert "exactly 0, 62 % on average" in found.layout.title.subtitle.text.replace("<br>", " ")


def test_every_image_is_in_a_units_histogram_once() -> None:
    s = Source(read_report(BUNDLED / "experiment3"))
    for kind in figures.UNITS:
        shares = s[f"units/{kind}/histogram"]
        assert shares.shape == (49 if kind == "neurons" else 98, 41)
        np.testing.assert_allclose(shares.sum(1), 1, atol=1e-5)
        never = s[f"units/{kind}/classes"].sum(1) == 0
        np.testing.assert_array_equal(never, shares[:, 0] == 1)
