"""The figures of the experiments' reports: what is in them by hand, and the files they are written to."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from sae_core.datasets import dataset_info, default_data_dir
from sae_core.documents import export, source, words
from sae_core.documents.ensemble import figures as of_ensemble
from sae_core.documents.hidden_layer import drawing
from sae_core.documents.hidden_layer import figures as of_hidden
from sae_core.documents.intro import figures as of_intro
from sae_core.documents.report import BUNDLED, NAMES, Report, read_report
from sae_core.documents.source import RHOS, Source
from sae_core.figures import pictures
from sae_core.files import CheckpointError
from tests.conftest import missing

ROOT = Path(__file__).parent.parent


def bundled(name: str) -> Report:
    if not (BUNDLED / name / "report.json").is_file():
        missing(f"there is no bundled report of {name}")
    return read_report(BUNDLED / name)


def subtitle(figure: go.Figure) -> str:
    return str(figure.layout.title.subtitle.text).replace("<br>", " ")


@pytest.fixture
def hidden() -> Source:
    return Source(bundled("experiment3"))


@pytest.fixture
def ensemble() -> Source:
    return Source(bundled("ensemble"))


@pytest.fixture
def intro() -> Source:
    return Source(bundled("intro"))


# ---- all of them


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_of_a_report_can_be_understood_alone(name: str, tmp_path: Path) -> None:
    found, left_out = export._drawn(bundled(name), tmp_path)  # without MNIST
    assert left_out == []
    assert set(found) == set(export.builders(name))
    for key, figure in found.items():
        assert 5 < len(figure.layout.title.text) < 50, key
        words = subtitle(figure)
        assert "n = " in words or " pairs" in words, (key, words)
        assert len(figure.data) and figure.layout.height, key
        assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)", key
        assert figure.layout.font.color is None, key
        assert "NaN" not in figure.layout.title.text + words, key


@pytest.mark.parametrize("name", NAMES)
def test_the_contradictions_of_a_report(name: str) -> None:
    found = words.entries(Source(bundled(name)))
    wanted = {"ensemble": range(1, 10), "experiment3": range(10, 19), "intro": range(19, 20)}
    assert [e.number for e in found] == list(wanted[name])
    for entry in found:
        assert all(len(words) > 8 for words in entry[1:]), entry
        assert "nan" not in " ".join(entry[1:])


def test_a_report_and_most_figures_do_not_wait_for_torch() -> None:
    bundled("experiment3")
    check = (
        "import sys\n"
        "from pathlib import Path\n"
        "from sae_core.documents.report import BUNDLED, read_report\n"
        "from sae_core.documents import export, words\nfrom sae_core.documents.source import Source\n"
        "found = read_report(BUNDLED / 'experiment3')\n"
        "words.entries(Source(found))\n"
        "assert len(export.figures(found)) > 40\n"
        "assert 'torch' not in sys.modules and 'streamlit' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


# ---- by hand


def test_a_mosaic_by_hand() -> None:
    three = np.arange(12, dtype=np.float32).reshape(3, 4)  # of 2×2
    z, places = pictures.mosaic(three, columns=2)
    n = np.nan
    wanted = [[0, 1, n, n, 4, 5], [2, 3, n, n, 6, 7], [n] * 6, [n] * 6, [8, 9, n, n, n, n], [10, 11, n, n, n, n]]
    np.testing.assert_array_equal(z, wanted)
    assert places.tolist() == [[0.5, 0], [4.5, 0], [0.5, 4]]


def test_pictures_share_one_scale() -> None:
    rows = np.array([[0, 0, 0, 1], [0, -4, 0, 0]], np.float32)
    found = pictures.pictures(rows, 2, "Rows", "n = 2", "weight", signed=True, labels=["a", "b"])
    assert (found.data[0].zmin, found.data[0].zmax) == (-4, 4)
    assert list(found.data[1].text) == ["a", "b"]


def test_importance_by_hand() -> None:
    share = np.array([0.0, 0.1, 0.2, 0.7])
    found = drawing.importance(share, "Importance", "n = 4")
    assert len(found.data[0].x) == 100 and sum(found.data[0].y) == 4
    assert [s.x0 for s in found.layout.shapes] == pytest.approx([0.25, np.percentile(share, 90)])
    assert found.layout.xaxis.title.text == "share of importance"


def test_few_features_kept_by_hand() -> None:
    kept = np.zeros((2, 2, 11), np.float32)
    kept[0, 1] = 1
    kept[1, 1, :5] = 0.5
    kept[:, :, 10] = 1  # scrambled does not count among the digits
    found = drawing.kept_accuracy(np.array([1, 98]), kept, source.NAMES, "Few", "n = 1")
    assert [list(t.y) for t in found.data if t.name] == [[0, 100], [0, 25]]


def test_classes_are_rebuilt_as_the_report_did(hidden: Source) -> None:
    """Without torch the pictures and what the classifier reads in them are those of the report's own run."""
    for rho in RHOS:
        verdicts = hidden[f"rho{rho:g}/verdicts"]
        for i, (own, notebook) in enumerate(((False, True), (False, False), (True, False))):
            found = of_hidden.classify(hidden, of_hidden.from_top(hidden, rho, source.TOP, own, notebook))
            np.testing.assert_allclose(found, verdicts[i], atol=2e-3)


def test_the_number_of_features_matters(hidden: Source) -> None:
    one, many = (of_hidden.class_pictures(hidden, 0.999, n).data[0].z for n in (1, 98))
    assert not np.allclose(one, many, equal_nan=True)
    assert of_hidden.class_pictures(hidden, 0.999, 1).layout.title.text.endswith("top 1 feature")


def test_correlations_are_those_of_the_points(hidden: Source) -> None:
    for rho in RHOS:
        for union in (True, False):
            for reading in of_hidden.CORRELATIONS:
                found = of_hidden.correlation(hidden, rho, reading, union)
                x, y = np.asarray(found.data[0].x), np.asarray(found.data[0].y)
                r = float(str(found.layout.title.text).rpartition("= ")[2])
                assert np.corrcoef(x, y)[0, 1] == pytest.approx(r, abs=6e-4), (rho, union, reading)
                n = len(hidden[f"rho{rho:g}/union_notebook"]) if union else 98
                assert len(x) == (n * n if reading == "documented" else n * (n - 1) // 2)


def test_the_mixed_map_has_the_axes_of_two(hidden: Source) -> None:
    both = of_hidden.feature_points(hidden, 0.1, documented=True, mixed=True).data[0]
    np.testing.assert_array_equal(both.x, hidden["rho0.1/map_picture"][:, 0])
    np.testing.assert_array_equal(both.y, hidden["rho0.1/map_hidden"][:, 1])


def test_a_top_list_has_its_features_in_order(hidden: Source) -> None:
    found = of_hidden.top_lists(hidden, 0.1).data[0]
    shares = hidden["rho0.1/share"]
    assert int(found.text[0][3]) == int(shares[3].argmax())
    tops = np.argsort(-shares[:11], kind="stable")[:, :30]
    assert int(found.z[0][3]) == sum(int(shares[3].argmax()) in top for top in tops)
    assert len(found.text) == 30 and len(found.text[0]) == 12


def test_claimed_and_ours_stand_in_one_plot(hidden: Source) -> None:
    dashed, here, digits = of_hidden.phase(hidden, 1).data
    assert dashed.y[0] == pytest.approx(0.9643) and len(dashed.y) == 10
    np.testing.assert_array_equal(here.y, hidden["accuracy"])
    np.testing.assert_array_equal(digits.y, hidden["accuracy_digits"])


def test_strength_has_two_readings(ensemble: Source) -> None:
    for name, over_all in (("use_mean_active", False), ("use_mean_all", True)):
        bars = of_ensemble.strongest(ensemble, over_all).data[0]
        values = ensemble[name]
        assert bars.x[0] == f"#{int(values.argmax())}" and bars.y[0] == pytest.approx(float(values.max()))
        assert len(bars.x) == 25


def test_key_features_by_lift_are_selective(ensemble: Source) -> None:
    from sae_core.measure.lists import KEY_SHARE

    by_mean, by_lift = (np.stack(of_ensemble.key_features(ensemble, by_mean)) for by_mean in (True, False))
    base = ensemble["frequency"]
    assert by_mean.shape == by_lift.shape == (10, 5)
    assert base[by_lift].mean() < base[by_mean].mean()
    assert (ensemble["class_rates"][by_lift[7], 7] >= KEY_SHARE).all()


def test_encoder_rows_are_the_models(ensemble: Source) -> None:
    sae = ensemble.sae(of_ensemble.ENSEMBLE)
    rows = sae.row_pictures()[0]
    z = np.asarray(of_ensemble.encoder_rows(ensemble).data[0].z)
    np.testing.assert_allclose(z[:28, :28].ravel(), rows[0], atol=1e-6)
    used = of_ensemble.encoder_rows(ensemble, most_used=True)
    first = int(ensemble["frequency"].argmax())
    assert int(used.data[1].customdata[0]) == first
    np.testing.assert_allclose(np.asarray(used.data[0].z)[:28, :28].ravel(), rows[first], atol=1e-6)


@pytest.mark.without_mnist
def test_an_image_and_its_code(ensemble: Source, tmp_path: Path) -> None:
    found = of_ensemble.one_image(Source(ensemble.report, tmp_path), 3)
    image, bars, code, _ = found.data
    assert "embedded digits" in subtitle(found)
    assert 1 <= len(bars.x) <= 50 and np.count_nonzero(np.nan_to_num(code.z)) == len(bars.x)
    assert f"{len(bars.x)}/1024" in found.layout.annotations[1].text
    assert np.asarray(image.z).max() > 0.5
    if dataset_info("mnist").is_here(default_data_dir()):
        assert "mnist/test" in subtitle(of_ensemble.one_image(ensemble, 3))


def test_curves_of_the_introduction(intro: Source) -> None:
    relu, batch = of_intro.fvu_l0(intro).data
    np.testing.assert_array_equal(relu.x, intro["curve_relu_l1"][:, 0])
    np.testing.assert_array_equal(batch.y, intro["curve_batch_topk"][:, 1])
    counts = of_intro.l0_of_images(intro).data[0]
    assert sum(counts.y) == intro.report.info["n"]["test"]


# ---- files


@pytest.fixture
def copied(tmp_path: Path) -> Report:
    bundled("intro")
    shutil.copytree(BUNDLED / "intro", tmp_path / "intro", ignore=shutil.ignore_patterns("figures"))
    return read_report(tmp_path / "intro")


def test_figures_are_written_as_html_that_holds_plotly(copied: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "write_pngs", lambda *_: ["no PNG"])
    told: list[Any] = []
    assert export.write_figures(copied, lambda *a: told.append(a)) == ["no PNG"]
    files = sorted((copied.folder / "figures").iterdir())
    assert [f.name for f in files] == sorted(f"{name}.html" for name in export.builders("intro"))
    for file in files:
        text = file.read_text("utf-8")
        assert "Plotly.newPlot" in text and len(text) > 1_000_000 and "https://cdn" not in text[:5000]
    assert told[-1][1:] == (6, 6)


@pytest.mark.slow
def test_figures_are_written_as_png_where_a_browser_is(copied: Report) -> None:
    said = export.write_figures(copied)
    if any("there is no Chrome" in s for s in said):
        missing("no Chrome or Chromium was found")
    assert said == []
    for name in export.builders("intro"):
        assert (copied.folder / "figures" / f"{name}.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("browser", ["", "/nowhere/chrome"])
def test_without_a_browser_there_is_a_sentence(copied: Report, browser: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setenv("SAE_BROWSER", browser)
    (sentence,) = export.write_figures(copied)
    assert "PNG" in sentence
    assert len(list((copied.folder / "figures").glob("*.html"))) == 6


def test_what_cannot_be_drawn_is_said_and_the_rest_is_drawn() -> None:
    found = bundled("experiment3")
    found.info["models"] = dict.fromkeys(found.info["models"], "no-such-model")
    figures, left_out = export._drawn(found, None)
    assert len(figures) > 30 and "rho0.1-class-pictures-own" not in figures
    assert all("no-such-model" in sentence for sentence in left_out) and left_out
    del found.arrays["accuracy"]
    with pytest.raises(CheckpointError, match="accuracy"):
        of_hidden.phase(Source(found), 1)
