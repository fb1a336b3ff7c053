"""A data set that is no MNIST: five classes of 20×20 pictures, in a file of its own as a user would add it."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from sae_core import cli, datasets, load, load_dataset, reference
from sae_core.figures import charts, pictures
from sae_core.measure.lists import key_features
from sae_core.pictures.prepare import prepare
from sae_core.pictures.sides import side_of
from sae_core.pictures.upload import prepare_upload
from sae_core.steering.recipes import Recipe, to_code
from sae_core.store import catalogue
from tests.conftest import needs_node
from tests.test_page_draw import a_seven, sent_to_pad
from tests.test_page_draw import send as draw
from tests.test_pages import PAGES, ROOT, open_page
from ui.base import models
from ui.live.classifier import classifier_for

pytestmark = pytest.mark.without_mnist
SHAPES = '''
"""Five shapes of 20×20 pixels."""

import numpy as np

from sae_core.datasets import ImageSet, register

NAMES = ("bar", "beam", "cross", "ring", "disc")


@register("shapes", description="five shapes, 20×20", splits=("train", "test"), class_names=NAMES,
          is_here=lambda data_dir: True, side=20)
def load(split, data_dir):
    rng = np.random.default_rng(split == "test")
    n = 400 if split == "train" else 9
    labels = np.arange(n) % 5
    y, x = np.mgrid[:20, :20] - 9.5
    r = np.hypot(y, x)
    shapes = np.stack([abs(x) < 2, abs(y) < 2, (abs(x) < 1.5) | (abs(y) < 1.5), abs(r - 6) < 1.5, r < 6])
    found = np.clip(shapes[labels] * rng.uniform(0.6, 1, (n, 1, 1)) + rng.uniform(0, 0.2, (n, 20, 20)), 0, 1)
    return ImageSet(found.reshape(n, 400).astype(np.float32), labels.astype(np.int64), "shapes", split)
'''
NAMES = ["bar", "beam", "cross", "ring", "disc"]
SAE, READER = "topk-64-k8-shapes", "classifier-400-shapes"


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data set is there, and an SAE and a classifier were trained on it by the command line."""
    folder = tmp_path_factory.mktemp("shapes")
    (folder / "shapes.py").write_text(SHAPES, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("shapes", folder / "shapes.py")
    assert spec and spec.loader
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    out = folder / "checkpoints"
    try:
        few = ["--dataset", "shapes", "--out", str(out), "--device", "cpu", "--epochs", "4"]
        assert cli.main(["train", "topk", *few, "--d-sae", "64", "--k", "8"]) == 0
        assert cli.main(["train", "classifier", *few, "--lr", "0.01", "--epochs", "8"]) == 0
        yield out
    finally:
        datasets._REGISTRY.pop("shapes")


@pytest.fixture
def here(shapes: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAE_CHECKPOINTS", str(shapes))
    return shapes


def test_what_was_trained_has_its_data_sets_size_and_classes(here: Path) -> None:
    sae, classifier = catalogue.read(SAE), catalogue.read(READER)
    assert (sae.config["d_in"], sae.side, classifier.side) == (400, 20, 20)
    assert classifier.config["classes"] == 6 and classifier.class_names == (*NAMES, "scrambled")
    assert set(sae.metrics) == {"shapes/train", "shapes/test"}, "the embedded digits have another size"
    m = classifier.metrics["shapes/train"]
    assert m["n"] == 800 and m["accuracy_digits"] > 0.9
    assert catalogue.read("exp3-classifier").class_names == (*"0123456789", "no digit")
    assert catalogue.read("classifier-256").class_names == tuple("0123456789")


def test_a_scrambled_picture_is_of_the_class_after_the_data_sets_own(here: Path, capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["evaluate", READER, "--dataset", "shapes", "--split", "train", "--device", "cpu", "--json"]) == 0
    m = json.loads(capsys.readouterr().out)
    assert m == pytest.approx(catalogue.read(READER).metrics["shapes/train"], abs=1e-4)
    assert m["accuracy"] != m["accuracy_digits"]
    few = ["--dataset", "shapes", "--out", str(here), "--device", "cpu"]
    assert cli.main(["train", "classifier", *few, "--classes", "5"]) == 1
    assert "5 classes and that of scrambled images, but the model has 5" in capsys.readouterr().err


def test_its_features_are_described_and_shown(here: Path) -> None:
    stats = models.listed()[0][SAE].stats("shapes")
    assert stats.class_rates.shape == (64, 5) and stats.mean_picture.shape == (64, 400)
    lists = key_features(stats, "lift")
    assert len(lists) == 5 and all(len(one) for one in lists)
    f = int(lists[3][0])
    bars = charts.class_rates(f, stats.class_rates[f], stats.class_n, NAMES, float(stats.frequency[f]), "shapes/train")
    assert list(bars.data[0].x) == NAMES
    assert pictures.png(stats.mean_picture[f] / 255).startswith("data:image/png")


def test_a_picture_of_it_is_named_and_found_again(here: Path) -> None:
    picture = reference.find_picture("shapes-test-3")
    assert picture.what == "shapes/test image 3, a ring" and picture.x.shape == (400,)
    again = reference.find_picture(reference.drawn(picture.x, "mine").ref)
    assert np.abs(again.x - picture.x).max() <= 0.5 / 255
    for wrong in (401, 101**2):
        with pytest.raises(ValueError, match="no square picture of at most 100×100"):
            reference.find_picture(reference.drawn(np.zeros(wrong), "mine").ref)
    assert [side_of(n) for n in (1, 400, 784)] == [1, 20, 28]


@pytest.mark.parametrize("picture", ["shapes-test-3", None])
def test_a_recipe_is_code_that_runs(here: Path, picture: str | None) -> None:
    code = to_code(Recipe("mine", f"{SAE}@{catalogue.read(SAE).hash}", edits={3: 1.0}, picture=picture))
    found: dict = {}
    exec(code, found)
    assert found["picture"].shape == (20, 20)


@pytest.mark.parametrize("side", [20, 28, 35])
def test_a_drawing_fills_as_large_a_share_of_the_frame(side: int, tmp_path: Path) -> None:
    drawing = a_seven()
    found = prepare(drawing / 255, side).reshape(side, side)
    rows, columns = np.flatnonzero(found.max(1) > 0.3), np.flatnonzero(found.max(0) > 0.3)
    longest = max(np.ptp(rows), np.ptp(columns)) + 1
    assert longest == round(side * 20 / 28)
    middle = [(found.sum(axis) @ np.arange(side)) / found.sum() for axis in (1, 0)]
    assert middle == pytest.approx([side // 2] * 2, abs=0.75)
    (tmp_path / "drawing").write_bytes(drawing.tobytes())
    script = """
        import { readFileSync } from "node:fs";
        const { prepareDrawing } = await import(process.argv[1]);
        const gray = new Uint8Array(readFileSync(process.argv[2]));
        console.log(JSON.stringify([...prepareDrawing(gray, 224, 224, +process.argv[3])]));
    """
    module = (ROOT / "ui" / "draw" / "prepare.js").as_uri()
    command = [needs_node(), "--input-type=module", "-e", script, module, str(tmp_path / "drawing"), str(side)]
    there = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert np.array_equal(np.array(there, np.float32), found.ravel())


def test_its_own_picture_comes_back_from_a_file_as_it_is(here: Path) -> None:
    x = np.round(load_dataset("shapes", "test").x[3] * 255) / 255
    data = base64.b64decode(pictures.png(x).partition(",")[2])
    assert np.array_equal(prepare_upload(data, 20), x.astype(np.float32))
    assert prepare_upload(data).shape == (784,)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_with_it(page: str, here: Path) -> None:
    at = open_page(page, model=SAE, data="shapes", image="shapes-test-3", feature="17")
    assert not at.exception, at.exception
    assert not at.error and not at.warning, [w.value for w in [*at.error, *at.warning]]
    assert at.session_state["chosen_model"] == SAE
    assert at.sidebar.selectbox[1].options == ["shapes"], "only pictures that the model can read are offered"


def test_classes_are_called_by_their_names(here: Path) -> None:
    classifier = classifier_for(models.listed()[0][SAE])
    assert classifier is not None and (classifier.name, classifier.names, classifier.own) == (
        READER,
        [*NAMES, "scrambled"],
        5,
    )
    at = open_page("pages/3_Steer.py", model=SAE, data="shapes", image="shapes-test-3")
    wanted = next(s for s in at.selectbox if s.label == "The classifier should say")
    assert wanted.options == [*NAMES, "scrambled"] and wanted.value in range(5)
    at = open_page("pages/4_Digits.py", model=SAE, data="shapes")
    assert not at.exception and any("ring" in str(b.options) for b in [*at.selectbox, *at.button_group])


def test_what_is_drawn_becomes_a_picture_of_its_size(here: Path) -> None:
    at = open_page("pages/1_Draw.py", model=SAE, data="shapes")
    assert sent_to_pad(at)["side"] == 20
    draw(at, px=base64.b64encode(a_seven().tobytes()).decode(), frame=20)
    assert not at.exception, at.exception
    x = reference.find_picture(at.session_state["chosen_image"]).x
    assert np.array_equal(x, prepare(a_seven() / 255, 20))
    with torch.no_grad():
        assert load(SAE)(torch.from_numpy(x)[None]).x_hat.shape == (1, 400)


def test_a_picture_of_another_size_is_refused_in_words(here: Path) -> None:
    at = open_page("pages/1_Draw.py", model=SAE, data="shapes", image="digits-test-3")
    assert not at.exception, at.exception
    assert any("784 pixels, and this model reads pictures of 20×20" in w.value for w in at.warning)
    assert sent_to_pad(at)["picture"]["key"] == "shapes-test-8", "the ninth and last image stands for the example"


def test_who_changes_to_a_model_of_another_size_is_told_why_the_pictures_change(here: Path) -> None:
    at = open_page("app.py", model=SAE, data="digits")
    said = [w.value for w in at.warning]
    assert f"{SAE} reads pictures of 20×20, and those of digits have another size; this is shapes." in said
    at = open_page("app.py", model=SAE, data="letters")
    assert any("no data set 'letters' here" in w.value for w in at.warning)


def test_words_count_the_pixels_of_its_pictures(here: Path) -> None:
    at = open_page("app.py", model=SAE, data="shapes")
    assert any("stand for 400 pixels" in m.value for m in at.markdown)
    for page in (ROOT / "ui").rglob("*.html"):
        assert not re.search(r"\b784\b|28×28", page.read_text(encoding="utf-8")), page
