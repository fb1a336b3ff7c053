"""What edits make of the picture, against Python; and that no edit is lost, or made, on the way."""

from __future__ import annotations

import itertools
import json
import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page, expect

from benchmarks.browser import dashboard
from sae_core import load, reference
from sae_core.steering import edits as steering
from sae_core.steering.edits import Edit
from sae_core.steering.recipes import Recipe, pack, to_json
from sae_core.store.checkpoints import load_classifier
from tests.browser.conftest import stops_a_server
from tests.browser.test_steer import HIDDEN, IMAGE, answered, by_code, edits_on, grab, live, ready, same_numbers
from tests.browser.waiting import painted, settled
from ui.base import models
from ui.live.classifier import DEFAULT

PIXEL = "topk-1024-k50"
RED_BLUE = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, 28, 28);
  return Array.from({ length: 784 }, (_, i) => [data[4 * i], data[4 * i + 2]]);
}"""


def opened(page: Page, app: str, model: str = PIXEL, image: str = IMAGE) -> None:
    page.goto(f"{app}/Steer?model={model}&data=digits&image={image}")
    ready(page)


def canvas(page: Page, name: str) -> np.ndarray:
    """[784, 2]: the red and the blue of a picture's pixels."""
    return np.array(page.get_by_test_id(name).evaluate(RED_BLUE))


def same_picture(page: Page, model: str, edits: Any, solo: list[int] | None = None) -> None:
    """The steered picture and the difference are Python's, in both modes."""
    sae = load(model)
    x = torch.from_numpy(np.array(reference.find_picture(IMAGE).x))[None]
    for mode in ("plain", "error-preserving"):
        page.get_by_test_id(f"mode-{mode}").check()
        painted(page)
        result = steering.steer(sae, x, edits, mode, solo)
        levels = np.round(255 * result.steered[0].clamp(0, 1).numpy())
        assert abs(canvas(page, "steered")[:, 0] - levels).max() <= 1
        before = x if sae.reader is None else (result.x_hat if mode == "plain" else sae.picture(sae.read(x)))
        change = (result.steered - before)[0].numpy()
        red, blue = canvas(page, "difference").T
        assert (red > blue)[change > 0.1].all() and (blue > red)[change < -0.1].all()
        assert (abs(change) > 0.1).any(), "nothing changed: this would show nothing"


@pytest.mark.parametrize("model", [PIXEL, HIDDEN])
def test_set_scale_and_alone_make_pythons_picture(page: Page, app: str, model: str) -> None:
    opened(page, app, model)
    strip = page.get_by_test_id("strip").nth(1)
    f = int(strip.get_attribute("data-feature") or "")
    strip.get_by_test_id("strip-more").click()
    strip.get_by_test_id("strip-set").fill("3.5")
    strip.get_by_test_id("strip-set").press("Enter")
    same_picture(page, model, {f: 3.5})
    strip.get_by_test_id("strip-scale").fill("-1")
    strip.get_by_test_id("strip-scale").press("Enter")
    same_picture(page, model, {f: Edit("scale", -1.0)})
    strip.get_by_test_id("strip-solo").click()
    same_picture(page, model, {f: Edit("scale", -1.0)}, [f])
    same_numbers(page)
    page.get_by_test_id("undo").click()
    page.get_by_test_id("undo").click()
    page.get_by_test_id("undo").click()
    assert live(page)["solo"] == "", "Undo leaves the others off"


def test_a_clamp_from_a_recipe_stays_one(page: Page, app: str, tmp_path: Path) -> None:
    model, f = models.listed()[0][PIXEL], by_code(PIXEL)[0]
    edits = {f: Edit("clamp", low=0.0, high=0.5)}
    page.goto(f"{app}/Steer?recipe={pack(Recipe('held', model.id, edits, 'plain', None, IMAGE))}")
    page.get_by_test_id("strip").first.wait_for(timeout=60_000)
    assert edits_on(page) == {f: 0.5}
    same_picture(page, PIXEL, edits)
    page.get_by_test_id("strip-toggle").nth(3).uncheck()
    same_numbers(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON", exact=True).click()
    download.value.save_as(tmp_path / "it.json")
    assert '"clamp"' in (tmp_path / "it.json").read_text()


def test_a_recipe_brings_its_mode(page: Page, app: str, tmp_path: Path) -> None:
    opened(page, app)
    model, f = models.listed()[0][PIXEL], by_code(PIXEL)[0]
    (tmp_path / "r.json").write_text(json.dumps(to_json(Recipe("r", model.id, {f: 0.0}, "plain", None, IMAGE))))
    page.locator("input[type=file]").last.set_input_files(tmp_path / "r.json")
    expect(page.get_by_test_id("steer")).to_have_attribute("data-edits", "1")
    expect(page.get_by_test_id("mode-plain")).to_be_checked()
    same_numbers(page)


def test_off_and_on_brings_the_edit_back(page: Page, app: str) -> None:
    opened(page, app)
    grab(page, page.get_by_test_id("strip-slider").first, 0.9)
    page.mouse.up()
    mine, toggle = edits_on(page), page.get_by_test_id("strip-toggle").first
    toggle.uncheck()
    assert edits_on(page) != mine
    toggle.check()
    assert edits_on(page) == mine


def test_what_cannot_be_typed_is_said(page: Page, app: str) -> None:
    opened(page, app)
    used = by_code(PIXEL)
    f = next(g for g in range(1024) if g not in used)
    page.get_by_test_id("add-number").fill(str(f))
    page.get_by_test_id("add").click()
    strip = page.locator(f"[data-testid=strip][data-feature='{f}']")
    strip.get_by_test_id("strip-more").click()
    strip.get_by_test_id("strip-scale").fill("2")
    strip.get_by_test_id("strip-scale").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("nothing to multiply")
    strip.get_by_test_id("strip-set").fill("1e9")
    strip.get_by_test_id("strip-set").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("no number that a feature can have")
    assert live(page)["edits"] == "0"


def test_undo_by_key_leaves_the_focus_where_it_was(page: Page, app: str) -> None:
    opened(page, app)
    toggle = page.get_by_test_id("strip-toggle").nth(2)
    toggle.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Control+z")
    expect(page.get_by_test_id("steer")).to_have_attribute("data-edits", "0")
    expect(toggle).to_be_focused()
    page.keyboard.press("Control+Shift+z")
    expect(page.get_by_test_id("steer")).to_have_attribute("data-edits", "1")
    slider = page.get_by_test_id("strip-slider").nth(4)
    slider.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    expect(page.get_by_test_id("steer")).to_have_attribute("data-edits", "2")
    page.keyboard.press("Control+z")  # the five are one
    expect(page.get_by_test_id("steer")).to_have_attribute("data-edits", "1")
    for key in ("ArrowRight", "ArrowLeft"):
        slider.press(key)
    expect(page.get_by_test_id("steer")).to_have_attribute("data-edits", "1")  # there and back is no edit


def test_a_swipe_over_a_slider_is_no_edit(phone: Page, app: str) -> None:
    page = phone
    opened(page, app)
    slider = page.get_by_test_id("strip-slider").nth(4)
    slider.evaluate("e => e.scrollIntoView({ block: 'center' })")
    page.get_by_test_id("strips").evaluate("e => { e.scrollTop = 0; }")
    box = slider.bounding_box()
    assert box
    x, y = box["x"] + 0.2 * box["width"], box["y"] + box["height"] / 2
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        at = [{"x": px, "y": py} for px, py in points]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    before = page.get_by_test_id("strips").evaluate("e => e.scrollTop")
    touch("touchStart", (x, y))
    for i in range(1, 13):
        touch("touchMove", (x, y - 12 * i))
        painted(page)
    touch("touchEnd")
    settled(page)
    assert page.get_by_test_id("strips").evaluate("e => e.scrollTop") > before, "nothing was scrolled"
    assert live(page)["edits"] == "0"


def test_edits_are_taken_along_to_another_picture(page: Page, app: str) -> None:
    opened(page, app)
    carry = page.get_by_test_id("carry")
    expect(carry).to_be_hidden()
    page.get_by_test_id("strip-toggle").first.uncheck()
    strip = page.get_by_test_id("strip").nth(1)
    f = int(strip.get_attribute("data-feature") or "")
    strip.get_by_test_id("strip-more").click()
    strip.get_by_test_id("strip-scale").fill("3")
    strip.get_by_test_id("strip-scale").press("Enter")
    answered(page, 2)
    mine = edits_on(page)
    page.get_by_role("button", name="Another").click()
    expect(page.get_by_test_id("steer")).to_have_attribute("data-edits", "0")
    expect(carry).to_have_text("Take along the 2 edits of the picture before")
    carry.click()
    expect(carry).to_be_hidden()
    x = torch.from_numpy(np.array(reference.find_picture("digits-test-4").x))[None]
    acts = load(PIXEL).encode(x)[0]
    off = next(g for g in mine if g != f)
    wanted = {g: v for g, v in ((off, 0.0), (f, 3 * float(acts[f]))) if abs(v - float(acts[g])) > 1e-6}
    assert edits_on(page) == pytest.approx(wanted, abs=1e-4)
    same_numbers(page)


def test_strips_by_their_effect(page: Page, app: str) -> None:
    opened(page, app)
    order = "items => items.map(item => +item.dataset.feature)"
    by_activation = page.get_by_test_id("strip").evaluate_all(order)
    page.get_by_test_id("group").select_option("effect")
    found = page.get_by_test_id("strip").evaluate_all(order)
    assert found != by_activation and sorted(found) == sorted(by_activation)
    sae = load(PIXEL)
    x, net = torch.from_numpy(np.array(reference.find_picture(IMAGE).x))[None], load_classifier(DEFAULT)
    with torch.no_grad():
        logits = net(x)[0]
        c = int(logits.argmax())

        def margin(logits: torch.Tensor) -> float:
            others = logits.clone()
            others[c] = -torch.inf
            return float(logits[c] - others.max())

        effect = []
        for f in found:
            steered = steering.steer(sae, x, {f: 0.0}).steered
            effect.append(abs(margin(net(steered.clamp(0, 1))[0]) - margin(logits)))
    assert all(a >= b - 1e-2 for a, b in itertools.pairwise(effect))
    assert effect[0] > 2 * effect[-1]


def test_a_figure_for_a_paper(page: Page, app: str, tmp_path: Path) -> None:
    opened(page, app)
    page.get_by_test_id("strip-toggle").first.uncheck()
    f = by_code(PIXEL)[0]
    with page.expect_download() as download:
        page.get_by_test_id("figure").click()
    download.value.save_as(tmp_path / "it.svg")
    root = ElementTree.parse(tmp_path / "it.svg").getroot()
    assert len(root.findall("{http://www.w3.org/2000/svg}image")) == 4
    words = " ".join(e.text or "" for e in root.iter("{http://www.w3.org/2000/svg}text"))
    assert PIXEL in words and f"#{f}:" in words and "→ 0.00" in words and "L0 50 → 49" in words


# ---- a server that does not answer


@stops_a_server
def test_an_edit_made_while_the_server_is_busy_arrives(
    page: Page, app: str, standstill: Callable[[], AbstractContextManager[None]]
) -> None:
    opened(page, app)
    sidebar = page.get_by_test_id("stSidebar")
    with standstill():
        page.get_by_test_id("strip-toggle").first.uncheck()
        sidebar.get_by_role("link", name="Draw").click()
        painted(page)
    page.get_by_test_id("pad").wait_for(timeout=30_000)
    sidebar.get_by_role("link", name="Steer").click()
    page.get_by_test_id("strip").first.wait_for(timeout=30_000)
    expect(page.get_by_test_id("steer")).to_have_attribute("data-edits", "1")
    assert float(live(page)["change"]) > 0
    same_numbers(page)


@stops_a_server
def test_a_server_that_starts_again_is_told_the_edits(browser: Browser) -> None:
    with dashboard() as (url, pid):
        page = browser.new_page()
        opened(page, url)
        page.get_by_test_id("strip-toggle").first.uncheck()
        answered(page, 1)
        os.kill(pid, signal.SIGKILL)
        expect(page.get_by_test_id("stApp")).not_to_have_attribute("data-test-connection-state", "CONNECTED")
        page.get_by_test_id("strip-toggle").nth(1).uncheck()
        with dashboard(port=int(url.rpartition(":")[2])):
            page.wait_for_function(
                """() => [...document.querySelectorAll("[data-testid=stMetricValue]")].some(
                     (e) => e.innerText.startsWith("48"))""",
                timeout=45_000,
            )
            expect(page.get_by_test_id("steer")).to_have_attribute("data-l0", "48")
            same_numbers(page)
            page.close()
