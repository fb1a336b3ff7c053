"""The experiments of the documents: bounded runs of each on real MNIST, and the reports that are bundled."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from sae_core import files
from sae_core.datasets import DataError
from sae_core.documents.hidden_layer.run import CLAIMED
from sae_core.documents.report import BUNDLED, NAMES, Claim, Report, read_report, show
from sae_core.documents.reproduce import reproduce
from sae_core.store import catalogue

pytestmark = pytest.mark.slow

Quick = Callable[[str], Report]


@pytest.fixture(scope="module")
def quick(mnist_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Quick:
    """The report of a quick run, made once for each name."""

    @cache
    def run(name: str) -> Report:
        return reproduce(name, quick=True, data_dir=mnist_dir, out=tmp_path_factory.mktemp(name), device="cpu")

    return run


@pytest.mark.parametrize("name", NAMES)
def test_a_quick_run_keeps_the_contract_and_is_read_again(name: str, quick: Quick) -> None:
    report = quick(name)
    found = report.as_dict()
    assert {"name", "seed", "seconds", "claims"} <= set(found)
    assert found["name"] == name and found["seed"] == 42 and found["seconds"] > 0 and found["quick"] is True
    for claim in found["claims"]:
        assert {"what", "claimed", "documented", "ours", "split", "n"} <= set(claim)
        assert claim["what"] and claim["split"] and claim["n"] > 0
    json.dumps(found, allow_nan=False)
    again = read_report(report.folder)
    assert again.claims == report.claims and again.info == report.info
    assert again.arrays.keys() == report.arrays.keys()
    for key, array in report.arrays.items():
        assert np.isfinite(array).all(), key
        assert np.allclose(again.arrays[key], array), key
    assert str(report.folder) in report.text() and all(c.what in report.text() for c in report.claims)


def test_a_second_run_finds_the_models_and_the_same_numbers(quick: Quick, mnist_dir: Path) -> None:
    name = "experiment3"  # one is enough: models of all are made by the same code
    first = quick(name)
    second = reproduce(name, quick=True, data_dir=mnist_dir, out=first.folder, device="cpu")
    assert all(second.info["found"].values()) and not any(first.info["found"].values())
    assert second.claims == first.claims


def test_what_ran_quickly_touches_no_bundled_model(quick: Quick) -> None:
    for name in NAMES:
        report = quick(name)
        models = {c.name for c in catalogue.list_checkpoints(report.folder / "models")[0]}
        assert set(report.info["models"].values()) <= models


def test_without_mnist_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="data get mnist"):
        reproduce("intro", quick=True, data_dir=tmp_path, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="no experiment 'nonsense'"):
        reproduce("nonsense", data_dir=tmp_path)


def test_numbers_of_the_ensemble_follow_from_its_arrays(quick: Quick) -> None:
    a = quick("ensemble").arrays
    assert a["pearson_test"].shape == (1, 5) and a["mmcs_after"].shape == (2, 10)
    assert (a["mmcs_after"][1] >= a["mmcs_after"][0] - 1e-6).all(), "row-max is never below the matching"
    assert a["mmcs_after"][0].mean() > a["mmcs_before"][0].mean()
    assert a["use_frequency"].sum() == pytest.approx(50)
    active = a["use_frequency"] > 0
    assert np.allclose(a["use_mean_all"], a["use_mean_active"] * a["use_frequency"], atol=1e-5)
    assert active.sum() < len(active)


def test_numbers_of_experiment_3_follow_from_its_arrays(quick: Quick) -> None:
    a = quick("experiment3").arrays
    for rho in ("rho0.1", "rho0.999"):
        assert np.allclose(a[f"{rho}/share"].sum(1), 1, atol=1e-5)
        assert np.allclose(a[f"{rho}/notebook"].sum(1), 1, atol=1e-5)
        tops = a[f"{rho}/tops_closed"]
        assert tops.shape == (12, 30)
        assert np.array_equal(tops, np.argsort(-a[f"{rho}/increase"], axis=1, kind="stable")[:, :30])
        assert a[f"{rho}/n"].tolist()[-2:] == [2000, 4000]
        kept = a[f"{rho}/kept_accuracy"]
        assert kept.shape == (2, 9, 11) and (kept >= 0).all() and (kept <= 1).all()
        assert np.allclose(a[f"{rho}/verdicts"].sum(-1), 1, atol=1e-5)


# ---- what is bundled


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_has_a_bundled_report(name: str) -> None:
    report = read_report(BUNDLED / name)
    assert (report.name, report.seed, report.quick) == (name, 42, False)
    for bundled in report.info["models"].values():
        assert catalogue.read(BUNDLED.parent / "checkpoints" / bundled).name == bundled
    assert (report.folder / "arrays.safetensors").stat().st_size < 3_000_000


def claim(name: str, words: str) -> Claim:
    return next(c for c in read_report(BUNDLED / name).claims if words in c.what)


def test_the_bundled_reports_hold_what_was_asked() -> None:
    members = claim("ensemble", "Pearson after training").documented
    assert isinstance(members, list) and len(members) == 5 and np.mean(members) >= 0.970 and min(members) >= 0.968
    accuracy = claim("experiment3", "phase 1").documented
    assert isinstance(accuracy, list) and accuracy[-1] >= 0.980
    phase_3 = claim("experiment3", "phase 3").documented
    assert isinstance(phase_3, list) and phase_3[-1] == pytest.approx(CLAIMED["phase 3"][-1], rel=0.1)
    dense = claim("experiment3", "phase 2, ρ = 0.1").documented
    assert isinstance(dense, list) and dense[-1] == pytest.approx(CLAIMED["phase 2, ρ = 0.1"][-1], rel=0.1)
    batch = claim("intro", "FVU of ReLU + L1 and of BatchTopK").ours
    assert isinstance(batch, float) and batch <= 0.060


def test_a_damaged_report_names_its_file(tmp_path: Path) -> None:
    Report("intro", 1, False, folder=tmp_path, arrays={"a": np.zeros(2)}).write()
    assert read_report(tmp_path).seed == 1
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(files.CheckpointError, match=r"report\.json is not a report"):
        read_report(tmp_path)


def test_values_are_shown_with_four_digits() -> None:
    assert (
        show(None) == "–"
        and show(0.123456) == "0.1235"
        and show([1, 2.5]) == "1 2.5"
        and show("in words") == "in words"
    )
