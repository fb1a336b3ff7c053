"""How like the training images a picture is: by hand, over MNIST, and what the pages say of what is no digit."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sae_core import load
from sae_core.datasets import load_dataset
from sae_core.files import CheckpointError
from sae_core.measure import features, likeness
from sae_core.pictures.prepare import prepare
from sae_core.store import catalogue
from tests.test_page_draw import a_seven, send, sent_to_pad
from tests.test_pages import open_page
from tests.test_preprocess import drawn

NO_DIGITS: dict[str, list[list[tuple[float, float]]]] = {
    "A": [[(60, 190), (112, 40), (164, 190)], [(82, 130), (142, 130)]],
    "42": [
        [(40, 60), (30, 120), (100, 120)],
        [(85, 60), (85, 180)],
        [(125, 80), (150, 60), (180, 80), (130, 170), (195, 170)],
    ],
    "scribble": [[(60, 60), (170, 80), (50, 120), (180, 150), (60, 180), (150, 40), (90, 190), (180, 100), (40, 90)]],
}
DIGITS: dict[str, list[list[tuple[float, float]]]] = {
    "3": [[(70, 50), (112, 40), (150, 65), (112, 105), (155, 140), (112, 180), (65, 165)]],
    "7": [[(67, 56), (157, 56), (100, 180)]],
    "1": [[(112, 40), (112, 180)]],
    "4": [[(90, 40), (70, 120), (160, 120)], [(140, 60), (140, 190)]],
}


def pad(lines: list[list[tuple[float, float]]]) -> np.ndarray:
    """[224, 224] uint8: the lines as a pad draws them."""
    return np.round(np.maximum.reduce([drawn(line, 19) for line in lines]) * 255).astype(np.uint8)


def test_surprise_by_hand() -> None:
    """Two classes of 4 images; the first latent is on half of class 0 and all of class 1, the second on none of it."""
    rates = np.array([[0.5, 1.0], [0.25, 0.0]])
    bits = likeness.surprise(
        np.array([[1.0, 0.0], [0.0, 3.0], [2.0, 1.0], [0.0, 0.0]]), np.array([1.0, 2.0]), rates, np.array([4, 4])
    )
    # 2 bits for 1/4 of class 0, 3 for none of four of class 1; energies 4 : 4 in the third.
    assert bits.tolist() == [0.0, 2.0, 1.5, 3.0]
    assert likeness.surprise(np.ones((1, 2)), np.ones(2), rates, np.array([4, 0])).tolist() == [1.5]
    only = np.array([[1e20, 0.0]], np.float32)  # whose square float32 does not hold
    norms = np.ones(2, np.float32)
    assert likeness.surprise(only, norms, rates, np.array([4, 1])).tolist() == [0.0], "by the class of one image"


def test_the_energy_of_a_latent_has_the_length_of_its_own_row() -> None:
    sae, stats = load("topk-1024-k50"), features.read(catalogue.find("topk-1024-k50")[0], "digits", "train")
    x = load_dataset("digits", "test").x[:3]
    with torch.no_grad():
        sae.W_dec *= torch.linspace(0.5, 2, len(sae.W_dec))[:, None]
        acts = sae(torch.tensor(x)).acts.numpy()
    norms = np.sqrt(np.square(sae.W_dec.detach().numpy()).sum(1))
    wanted = likeness.surprise(acts, norms, stats.class_rates, stats.class_n)
    np.testing.assert_allclose(likeness.read_off(sae, stats, x).surprise, wanted, rtol=1e-5)


def test_shares_are_those_of_the_images(tmp_path: Path) -> None:
    """Against a count, without quantiles; stored and read again it is the same."""
    sae, train = load("topk-1024-k50"), load_dataset("digits", "train")
    stats = features.read(catalogue.find("topk-1024-k50")[0], "digits", "train")
    spread = likeness.measure(sae, stats, train)
    assert (spread.dataset, spread.split, spread.n) == ("digits", "train", len(train))
    reading = likeness.read_off(sae, stats, train.x)
    for i in (0, 5, 70, int(reading.error.argmax())):
        one = likeness.Reading(reading.error[[i]], reading.surprise[[i]])
        counted = [float((v < v[i]).mean()) for v in reading]
        np.testing.assert_allclose(spread.shares(one), counted, atol=0.006)
    likeness.save(spread, tmp_path)
    again = likeness.read(tmp_path, "digits", "train")
    np.testing.assert_allclose(again.error, spread.error, rtol=1e-5)
    assert (again.dataset, again.split, again.n) == ("digits", "train", len(train))
    file = tmp_path / "likeness-digits-train.json"
    kept = json.loads(file.read_text())
    likeness.save(replace(spread, error=np.ones(201)), tmp_path, member=3)
    assert (tmp_path / "likeness-digits-train-member3.json").is_file() and json.loads(file.read_text()) == kept
    assert likeness.read(tmp_path, "digits", "train", member=3).error.tolist() == [1] * 201, "all may be the same"
    ends = [[*kept["error"][:-1], end] for end in (float("inf"), float("nan"), 0.0)]
    for wrong in ({"n": 3}, *({**kept, "error": error} for error in (*ends, kept["error"][:-1], [1.0, 0.0]))):
        file.write_text(json.dumps(wrong))
        with pytest.raises(CheckpointError, match="likeness-digits-train"):
            likeness.read(tmp_path, "digits", "train")


def test_what_is_bundled_is_mnists(mnist_dir: Path) -> None:
    train = load_dataset("mnist", "train", mnist_dir)
    for name in ("topk-1024-k50", "relu-l1-1024"):
        folder = catalogue.find(name)[0]
        made = likeness.measure(load(name), features.read(folder, "mnist", "train"), train)
        kept = likeness.read(folder, "mnist", "train")
        assert kept.n == made.n == 10_000
        np.testing.assert_allclose(kept.error, made.error, rtol=1e-4)
        np.testing.assert_allclose(kept.surprise, made.surprise, rtol=1e-4)


def test_every_bundled_sae_has_it() -> None:
    for checkpoint in catalogue.list_checkpoints()[0]:
        for member in range(checkpoint.members if checkpoint.is_sae else 0):
            assert likeness.read(checkpoint.path, checkpoint.training["data"], "train", member).n == 10_000


@pytest.mark.parametrize("name", ["topk-1024-k50", "relu-l1-1024", "tied-topk-1024-k50"])
def test_drawn_digits_are_like_and_others_are_not(name: str) -> None:
    sae, folder = load(name), catalogue.find(name)[0]
    stats, spread = features.read(folder, "mnist", "train"), likeness.read(folder, "mnist", "train")

    def most(lines: list[list[tuple[float, float]]]) -> float:
        return max(spread.shares(likeness.read_off(sae, stats, prepare(pad(lines) / 255)[None])))

    assert {k: most(v) for k, v in DIGITS.items() if most(v) >= 0.9} == {}
    assert {k: most(v) for k, v in NO_DIGITS.items() if most(v) < 0.9} == {}


@pytest.mark.case("not a digit")
@pytest.mark.parametrize("what", NO_DIGITS)
def test_the_page_says_how_unlike_a_digit_it_is(what: str) -> None:
    at = open_page("pages/1_Draw.py")
    send(at, px=base64.b64encode(pad(NO_DIGITS[what]).tobytes()).decode())
    assert not at.exception, at.exception
    lead = r"This picture is (unlike|unusual among) the training images: the error .* larger than that of (\d+ %|all)"
    for said in (sent_to_pad(at)["said"][-1], next(i.value for i in at.info if "training images" in i.value)):
        assert re.search(lead, said), said
        assert "(mnist/train, the first n = 10,000)" in said


@pytest.mark.case("not a digit")
def test_a_digit_is_said_to_be_like_the_training_images() -> None:
    at = open_page("pages/1_Draw.py")
    send(at, px=base64.b64encode(a_seven().tobytes()).decode())
    assert sent_to_pad(at)["said"] == []
    assert any(c.value.startswith("This picture is like the training images") for c in at.caption)
