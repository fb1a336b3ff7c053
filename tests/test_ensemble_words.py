"""What is said of documents 000 to 002, by the number it speaks of, and what they are without unused features."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from sae_core.documents.ensemble import figures
from sae_core.documents.ensemble.alive import agreement
from sae_core.documents.ensemble.clusters import same_digit_nearest, separation
from sae_core.documents.report import BUNDLED, Entry, read_report
from sae_core.documents.source import Source
from sae_core.documents.words import entries
from sae_core.figures import charts
from sae_core.measure.features import most_lift


@pytest.fixture(scope="module")
def source() -> Source:
    return Source(read_report(BUNDLED / "ensemble"))


@pytest.fixture(scope="module")
def said(source: Source) -> dict[int, Entry]:
    return {e.number: e for e in entries(source)}


# ---- by hand


def test_agreement_by_hand() -> None:
    """Two members of three features: the first two are swapped, the third is dead in both."""
    a = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    b = np.array([[0.0, 3, 4], [5, 0, 0], [0, 0, 2]])
    active = np.array([[True, True, False], [True, True, False]])
    found = agreement(np.stack([a, b]), active)
    assert found == pytest.approx((0.8, 0.8, 1.0, 1.0))  # of (0, 1) and (1, 0): cosines 1 and 0.6
    active = np.array([[True, False, True], [True, True, False]])
    found = agreement(np.stack([a, b]), active)
    # Both active: only a[0] with b[1], cosine 1. Anew: a[0] and a[2] with b[0] and b[1]: 1 and 0.8. Dead in both: none.
    assert found[:2] == pytest.approx((1.0, 0.9)) and np.isnan(found.dead) and found.dead_pairs == 0


def test_clusters_by_hand() -> None:
    codes = np.array([[1.0, 0], [2, 0], [0, 1], [1, 1]])
    labels = np.array([0, 0, 1, 1])
    assert same_digit_nearest(codes, labels, block=3) == 0.75 + 0.25 * (codes[3] @ codes[2] > codes[3] @ codes[1])
    r = np.sqrt(0.5)
    assert separation(codes, labels) == pytest.approx(((1 + r) / 2, (0 + r + 0 + r) / 4))
    alike, apart = separation(np.array([[1.0, 0], [3, 4]]), np.array([7, 7]))
    assert alike == pytest.approx(0.6) and np.isnan(apart), "there is no pair of two labels"
    alike, apart = separation(np.array([[1.0, 0], [3, 4]]), np.array([7, 8]))
    assert np.isnan(alike) and apart == pytest.approx(0.6)


def test_separation_is_the_mean_over_all_pairs() -> None:
    rng = np.random.default_rng(0)
    codes, labels = rng.random((12, 5)), rng.integers(0, 3, 12)
    same: list[float] = []
    apart: list[float] = []
    for i in range(12):
        for j in range(i):
            cosine = codes[i] @ codes[j] / np.linalg.norm(codes[i]) / np.linalg.norm(codes[j])
            (same if labels[i] == labels[j] else apart).append(cosine)
    assert separation(codes, labels) == pytest.approx((np.mean(same), np.mean(apart)))


def test_what_is_unused_has_no_most_lift() -> None:
    rates = np.array([[0.0, 0.0], [0.1, 0.4], [0.02, 0.0]])
    assert most_lift(rates, np.array([0, 250, 9]), 1000).tolist() == [-1, 1, -1]
    figure = charts.feature_map(
        np.zeros((3, 2)), np.array([4, 5, 6]), np.array([0, 0.25, 0.009]), np.array([-1, 1, -1]), "norm", "n = 3"
    )
    words = [words for _, words in figure.data[0].customdata]
    assert words == [
        "feature 4: never active",
        "feature 5: on 25 %, most lift for 1",
        "feature 6: on 0.9 %, on too few images for a lift",
    ]
    assert [f for f, _ in figure.data[0].customdata] == [4, 5, 6]
    assert "1 of them never active" in figure.layout.title.subtitle.text.replace("<br>", " ")


# ---- what the report says


@pytest.mark.parametrize(("by", "unused"), [("norm", 217), ("variance", 176), ("largest", 119)])
def test_a_map_says_how_many_of_its_features_are_never_active(by: str, unused: int, source: Source) -> None:
    figure = figures.feature_map(source, by)
    mapped = source[f"tsne_{by}_features"]
    assert int((source["frequency"][mapped] == 0).sum()) == unused
    assert f"500 first by {figures.RANKINGS[by]}, {unused} of them" in figure.layout.title.subtitle.text.replace(
        "<br>", " "
    )
    words = [words for _, words in figure.data[0].customdata]
    assert sum(w.endswith("never active") for w in words) == unused
    assert not any("lift for" in w for w, f in zip(words, mapped, strict=True) if source["frequency"][f] == 0)


def test_agreement_and_redundancy_are_also_those_of_what_is_ever_active(source: Source) -> None:
    units = source.weights(figures.ENSEMBLE)["W_enc"].transpose(0, 2, 1)  # tied: the decoder's rows, at length 1
    found = agreement(units, source["ever_active"].astype(bool))
    claim = source.claimed("MMCS between members, matching, features that are ever active")
    assert (claim.documented, claim.ours) == pytest.approx((found.matched, found.anew), abs=1e-4)
    assert (round(found.matched, 3), round(found.anew, 3), round(found.dead, 3)) == (0.611, 0.568, 0.885)
    assert f"{found.dead_pairs:.0f} pairs" in claim.note and "cosine 0.885" in claim.note
    ever = source["ever_active"][0].astype(bool)
    np.testing.assert_array_equal(ever, source["frequency"] > 0)
    rows = units[0] / np.linalg.norm(units[0], axis=1, keepdims=True)

    def nearest(which: np.ndarray) -> float:
        near = rows[which] @ rows[which].T
        np.fill_diagonal(near, -1)
        return float(np.median(near.max(1)))

    redundant = source.claimed("“no obvious redundancy”")
    assert redundant.ours == pytest.approx(nearest(ever), abs=1e-4) and round(redundant.ours, 3) == 0.258
    assert f"of the {int(ever.sum())} that" in redundant.note and int(ever.sum()) == 439
    assert f"it is {nearest(np.ones(len(rows), bool)):.3f}" in redundant.note


def test_how_often_partners_are_looked_for_is_the_models(source: Source, said: dict[int, Entry]) -> None:
    config = json.loads((source.model(figures.ENSEMBLE) / "cfg.json").read_text())["metadata"]["sae_core"]["config"]
    assert f"the bundled ensemble’s is every {config['match_every']} steps" in said[1].ours
    assert "at every step" in said[1].documented


def test_the_length_of_tied_rows_is_the_weights(source: Source, said: dict[int, Entry]) -> None:
    lengths = np.linalg.norm(source.weights(figures.ENSEMBLE)["W_enc"], axis=1)
    assert f"{lengths.min():.2f} to {lengths.max():.2f} long" in said[2].ours
    x, row = np.array([0.5, 0.2]), np.array([0.3, 0.4])
    tied = [(s * row @ x) * (s * row) for s in (1, 2)]
    unit = [(s * row @ x) * row / np.linalg.norm(row) for s in (1, 2)]
    assert tied[1] == pytest.approx(4 * tied[0]) and unit[1] == pytest.approx(2 * unit[0]), "as the text says"


def test_revival_is_said_with_its_effect(source: Source, said: dict[int, Entry]) -> None:
    table, claim = source["revival"], source.claimed("inactive features are re-initialised")
    assert [claim.documented, claim.ours] == table[:, 2].tolist()
    assert f"has {int(table[0, 2])} such features without, {int(table[1, 2])} with" in said[4].ours
    unused = int((source["frequency"] == 0).sum())
    assert f"of member 0 {unused} of 1,024 are never active" in said[4].ours
    assert f"{table[0, 0]:.4f} without, {table[1, 0]:.4f} with" in claim.note and table[0, 3] == 0 < table[1, 3]


def test_which_state_the_start_was_is_left_open(source: Source, said: dict[int, Entry]) -> None:
    first = float(source["pearson_test"][0].mean())
    assert f"After one epoch it is {first:.4f}" in said[5].documented and "0.96" in said[5].documented
    assert f"Before any training it is {float(source['initial_pearson'].mean()):.4f}" in said[5].ours


def test_models_of_other_lengths_are_not_set_beside_each_other_in_silence(source: Source) -> None:
    note = source.claimed("Pearson after training").note
    epochs = re.findall(r"after (\d+) epochs", note)
    options = [
        json.loads((path / "cfg.json").read_text())["metadata"]["sae_core"]["options"]["epochs"]
        for path in (source.model(figures.ENSEMBLE), source.model(figures.ENSEMBLE).parent / "topk-1024-k50")
    ]
    assert [int(e) for e in epochs] == options


def test_training_speed_says_what_was_there(source: Source) -> None:
    rows = source.report.info["devices"]
    assert [r["device"] for r in rows][:2] == ["cpu", "cpu"]
    for r in rows:
        assert r["speedup"] == pytest.approx(rows[0]["ms_per_step"] / r["ms_per_step"])
        assert r["images_per_s"] == pytest.approx(128_000 / r["ms_per_step"])
