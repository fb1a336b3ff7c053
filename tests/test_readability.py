"""Readability by hand, and as its command prints and keeps it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sae_core import load, load_dataset
from sae_core.cli import main
from sae_core.datasets import ImageSet
from sae_core.measure.readability import Readability, counts, measure, smoothness
from sae_core.models.sae import SAE
from sae_core.store import catalogue
from sae_core.variants import build
from sae_core.variants.relu_l1 import ReluL1Config
from sae_core.variants.tied_topk import TiedTopKConfig
from tests import plain

torch.set_num_threads(1)
ROOT = Path(__file__).parent.parent
CONTRACT = {"in_use", "rare", "dead", "smooth_enc", "smooth_dec", "local_dec", "split", "n"}
DOWN, ACROSS = np.mgrid[:28, :28]


def of(picture: np.ndarray) -> float:
    return float(smoothness(picture.reshape(1, -1).astype(np.float32))[0])


def test_smoothness_by_hand() -> None:
    assert of(DOWN + 2 * ACROSS) == pytest.approx(1), "a gradient"
    assert of((-1.0) ** (DOWN + ACROSS)) == pytest.approx(-1), "a checkerboard"
    assert of((-1.0) ** ACROSS) == pytest.approx(0), "stripes: −1 across, 1 down"
    assert of(3 - 0.5 * DOWN) == pytest.approx(1), "neither a factor nor what is added to all pixels changes it"
    assert of(np.full((28, 28), 0.1)) == of(np.zeros((28, 28))) == 0, "in a constant row there is nothing to see"
    # across: six pairs, of which (0, 1) and (1, 0): −1/6 / (5/6); down: all lower ones are 0
    assert of(np.array([[0, 1, 0], [0, 0, 0], [0, 0, 0]])) == pytest.approx(-0.1)
    noise = np.random.default_rng(3).normal(size=(500, 784))
    assert smoothness(noise).mean() == pytest.approx(0, abs=0.01)


def test_smoothness_is_that_of_the_plain_formula_row_by_row() -> None:
    rows = np.random.default_rng(0).random((4, 25)).cumsum(1).astype(np.float32)
    np.testing.assert_allclose(smoothness(rows), plain.smoothness(rows), rtol=1e-9)


@pytest.mark.parametrize("shape", [(3, 783), (3, 1), (784,), (2, 28, 28)])
def test_what_is_no_picture_has_no_smoothness(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="no square pictures"):
        smoothness(np.ones(shape, np.float32))


def made(d_in: int, decoder: np.ndarray | None = None) -> tuple[SAE, ImageSet]:
    """Four latents that each look at one pixel, and 400 images of one pixel each: latent 0 is active on 300 of class 0,
    latent 1 on 33 of class 0 and 66 of class 1, latent 2 on a single one of class 1, and latent 3 on none."""
    sae = build("relu_l1", ReluL1Config(d_in=d_in, d_sae=4)).eval().requires_grad_(False)
    for name, t in sae.state_dict().items():
        t.zero_()
        if name == "W_enc":
            t[range(4), range(4)] = 1
        if name == "W_dec":
            t.copy_(torch.ones(4, d_in) if decoder is None else torch.tensor(decoder))
    pixel = np.repeat([0, 1, 2], [300, 99, 1])
    labels = np.repeat([0, 0, 1, 1], [300, 33, 66, 1])
    return sae, ImageSet(np.eye(d_in, dtype=np.float32)[pixel], labels, "made", "test")


def test_all_of_it_by_hand() -> None:
    i, j = np.mgrid[:4, :4]
    gradient, checkerboard, corner = i + j + 1.0, (-1.0) ** (i + j), (i + j == 6) * 2.0
    rows = np.stack([p.ravel() for p in (gradient, checkerboard, corner, checkerboard)]).astype(np.float32)
    sae, images = made(16, rows)
    assert counts(sae, images).tolist() == [[300, 0], [33, 66], [0, 1], [0, 0]]
    found = measure(sae, images)
    assert (found.in_use, found.rare, found.dead, found.share) == (2, 1, 1, 0.5)
    assert found.smooth_dec == pytest.approx((1 - 1) / 2), "of latents 0 and 1, the others are not in use"
    # Latents 0 and 1 read the first two pixels of the first line. Across: twelve pairs of which one has the first, or
    # one has each; down: the lower ones are all 0.
    first, second = 0, (0 - 12 * (1 / 12) ** 2) / (1 - 12 * (1 / 12) ** 2)
    assert found.smooth_enc == pytest.approx((first + second / 2) / 2)
    assert found.local_enc == 1
    # A window of 10/28 of 4 pixels is one pixel: 7² of the gradient's energy, one of 16 of the checkerboard's.
    assert found.local_dec == pytest.approx((49 / (gradient**2).sum() + 1 / 16) / 2)
    assert found.purity == pytest.approx((1 + 2 / 3) / 2)
    assert found.purity_chance == 333 / 400
    assert (found.split, found.n) == ("made/test", 400)
    text = found.text().splitlines()
    assert text[0] == "made/test, n = 400; means over the features in use"
    assert text[1] == "  in use  2 of 4 (50.0 %), rare 1, dead 1"
    assert text[2].startswith("  smooth  encoder -0.023  decoder 0.000")
    assert text[4] == "  purity  0.833  (1: each of one class only; by chance 0.833)"


def test_images_are_counted_with_their_own_labels() -> None:
    """In more than one batch, too."""
    sae, images = load("topk-1024-k50"), load_dataset("digits", "train")
    acts = sae(torch.from_numpy(images.x)).acts.numpy()
    wanted = np.stack([(acts[images.labels == c] != 0).sum(0) for c in range(10)], axis=1)
    assert (counts(sae, images) == wanted).all() and len(images) > 1000


def test_rows_that_are_no_pictures_are_not_measured_as_such() -> None:
    found = measure(*made(6))
    assert found.in_use == 2 and found.purity == pytest.approx(5 / 6)
    assert [found.smooth_enc, found.smooth_dec, found.local_enc, found.local_dec] == [None] * 4
    assert "not measured: what it reads are no pictures" in found.text()
    # 49 hidden units of a classifier are a square number of them, and no picture all the same
    found = measure(load("exp3-kl-98-rho0.1"), load_dataset("digits", "test"))
    assert found.in_use > 50 and found.smooth_dec is None is found.local_enc and "no pictures" in found.why_none


def test_where_no_latent_is_in_use_there_is_no_mean() -> None:
    sae, images = made(16)
    sae.get_parameter("W_enc").zero_()
    found = measure(sae, images)
    assert (found.in_use, found.dead, found.smooth_dec, found.purity) == (0, 4, None, None)
    assert "no feature is in use" in found.text() and "purity" not in found.text()


def test_an_ensemble_is_measured_member_by_member() -> None:
    sae = build("tied_topk", TiedTopKConfig(d_sae=20, k=3, members=2), seed=1).eval()
    images = load_dataset("digits", "test")
    with pytest.raises(ValueError, match="choose a member"):
        measure(sae, images)
    assert measure(sae.member(0), images) != measure(sae.member(1), images)


# ---- the command


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    common = ["--dataset", "digits", "--d-sae", "32", "--k", "4", "--epochs", "1", "--out", str(folder)]
    assert main(["train", "topk", *common, "--name", "one"]) == 0
    assert main(["train", "tied_topk", *common, "--members", "2", "--name", "two"]) == 0
    return folder


@pytest.fixture
def store(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(trained, tmp_path / "models")
    monkeypatch.setenv("SAE_CHECKPOINTS", str(tmp_path / "models"))
    return tmp_path / "models"


def printed(capfd: pytest.CaptureFixture[str], *args: object) -> dict[str, Any]:
    capfd.readouterr()
    assert main(["readability", *map(str, args), "--json"]) == 0
    out = capfd.readouterr().out
    assert out.endswith("\n") and out.count("\n") == 1
    return dict(json.loads(out))


def test_the_command_prints_what_is_measured(store: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = printed(capfd, "one")
    assert found.keys() >= CONTRACT
    assert found.keys() - CONTRACT == {"local_enc", "purity", "purity_chance"}
    measured = measure(load("one"), load_dataset("digits", "test"))
    assert found == measured._asdict() and found["split"] == "digits/test" and found["n"] == 360
    assert main(["readability", "one"]) == 0
    assert capfd.readouterr().out == measured.text() + "\n"
    assert printed(capfd, "one", "--split", "train")["n"] == 1437


def test_training_keeps_it_beside_the_metrics(store: Path) -> None:
    for name, places in (("one", ["digits/test"]), ("two", ["digits/test", "digits/test#1"])):
        checkpoint = catalogue.read(name)
        assert set(checkpoint.metrics) == {f"digits/{s}{p[11:]}" for s in ("train", "test") for p in places}
        assert list(checkpoint.readability) == places
        for i in range(len(places)):
            kept = checkpoint.readability_of(i)["digits/test"]
            found = Readability(**kept, split="digits/test")  # type: ignore[arg-type]
            assert found == measure(load(f"{name}/{i}"), load_dataset("digits", "test"))
            metrics = checkpoint.metrics_of(i)["digits/test"]
            assert [metrics[key] for key in ("in_use", "rare", "dead", "n")] == [
                kept[key] for key in ("in_use", "rare", "dead", "n")
            ]


def test_saving_leaves_all_other_numbers(store: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = store / "two" / "metrics.json"
    whole = path.read_bytes()
    without = json.loads(whole)
    before = without.pop("readability")
    path.write_text(json.dumps(without))
    first = printed(capfd, "two/1", "--save")
    assert json.loads(path.read_text()) == without | {"readability": before}, "of all members"
    assert path.read_bytes() == whole, "as training writes it"
    assert first == before["digits/test#1"] | {"split": "digits/test"}
    printed(capfd, "two", "--split", "train", "--save")
    after = json.loads(path.read_text())
    assert set(after.pop("readability")) == {f"digits/{s}{m}" for s in ("train", "test") for m in ("", "#1")}
    assert after == without
    assert not list(path.parent.glob(".*")), "what is written aside is gone"
    path.unlink()
    printed(capfd, "two", "--save")
    assert json.loads(path.read_text()) == {"readability": before}


def fails(capfd: pytest.CaptureFixture[str], *args: object) -> str:
    capfd.readouterr()
    assert main(["readability", *map(str, args), "--json"]) == 1
    out, err = capfd.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1
    return err


def test_what_cannot_be_measured_is_said(store: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert "no model called 'nobody'" in fails(capfd, "nobody")
    assert "no split 'dev'" in fails(capfd, "one", "--split", "dev")
    assert "there is no member 1" in fails(capfd, "one/1")
    assert "there is no member 2" in fails(capfd, "two/2")
    assert "a classifier has no features" in fails(capfd, "classifier-256", "--dataset", "digits")
    assert str(tmp_path) in fails(capfd, "one", "--dataset", "mnist", "--data-dir", tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"readability": 3}',
        '{"readability": {"digits/test": {"n": "x"}}}',
        '{"readability": {"a": {"n": NaN}}}',
    ],
)
def test_a_damaged_file_is_named_and_stays(text: str, store: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = store / "one" / "metrics.json"
    path.write_text(text)
    assert str(path) in fails(capfd, "one", "--save")
    assert path.read_text() == text
