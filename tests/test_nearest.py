"""Neighbours by code and by pixels, against the formulas computed outright."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sae_core.datasets import ImageSet
from sae_core.measure import neighbours
from sae_core.store import catalogue
from sae_core.variants import build
from sae_core.variants.topk import TopKConfig
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


def by_hand(x: list[list[float]]) -> tuple[neighbours.Codes, np.ndarray]:
    """Codes of pictures by a model whose code is the picture, of at most its two largest pixels."""
    sae = build("topk", TopKConfig(d_in=4, d_sae=4, k=2)).eval()
    with torch.no_grad():
        sae.W_enc.copy_(torch.eye(4))
        sae.W_dec.copy_(torch.eye(4))
        sae.b_enc.zero_()
        sae.b_dec.zero_()
    pictures = np.array(x, np.float32)
    codes = neighbours.Codes(sae, ImageSet(pictures, np.zeros(len(x), int), "made-up", "test"))
    codes.fill()
    return codes, pictures


@pytest.mark.parametrize("batch", [1, 2, 500])
def test_codes_by_hand(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_BATCH", batch)
    codes, _ = by_hand([[0, 0, 0, 0], [0, 0.7, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0.5], [0.3, 0.4, 0, 0], [1e-25, 0, 0, 0]])
    for _ in range(8):
        used = [np.full(6, 7.0) for _ in range(8)]  # whose memory small arrays are given
        del used
        near = codes.nearest(np.array([1, 0, 0, 0], np.float32), top=6)
        assert near.places.tolist() == [2, 5, 4, 0, 1, 3]
        assert near.value.tolist() == [1, pytest.approx(1), pytest.approx(0.6), 0, 0, 0]
    near = codes.nearest(np.array([0.3, 0.4, 0, 0], np.float32), leave_out=4, top=2)
    assert near.places.tolist() == [1, 2] and near.value.tolist() == pytest.approx([0.8, 0.6])


def test_ties_are_in_the_order_of_the_images() -> None:
    codes, pictures = by_hand([[0, i % 2, 0, 1] for i in range(100)])
    even = codes.nearest(pictures[0]).places
    assert even.tolist() == neighbours.nearest_pixels(pictures, pictures[0]).places.tolist() == [0, 2, 4, 6, 8]


def test_pixels_by_hand() -> None:
    few = np.array([[0, 0], [3, 4], [1, 0], [0, 2]], np.float32)
    near = neighbours.nearest_pixels(few, np.zeros(2, np.float32), leave_out=0)
    assert near.places.tolist() == [2, 3, 1] and near.value.tolist() == [1, 2, 5]
    # The nearest is not the one of the largest product, and who is left out need not be near.
    many = np.array([[1.5, 0]] * 40 + [[1, 0], [-9, 0]], np.float32)
    near = neighbours.nearest_pixels(many, np.array([1, 0], np.float32), leave_out=41, top=2)
    assert near.places.tolist()[0] == 40 and near.value.tolist() == [0, 0.5]


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
