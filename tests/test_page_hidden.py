"""The pages with an SAE that reads a classifier's hidden layer: a new one that is in memory only, and the bundled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from sae_core import files, reference
from sae_core.datasets import load_dataset
from sae_core.measure import describe, features, neighbours
from sae_core.measure.metrics import mse, pearson
from sae_core.models.classifier import GeneratorConfig
from sae_core.models.network import Network
from sae_core.models.sae import SAE
from sae_core.steering.edits import PLAIN, steer
from sae_core.store import catalogue
from sae_core.variants import build, build_network
from tests.test_pages import PAGES, open_page
from ui.base import models, state

pytestmark = (
    pytest.mark.slow
)  # every page again, with models of a hidden layer; test_pages has them with those of pixels

ROOT = Path(__file__).parent.parent
BUNDLED = "exp3-kl-98-rho0.1"
IN_MEMORY = "in-memory"
IMAGE = "digits-test-3"
there = pytest.mark.skipif(
    not (ROOT / "checkpoints" / BUNDLED).is_dir(), reason=f"{BUNDLED} is not among the bundled models yet"
)


def _ready(network: Network) -> Any:
    network.round_weights()
    return network.eval().requires_grad_(False)


@pytest.fixture
def in_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SAE:
    """A new SAE on a new classifier, which the pages take for the trained model "in-memory"."""
    sae: SAE = _ready(build("kl"))
    sae.attach(
        _ready(build_network("classifier")), _ready(build_network("generator", GeneratorConfig(reads="by hand")))
    )
    cfg = files.read_json(ROOT / "checkpoints" / state.DEFAULT_MODEL / catalogue.CFG)
    del cfg["k"]
    shape = {"d_in": sae.config.d_in, "d_sae": sae.config.d_sae}
    cfg.update(shape, architecture="kl")
    reads = {"reads": "exp3-classifier"}  # of which the pages take the size of its pictures
    cfg["metadata"]["sae_core"].update(variant="kl", config={**shape, **reads})
    (tmp_path / IN_MEMORY).mkdir()
    files.write_json(tmp_path / IN_MEMORY / catalogue.CFG, cfg)
    monkeypatch.setenv("SAE_CHECKPOINTS", str(tmp_path))
    load = models._load
    monkeypatch.setattr(models, "_load", lambda path, *of: sae if path.name == IN_MEMORY else load(path, *of))
    return sae


@pytest.fixture(params=[IN_MEMORY, pytest.param(BUNDLED, marks=there)])
def model(request: pytest.FixtureRequest) -> models.Model:
    if request.param == IN_MEMORY:
        request.getfixturevalue("in_memory")
    c = catalogue.read(request.param)
    return models.Model(c.name, c.hash, c.path)


def opened(page: str, model: models.Model) -> AppTest:
    at = open_page(page, model=model.name, data="digits", image=IMAGE, feature="17")
    assert not at.exception, at.exception
    assert at.session_state["chosen_model"] == model.name
    return at


def sent(at: AppTest, kind: str, key: str | None = None) -> dict[str, Any]:
    """The data of the one mounted component of that kind (and id), as the browser gets it."""
    found = [json.loads(c.proto.json) for c in at.get("bidi_component") if c.proto.component_name == f"sae_{kind}"]
    found = [data for data in found if key is None or data.get("id") == key]
    assert len(found) == 1
    return found[0]


def metrics(at: AppTest) -> dict[str, str]:
    return {m.label: m.value for m in at.metric}


def batch() -> torch.Tensor:
    return torch.from_numpy(np.array(reference.find_picture(IMAGE).x))[None]


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens(page: str, model: models.Model) -> None:
    at = opened(page, model)
    assert len(at.title) == 1
    assert not at.error


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_with_statistics(page: str, in_memory: SAE, tmp_path: Path) -> None:
    features.save(describe.describe(in_memory, load_dataset("digits", "train")), tmp_path / IN_MEMORY)
    c = catalogue.read(IN_MEMORY)
    at = opened(page, models.Model(c.name, c.hash, c.path))
    assert not at.error and not at.info and not at.warning
    if "Steer" in page:
        assert len(sent(at, "steer_strips")["high"]) == in_memory.config.d_sae
    if "Features" in page:
        assert len(sent(at, "features_wall", "feature-wall")["notes"]) == in_memory.config.d_sae


def test_draw_measures_what_it_reads(model: models.Model) -> None:
    at = opened("pages/1_Draw.py", model)
    h = model.sae.read(batch())
    out = model.sae(h)
    assert h.shape == (1, model.sae.config.d_in)
    shown = metrics(at)
    assert shown["Pearson(h, ĥ)"] == f"{float(pearson(h, out.x_hat)[0]):.4f}"
    assert shown["MSE per unit"] == f"{float(mse(h, out.x_hat)[0]):.5f}"
    assert shown["L0"] == f"{int((out.acts != 0).sum())} of {model.sae.config.d_sae}"


@pytest.mark.parametrize("mode", ["error-preserving", "plain"])
def test_steer_tells_what_the_edits_change(model: models.Model, mode: str) -> None:
    at = opened("pages/3_Steer.py", model)
    x, sae = batch(), model.sae
    f = int(steer(sae, x, {}, mode).acts[0].argmax())
    data = sent(at, "steer_strips")
    seq = data["seq"]
    for edits in ({}, {f: 0.0}):
        seq += 1
        message = {"seq": seq, "ref": IMAGE, "model": data["model"], "mode": mode, "edits": edits, "added": []}
        at.session_state["steer"] = {"edits": message, "feature": None}
        at.run()
        assert not at.exception, at.exception
        result, untouched = steer(sae, x, edits, mode), steer(sae, x, {}, mode).steered
        assert torch.equal(untouched, sae.picture(sae.read(x))) == (mode != PLAIN)
        change = float((result.steered - untouched).abs().max())
        assert (change > 0) == bool(edits)
        shown = metrics(at)
        assert shown["Largest change"] == f"{change:.4f}"
        assert shown["Pearson(original, steered)"] == f"{float(pearson(x, result.steered)[0]):.4f}"
        assert shown["Pearson(original, reconstruction)"] == f"{float(pearson(x, result.x_hat)[0]):.4f}"


def test_neighbours_are_those_of_its_own_weights(model: models.Model) -> None:
    at = opened("pages/2_Features.py", model)
    form = model.sae.inference_form()
    for name, rows in (("encoder", form.W.T), ("decoder", form.D)):
        order, _ = neighbours.nearest(np.ascontiguousarray(rows), 17, 6)
        assert [t["value"] for t in sent(at, "live_tiles", f"nearest-{name}")["tiles"]] == order.tolist()


@pytest.mark.parametrize("page", PAGES)
def test_without_a_generator_the_page_says_so(page: str, in_memory: SAE) -> None:
    if "Experiments" in page:
        pytest.skip("it shows the documents' models, not the chosen one")
    in_memory.attach(in_memory.reader, None)
    c = catalogue.read(IN_MEMORY)
    at = opened(page, models.Model(c.name, c.hash, c.path))
    assert any("no image generator" in i.value for i in at.info)
    assert not [c for c in at.get("bidi_component") if c.proto.component_name == "sae_live_model"]


@pytest.mark.parametrize("page", PAGES)
def test_without_its_classifier_the_page_says_so(
    page: str, in_memory: SAE, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = files.read_json(tmp_path / IN_MEMORY / catalogue.CFG)
    cfg["metadata"]["sae_core"]["config"]["reads"] = "nowhere"
    files.write_json(tmp_path / IN_MEMORY / catalogue.CFG, cfg)
    monkeypatch.setattr(models, "_load", lambda *_: catalogue.read("nowhere"))  # as `load` looks for what it reads
    c = catalogue.read(IN_MEMORY)
    at = opened(page, models.Model(c.name, c.hash, c.path))
    assert "Experiments" in page or any("no model called 'nowhere'" in i.value for i in [*at.info, *at.error])
