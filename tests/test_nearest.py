"""Neighbours by code and by pixels, against the formulas computed outright."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sae_core.measure import neighbours
from sae_core.store import catalogue
from tests.test_page_hidden import sent
from tests.test_pages import open_page
from ui.base import models, state

pytestmark = pytest.mark.without_mnist
MODELS = ["topk-1024-k50", "relu-l1-1024", "exp3-kl-98-rho0.1"]
IMAGE = 7


def chosen(name: str) -> models.Model:
    c = catalogue.read(name)
    return models.Model(c.name, c.hash, c.path)


@pytest.mark.parametrize("name", MODELS)
def test_by_code(name: str) -> None:
    model, images = chosen(name), state.load_dataset("digits", "test")
    codes = neighbours.Codes(model.sae, images)
    heard: list[float] = []
    codes.fill(heard.append)
    assert heard[0] == 0 and heard[-1] == 1
    x = torch.from_numpy(np.array(images.x))
    acts = model.sae(model.sae.read(x)).acts.detach().numpy().astype(np.float64)
    cosine = acts @ acts[IMAGE] / (np.linalg.norm(acts, axis=1) * np.linalg.norm(acts[IMAGE]))
    near = codes.nearest(images.x[IMAGE], leave_out=IMAGE)
    cosine[IMAGE] = -np.inf
    np.testing.assert_allclose(near.value, np.sort(cosine)[::-1][: neighbours.SHOWN], atol=1e-5)
    np.testing.assert_allclose(cosine[near.places], near.value, atol=1e-5)
    assert codes.nearest(images.x[IMAGE]).places[0] == IMAGE


def test_a_run_that_is_ended_goes_on_where_it_was() -> None:
    images = state.load_dataset("digits", "test")
    codes = neighbours.Codes(chosen(MODELS[0]).sae, images)

    class Ended(Exception):
        pass

    def end(share: float) -> None:
        if share > 0:
            raise Ended

    with pytest.raises(Ended):
        codes.fill(end)
    codes.fill()
    assert codes.nearest(images.x[IMAGE]).places[0] == IMAGE


def test_by_pixels() -> None:
    images = state.load_dataset("digits", "test").x
    distance = np.linalg.norm(images.astype(np.float64) - images[IMAGE], axis=1)
    near = neighbours.nearest_pixels(images, images[IMAGE], leave_out=IMAGE)
    assert IMAGE not in near.places
    np.testing.assert_allclose(near.value, np.sort(distance)[1 : neighbours.SHOWN + 1], rtol=1e-6)
    np.testing.assert_allclose(distance[near.places], near.value, rtol=1e-6)
    assert neighbours.nearest_pixels(images, images[IMAGE]).value[0] == 0


def test_the_empty_code_is_near_nothing() -> None:
    model, images = chosen("relu-l1-1024"), state.load_dataset("digits", "test")
    codes = neighbours.Codes(model.sae, images)
    codes.fill()
    near = codes.nearest(np.zeros(784, np.float32))
    assert np.isfinite(near.value).all() and len(near.places) == neighbours.SHOWN


def test_the_page_shows_both_without_the_picture_itself() -> None:
    at = open_page("pages/1_Draw.py", data="digits", image=f"digits-test-{IMAGE}")
    assert not at.exception, at.exception
    for key in ("nearest-code", "nearest-pixels"):
        tiles = sent(at, "live_tiles", key)["tiles"]
        assert len(tiles) == neighbours.SHOWN
        assert f"digits-test-{IMAGE}" not in [t["value"] for t in tiles]
        assert all(t["label"].startswith("digits/test image ") for t in tiles)
