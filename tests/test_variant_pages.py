"""Every registered SAE is trained by the command line, and opens on every page."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
import torch

from sae_core import cli, files, load
from sae_core.datasets import load_dataset
from sae_core.store import catalogue
from sae_core.variants import registry
from tests.test_pages import PAGES, open_page
from ui.base import models
from ui.live.model import _wanted

pytestmark = [pytest.mark.without_mnist, pytest.mark.slow]
VARIANTS = sorted(registry())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One model of each variant, hardly trained, under the variant's name."""
    out = tmp_path_factory.mktemp("variants")
    few = ["--dataset", "digits", "--out", str(out), "--device", "cpu", "--epochs", "6"]
    for variant in VARIANTS:
        assert cli.main(["train", variant, *few, "--d-sae", "64", "--name", variant]) == 0
    return out


@pytest.fixture
def here(store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAE_CHECKPOINTS", str(store))
    return store


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("page", PAGES)
def test_it_opens_on_every_page(here: Path, variant: str, page: str) -> None:
    at = open_page(page, model=variant, data="digits", image="digits-test-3", feature="17")
    assert not at.exception, at.exception
    assert at.session_state["chosen_model"] == variant and len(at.title) == 1
    assert not at.warning and not at.error


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_browser_is_sent_all_that_a_picture_activates(here: Path, variant: str) -> None:
    """Where a model is too large to send: with these features alone the code is the same, in every pass."""
    x = load_dataset("digits", "test").x[3]
    sae = load(variant)
    sent = _wanted(models.listed()[0][variant], {"x": base64.b64encode(x.tobytes()), "features": []})
    form = sae.inference_form()
    whole, few = form.encode(x[None]), form.only(sent).encode(x[None])
    assert np.count_nonzero(whole) > 0 and set(whole[0].nonzero()[0]) <= set(sent)
    assert np.allclose(few, whole[:, sent], atol=1e-6)


def test_what_is_kept_says_what_it_is(here: Path) -> None:
    for variant in VARIANTS:
        found = catalogue.read(variant)
        assert found.variant == variant and found.metrics["digits/train"]["n"] == 1437
        assert found.path.joinpath("features-digits-train.safetensors").is_file()
        cfg, sae = files.read_json(found.path / "cfg.json"), load(variant)
        assert cfg["architecture"] == variant and cfg["apply_b_dec_to_input"] == (
            variant not in ("relu_l1", "tied_topk")
        )
        if variant != "tied_topk":  # which has none to subtract
            at_b_dec = sae._pre_acts(sae.b_dec[None])[0]
            assert torch.allclose(at_b_dec, sae.b_enc, atol=1e-4) == cfg["apply_b_dec_to_input"]
