"""An SAE that reads a classifier's hidden layer, in a real browser: live like any other, with Python's pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Page, expect

from sae_core import load, reference
from sae_core.measure.metrics import pearson
from tests.browser.test_draw import DRAW, numbers, stroke
from tests.browser.test_draw import ready as pad_ready
from tests.browser.test_steer import answered, grab, live, pixels, same_numbers
from tests.browser.test_steer import ready as strips_ready
from tests.browser.waiting import painted, settled

MODEL = "exp3-kl-98-rho0.1"
IMAGE = "digits-test-3"
QUERY = f"?model={MODEL}&data=digits&image={IMAGE}"
pytestmark = pytest.mark.skipif(
    not (Path(__file__).parents[2] / "checkpoints" / MODEL).is_dir(),
    reason=f"{MODEL} is not among the bundled models yet",
)


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    return torch.from_numpy(np.array(reference.find_picture(IMAGE).x))[None]


def same_picture(shown: list[int], picture: torch.Tensor) -> None:
    """Levels on the screen, and a picture that Python computed; one level apart where they round differently."""
    levels = np.round(np.clip(picture[0].numpy(), 0, 1) * 255)
    assert abs(np.array(shown) - levels).max() <= 1


def test_start_takes_it_apart(page: Page, app: str, x: torch.Tensor) -> None:
    page.goto(f"{app}/{QUERY}")
    root = page.locator("[data-testid=apart][data-terms]")
    expect(root).to_be_visible(timeout=60_000)
    sae = load(MODEL)
    n = int((sae(sae.read(x)).acts != 0).sum())
    page.get_by_role("slider", name="How many features are added").fill(str(n))
    expect(root).to_have_attribute("data-terms", str(n))
    same_picture(pixels(page, "reconstruction"), sae.picture(sae(sae.read(x)).x_hat))


def test_draw_shows_what_python_computes(page: Page, app: str, x: torch.Tensor) -> None:
    page.goto(f"{app}/Draw{QUERY}")
    pad_ready(page)
    settled(page)
    sae = load(MODEL)
    h = sae.read(x)
    out = sae(h)
    assert abs(numbers(page)[0] - float(pearson(h, out.x_hat)[0])) < 1e-3
    active = json.loads(page.locator(DRAW).get_attribute("data-active") or "[]")
    assert set(active) == set(out.acts[0].nonzero()[:, 0].tolist())
    same_picture(pixels(page, "input"), x)
    same_picture(pixels(page, "kept"), sae.picture(h))
    same_picture(pixels(page, "reconstruction"), sae.picture(out.x_hat))
    assert page.get_by_test_id("code-map").evaluate("c => [c.width, c.height]") == [10, 10]
    # And while drawing.
    stroke(page, (0.3, 0.25), (0.7, 0.25), (0.45, 0.8), release=False)
    painted(page)
    assert json.loads(page.locator(DRAW).get_attribute("data-active") or "[]") == active, "told on release only"
    assert pixels(page, "kept") != np.round(sae.picture(h)[0].numpy() * 255).astype(int).tolist()
    page.mouse.up()


def test_the_hidden_layer_has_a_picture_only_where_there_is_one(page: Page, app: str) -> None:
    page.goto(f"{app}/Draw{QUERY}")
    pad_ready(page)
    expect(page.get_by_test_id("kept")).to_be_visible()
    page.goto(f"{app}/Draw?model=topk-1024-k50&data=digits&image={IMAGE}")
    pad_ready(page)
    expect(page.locator(f"{DRAW}[data-reads=pixels]")).to_be_visible()
    expect(page.get_by_test_id("kept")).to_be_hidden()
    assert page.get_by_test_id("code-map").evaluate("c => [c.width, c.height]") == [32, 32]


def test_the_wall_shows_the_rows_as_pictures(page: Page, app: str) -> None:
    page.goto(f"{app}/Features{QUERY}")
    wall = page.locator("[data-testid=wall][data-features='98']")
    wall.wait_for(timeout=60_000)
    wall.click(position={"x": 29 + 14, "y": 14})
    page.wait_for_selector("[data-testid=feature-detail][aria-label='Feature 1']")
    canvas = page.locator("[data-testid=feature-detail] canvas")
    canvas.nth(1).wait_for()
    for i, rows in enumerate(load(MODEL).row_pictures()):
        shown = canvas.nth(i).evaluate("c => Array.from(c.getContext('2d').getImageData(0, 0, 28, 28).data)")
        red, blue = np.array(shown).reshape(784, 4)[:, [0, 2]].T
        row = rows[1] / abs(rows[1]).max()
        assert (red > blue)[row > 0.05].all() and (blue > red)[row < -0.05].all()


def test_steer_is_live_and_python_agrees(page: Page, app: str, x: torch.Tensor) -> None:
    page.goto(f"{app}/Steer{QUERY}")
    strips_ready(page)
    sae = load(MODEL)
    h = sae.read(x)
    same_picture(pixels(page, "original"), x)
    same_picture(pixels(page, "steered"), sae.picture(h))
    same_picture(pixels(page, "reconstruction"), sae.picture(sae(h).x_hat))
    assert set(pixels(page, "difference")) == {0}
    same_numbers(page)
    before = pixels(page, "steered")
    grab(page, page.get_by_test_id("strip-slider").first, 0)
    page.wait_for_function("root => root.dataset.change > 0", arg=page.get_by_test_id("steer").element_handle())
    assert pixels(page, "steered") != before
    assert live(page)["answered"] == "0", "Python was asked before the release"
    page.mouse.up()
    answered(page, 1)
    same_numbers(page)
    page.get_by_test_id("mode-plain").check()
    answered(page, 2)
    same_numbers(page)
    page.get_by_test_id("reset").click()
    expect(page.get_by_test_id("steer")).to_have_attribute("data-change", "0")
    assert pixels(page, "steered") == pixels(page, "reconstruction")
    page.get_by_test_id("mode-error-preserving").check()
    expect(page.get_by_test_id("steer")).to_have_attribute("data-change", "0")
    assert pixels(page, "steered") == before
