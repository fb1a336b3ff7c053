"""Steering in a real browser: live while dragging, the same numbers as Python's, nothing lost on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import FloatRect, Locator, Page, expect

from sae_core import load, reference
from sae_core.steering import asking, sliders
from sae_core.steering.recipes import Recipe, pack
from sae_core.store.checkpoints import load_classifier
from tests.browser.waiting import painted, settled
from ui.base import models
from ui.live.classifier import DEFAULT

IMAGE = "digits-test-3"
HIDDEN = "exp3-kl-98-rho0.1"
PIXELS = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return Array.from({ length: data.length / 4 }, (_, i) => data[4 * i]);
}"""


@pytest.fixture
def steer(page: Page, app: str) -> Page:
    page.goto(f"{app}/Steer?model=topk-1024-k50&data=digits&image={IMAGE}")
    ready(page)
    return page


def ready(page: Page) -> None:
    page.get_by_test_id("strip").first.wait_for(timeout=60_000)
    expect(page.get_by_test_id("steer")).to_have_attribute("data-change", "0", timeout=10_000)


def pixels(page: Page, name: str) -> list[int]:
    """The red of each of the 784 pixels, which is its ink in all but the difference, once what was done is painted."""
    painted(page)
    return page.get_by_test_id(name).evaluate(PIXELS)


def live(page: Page) -> dict[str, str]:
    """What the page's root says of itself, once what was done is painted."""
    painted(page)
    return page.get_by_test_id("steer").evaluate("root => ({ ...root.dataset })")


def answered(page: Page, seq: int) -> None:
    expect(page.get_by_test_id("steer")).to_have_attribute("data-answered", str(seq), timeout=10_000)


PYTHONS = {
    "Pearson(original, reconstruction)": "pearson",
    "Pearson(original, steered)": "pearsonSteered",
    "Largest change": "change",
    "L0, edited": "l0",
}
"""Python's numbers by their labels, and where the browser has the same"""


def same_numbers(page: Page) -> None:
    """Python answers what the browser shows, as soon as both are done with what was pressed."""
    metrics = page.get_by_test_id("stMetric")
    values = [metrics.filter(has_text=label).get_by_test_id("stMetricValue").element_handle() for label in PYTHONS]
    page.wait_for_function(
        """([root, values, names]) => values.every((value, i) =>
             Math.abs(parseFloat(value.innerText) - +root.dataset[names[i]]) <= 1e-3)""",
        arg=[page.get_by_test_id("steer").element_handle(), values, list(PYTHONS.values())],
        timeout=10_000,
    )


def grab(page: Page, slider: Locator, share: float) -> FloatRect:
    """Press on a slider's thumb and drag it to that share of its width, without letting go."""
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box
    at = slider.evaluate("s => (s.value - s.min) / (s.max - s.min)")
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 9 + at * (box["width"] - 18), y)
    page.mouse.down()
    page.mouse.move(box["x"] + 9 + share * (box["width"] - 18), y, steps=8)
    return box


def test_untouched_the_steered_picture_is_the_input(steer: Page) -> None:
    levels = [round(float(v) * 255) for v in reference.find_picture(IMAGE).x]
    assert pixels(steer, "original") == levels
    assert pixels(steer, "steered") == levels
    assert set(pixels(steer, "difference")) == {0}
    assert pixels(steer, "reconstruction") != levels
    assert live(steer)["pearsonSteered"].startswith(("1", "0.99999999"))
    same_numbers(steer)


def test_a_feature_off_changes_the_picture_and_comes_back(steer: Page) -> None:
    before = pixels(steer, "steered")
    toggle = steer.get_by_test_id("strip-toggle").first
    toggle.uncheck()
    expect(steer.get_by_test_id("steer")).to_have_attribute("data-l0", "49")
    assert pixels(steer, "steered") != before
    assert len(set(pixels(steer, "difference"))) > 1
    answered(steer, 1)
    same_numbers(steer)
    toggle.check()
    expect(steer.get_by_test_id("steer")).to_have_attribute("data-change", "0")
    assert pixels(steer, "steered") == before


def test_dragging_changes_the_picture_before_release(steer: Page) -> None:
    before = pixels(steer, "steered")
    slider = steer.get_by_test_id("strip-slider").first
    grab(steer, slider, 0.2)
    steer.wait_for_function("root => root.dataset.change > 0", arg=steer.get_by_test_id("steer").element_handle())
    assert pixels(steer, "steered") != before
    assert live(steer)["answered"] == "0", "Python was asked before the release"
    steer.mouse.up()
    answered(steer, 1)
    same_numbers(steer)
    expect(steer.get_by_test_id("strip").first).to_have_class("strip edited")


def test_the_two_modes(steer: Page) -> None:
    steer.get_by_test_id("mode-plain").check()
    steer.wait_for_function("root => root.dataset.change > 0", arg=steer.get_by_test_id("steer").element_handle())
    assert pixels(steer, "steered") == pixels(steer, "reconstruction")
    answered(steer, 1)
    same_numbers(steer)
    steer.get_by_test_id("mode-error-preserving").check()
    expect(steer.get_by_test_id("steer")).to_have_attribute("data-change", "0")


def test_all_off_all_on_and_reset(steer: Page) -> None:
    root = steer.get_by_test_id("steer")
    steer.get_by_test_id("all-off").click()
    expect(root).to_have_attribute("data-l0", "0")
    assert steer.get_by_test_id("strip-toggle").first.is_checked() is False
    steer.get_by_test_id("all-on").click()
    expect(root).to_have_attribute("data-l0", "50")
    expect(root).to_have_attribute("data-change", "0")
    grab(steer, steer.get_by_test_id("strip-slider").nth(2), 0.9)
    steer.mouse.up()
    steer.get_by_test_id("strip-toggle").nth(1).uncheck()
    expect(root).to_have_attribute("data-edits", "2")
    steer.get_by_test_id("strip-undo").nth(1).click()
    expect(root).to_have_attribute("data-edits", "1")
    steer.get_by_test_id("reset").click()
    expect(root).to_have_attribute("data-edits", "0")
    expect(root).to_have_attribute("data-change", "0")
    assert pixels(steer, "steered") == pixels(steer, "original")
    steer.wait_for_function("() => document.querySelectorAll('[data-testid=stMetricValue]')[3].innerText === '0.0000'")


def test_another_feature_can_be_added_and_removed(steer: Page) -> None:
    strips = steer.get_by_test_id("strip")
    count = strips.count()
    used = strips.evaluate_all("items => items.map(item => +item.dataset.feature)")
    f = next(g for g in range(1024) if g not in used)
    steer.get_by_test_id("add-number").fill("5000")
    steer.get_by_test_id("add").click()
    expect(steer.get_by_role("status")).to_contain_text("0 to 1023")
    steer.get_by_test_id("add-number").fill(str(f))
    steer.get_by_test_id("add-number").press("Enter")
    expect(strips).to_have_count(count + 1)
    slider = steer.get_by_label(f"feature {f} value")
    expect(slider).to_be_focused()
    for _ in range(5):
        slider.press("ArrowRight")
    expect(steer.get_by_test_id("steer")).to_have_attribute("data-l0", "51")
    same_numbers(steer)
    steer.get_by_label(f"remove feature {f}").click()
    expect(strips).to_have_count(count)
    expect(steer.get_by_test_id("steer")).to_have_attribute("data-l0", "50")


def test_keys_work_and_never_reach_streamlit(steer: Page) -> None:
    toggle = steer.get_by_test_id("strip-toggle").first
    toggle.focus()
    toggle.press("Space")
    expect(steer.get_by_test_id("steer")).to_have_attribute("data-l0", "49")
    toggle.press("ArrowDown")  # from strip to strip: there are two columns
    expect(steer.get_by_test_id("strip-toggle").nth(2)).to_be_focused()
    steer.keyboard.press("ArrowLeft")
    expect(steer.get_by_test_id("strip-toggle").nth(1)).to_be_focused()
    steer.keyboard.press("Tab")
    steer.keyboard.press("Tab")
    expect(steer.get_by_test_id("strip-slider").nth(1)).to_be_focused()
    steer.keyboard.press("Alt+ArrowDown")
    expect(steer.get_by_test_id("strip-slider").nth(3)).to_be_focused()
    assert steer.get_by_test_id("steer").get_attribute("data-l0") == "49", "walking is no edit"
    steer.keyboard.press("Tab")  # more
    steer.keyboard.press("Tab")  # and out of the list, however many strips it has
    assert not steer.get_by_test_id("strip").locator(":focus").count()
    steer.keyboard.press("Shift+Tab")
    expect(steer.get_by_test_id("strip-more").nth(3)).to_be_focused()
    steer.keyboard.press("End")
    last = steer.get_by_test_id("strip-more").last
    expect(last).to_be_focused()
    edge = steer.locator(".top").evaluate("e => e.getBoundingClientRect().bottom")
    assert last.evaluate("e => e.getBoundingClientRect().top") >= edge, "the focus is under the pictures"
    toggle.press("c")  # Streamlit's own key for "clear caches"
    expect(steer.get_by_role("dialog")).to_have_count(0)
    unnamed = steer.get_by_test_id("steer").evaluate(
        """root => [...root.querySelectorAll("button, input, select")].filter(
             e => !(e.ariaLabel ?? e.innerText) && !e.labels?.length && e.type !== "checkbox").length"""
    )
    assert unnamed == 0


def test_edits_survive_a_page_switch(steer: Page) -> None:
    steer.get_by_test_id("strip-toggle").first.uncheck()
    grab(steer, steer.get_by_test_id("strip-slider").nth(2), 0.95)
    steer.mouse.up()
    answered(steer, 2)
    before, picture = live(steer), pixels(steer, "steered")
    sidebar = steer.get_by_test_id("stSidebar")
    sidebar.get_by_role("link", name="Draw").click()
    expect(steer.get_by_test_id("steer")).to_have_count(0)
    sidebar.get_by_role("link", name="Steer").click()
    steer.get_by_test_id("strip").first.wait_for()
    expect(steer.get_by_test_id("steer")).to_have_attribute("data-change", before["change"])
    assert pixels(steer, "steered") == picture
    assert steer.get_by_test_id("strip-toggle").first.is_checked() is False
    same_numbers(steer)


def test_another_picture_gets_its_own_strips(steer: Page) -> None:
    steer.get_by_test_id("strip-toggle").first.uncheck()
    answered(steer, 1)
    steer.get_by_role("button", name="Another").click()
    expect(steer.get_by_test_id("steer")).to_have_attribute("data-change", "0")
    other = [round(float(v) * 255) for v in reference.find_picture("digits-test-4").x]
    assert pixels(steer, "original") == other
    assert pixels(steer, "steered") == other


def test_a_number_opens_the_feature(steer: Page) -> None:
    strip = steer.get_by_test_id("strip").nth(1)
    f = strip.get_attribute("data-feature")
    strip.get_by_test_id("strip-open").click()
    steer.wait_for_url(f"**/Features?*feature={f}*")


# ---- what the classifier says, groups, solo, undo, and edits that Python makes


def share(page: Page, of: str = "steered") -> np.ndarray:
    """The probabilities that the bars of one picture show, once what was done is painted."""
    painted(page)
    bars = page.get_by_test_id(f"opinion-{of}").get_by_test_id("class-bar")
    return np.array(bars.evaluate_all("rows => rows.map(row => +row.dataset.p)"))


def edits_on(page: Page) -> dict[int, float]:
    """The edited strips and where their sliders stand."""
    found = page.locator(".strip.edited").evaluate_all(
        "items => items.map(item => [+item.dataset.feature, +item.querySelector('.slider').value])"
    )
    return {int(f): v for f, v in found}


def by_python(edits: dict[int, float], mode: str, solo: list[int] | None = None, model: str = "topk-1024-k50") -> Any:
    x = torch.from_numpy(np.array(reference.find_picture(IMAGE).x))[None]
    classifier = load_classifier("exp3-classifier" if model == HIDDEN else DEFAULT)
    return [p[0].numpy() for p in asking.opinion(load(model), classifier, x, edits, mode, solo)]


def wait_for_bars(page: Page) -> None:
    page.wait_for_function(
        """element => [...element.querySelectorAll('[data-testid=class-bar]')].some(row => row.dataset.p)""",
        arg=page.get_by_test_id("opinion-steered").element_handle(),
    )


def test_the_bars_say_what_python_says(steer: Page) -> None:
    wait_for_bars(steer)
    assert len(share(steer)) >= 10
    np.testing.assert_allclose(share(steer), by_python({}, "error-preserving")[1], atol=1e-3)
    np.testing.assert_allclose(share(steer, "original"), by_python({}, "error-preserving")[1], atol=1e-3)
    np.testing.assert_allclose(share(steer, "reconstruction"), by_python({}, "plain")[1], atol=1e-3)
    before = share(steer)
    grab(steer, steer.get_by_test_id("strip-slider").first, 0.02)
    steer.wait_for_function("root => root.dataset.change > 0", arg=steer.get_by_test_id("steer").element_handle())
    painted(steer)
    assert (share(steer) != before).any(), "the bars wait for Python"
    assert live(steer)["answered"] == "0"
    steer.mouse.up()
    answered(steer, 1)
    for mode in ("error-preserving", "plain"):
        steer.get_by_test_id(f"mode-{mode}").check()
        painted(steer)
        was, after = by_python(edits_on(steer), mode)
        np.testing.assert_allclose(share(steer), after, atol=1e-3)
        for mark, p in (("ghost", was), ("bar", after)):
            ends = (
                steer.get_by_test_id("opinion-steered")
                .locator(f".{mark}")
                .evaluate_all(
                    """all => all.map(e => {
                     const track = e.parentElement.getBoundingClientRect();
                     return (e.getBoundingClientRect().right - track.left) / track.width;
                   })"""
                )
            )
            np.testing.assert_allclose(ends, p, atol=2e-3, err_msg=mark)


def test_a_strip_is_set_scaled_widened_and_kept_alone(steer: Page) -> None:
    root, strip = steer.get_by_test_id("steer"), steer.get_by_test_id("strip").nth(1)
    f = int(strip.get_attribute("data-feature") or "")
    at = float(strip.get_by_test_id("strip-slider").input_value())
    high = float(strip.get_by_test_id("strip-slider").get_attribute("max") or "")
    strip.get_by_test_id("strip-more").click()
    strip.get_by_test_id("strip-wider").click()
    assert float(strip.get_by_test_id("strip-slider").get_attribute("max") or "") == pytest.approx(2 * high)
    expect(strip.get_by_test_id("strip-wider")).to_be_focused()
    strip.get_by_test_id("strip-scale").fill("-0.5")
    strip.get_by_test_id("strip-scale").press("Enter")
    assert edits_on(steer)[f] == pytest.approx(-0.5 * at, abs=1e-6)
    expect(strip.locator(".rule")).to_have_text("×-0.5")
    strip.get_by_test_id("strip-scale").fill("2")
    strip.get_by_test_id("strip-scale").press("Enter")
    assert edits_on(steer)[f] == pytest.approx(2 * at, abs=1e-6), "a factor is of the picture's own activation"
    same_numbers(steer)
    steer.get_by_test_id("undo").click()
    expect(strip.locator(".rule")).to_have_text("×-0.5")
    steer.get_by_text("The Python", exact=True).click()
    expect(steer.get_by_test_id("stCode").last).to_contain_text(f'{f}: Edit("scale", -0.5)')
    strip.get_by_test_id("strip-set").fill("3.25")
    strip.get_by_test_id("strip-set").press("Enter")
    assert edits_on(steer) == {f: 3.25}
    expect(strip.locator(".rule")).to_have_text("")
    same_numbers(steer)
    strip.get_by_test_id("strip-solo").click()
    expect(root).to_have_attribute("data-l0", "1")
    expect(steer.get_by_test_id("solo-note")).to_contain_text("Only 1 feature")
    same_numbers(steer)
    np.testing.assert_allclose(share(steer), by_python({f: 3.25}, "error-preserving", [f])[1], atol=1e-3)
    steer.get_by_test_id("strip-toggle").first.check()  # one that comes back is among the only ones
    expect(root).to_have_attribute("data-l0", "2")
    steer.get_by_test_id("solo-end").click()
    expect(root).to_have_attribute("data-l0", "50")
    expect(steer.get_by_test_id("solo-note")).to_be_hidden()


def test_undo_and_redo(steer: Page) -> None:
    root = steer.get_by_test_id("steer")
    expect(steer.get_by_test_id("undo")).to_be_disabled()
    steer.get_by_test_id("strip-toggle").first.uncheck()
    grab(steer, steer.get_by_test_id("strip-slider").nth(2), 0.9)
    steer.mouse.up()
    two = edits_on(steer)
    assert len(two) == 2
    steer.get_by_test_id("all-off").click()
    expect(root).to_have_attribute("data-l0", "0")
    steer.get_by_test_id("undo").click()
    assert edits_on(steer) == two
    steer.get_by_test_id("strip-toggle").nth(4).press("Control+z")  # a whole drag is one step
    assert len(edits_on(steer)) == 1
    steer.get_by_test_id("undo").click()
    expect(root).to_have_attribute("data-change", "0")
    expect(steer.get_by_test_id("undo")).to_be_disabled()
    steer.get_by_test_id("redo").click()
    steer.get_by_test_id("redo").click()
    assert edits_on(steer) == two
    same_numbers(steer)


def test_the_features_of_a_class(steer: Page) -> None:
    steer.get_by_test_id("group").select_option("7")
    steer.get_by_test_id("group-n").fill("5")
    steer.get_by_test_id("group-n").press("Enter")
    strips = steer.get_by_test_id("strip")
    expect(strips).to_have_count(5)
    shown = strips.evaluate_all("items => items.map(item => +item.dataset.feature)")
    stats = models.listed()[0]["topk-1024-k50"].stats("digits")
    from sae_core.measure.lists import key_features

    assert stats.importance is not None and shown[0] == stats.importance[:, 7].argmax()
    assert shown == key_features(stats, "importance")[7][:5].tolist()
    expect(steer.locator(".note")).to_contain_text("Ranked by importance")
    expect(steer.get_by_test_id("steer")).to_have_attribute("data-change", "0")
    steer.get_by_test_id("group-only").click()
    expect(steer.get_by_test_id("steer")).to_have_attribute("data-solo", "5")
    same_numbers(steer)
    steer.get_by_test_id("reset").click()
    expect(steer.get_by_test_id("steer")).to_have_attribute("data-change", "0")
    steer.get_by_test_id("group").select_option("")
    expect(strips).to_have_count(50)


def test_a_feature_chosen_on_the_wall_gets_a_strip(page: Page, app: str) -> None:
    used = by_code("topk-1024-k50")
    f = next(g for g in range(1024) if g not in used)
    page.goto(f"{app}/Steer?model=topk-1024-k50&data=digits&image={IMAGE}&feature={f}")
    ready(page)
    expect(page.get_by_test_id("strip").first).to_have_attribute("data-feature", str(f))
    page.get_by_label(f"remove feature {f}").click()
    expect(page.get_by_test_id("strip")).to_have_count(50)


def by_code(model: str) -> list[int]:
    x = torch.from_numpy(np.array(reference.find_picture(IMAGE).x))[None]
    return sliders.used(load(model)(x).acts[0])


def test_its_mind_is_changed_and_the_strips_move(steer: Page) -> None:
    steer.get_by_test_id("strip-toggle").first.uncheck()
    answered(steer, 1)
    mine = edits_on(steer)
    steer.get_by_role("button", name="Find edits").click()
    steer.get_by_text("edits at random").or_(steer.get_by_text("edit at random")).wait_for(timeout=20_000)
    text = steer.get_by_test_id("stAlert").inner_text()
    target = int(text.split("says ")[1].split()[0])
    found = edits_on(steer)
    assert found and found != mine
    painted(steer)
    assert share(steer).argmax() == target
    np.testing.assert_allclose(share(steer), by_python(found, "error-preserving")[1], atol=1e-3)
    same_numbers(steer)
    steer.get_by_test_id("undo").click()
    assert edits_on(steer) == mine


def test_a_recipe_in_the_address(page: Page, app: str) -> None:
    model, (f, g) = models.listed()[0]["topk-1024-k50"], by_code("topk-1024-k50")[:2]
    other = next(h for h in range(1024) if h not in by_code("topk-1024-k50"))
    recipe = Recipe("mine", model.id, {f: 0.0, other: 2.5}, "plain", (f, g, other), IMAGE)
    page.goto(f"{app}/Steer?recipe={pack(recipe)}")
    page.get_by_test_id("strip").first.wait_for(timeout=60_000)
    root = page.get_by_test_id("steer")
    expect(root).to_have_attribute("data-edits", "2")
    expect(root).to_have_attribute("data-solo", "3")
    expect(root).to_have_attribute("data-l0", "2")
    assert edits_on(page) == {other: 2.5, f: 0}
    assert page.get_by_test_id("mode-plain").is_checked()
    same_numbers(page)
    page.get_by_role("button", name="Another").click()
    expect(root).to_have_attribute("data-edits", "0")
    page.reload()
    page.get_by_test_id("strip").first.wait_for(timeout=60_000)
    expect(root).to_have_attribute("data-edits", "0")  # or the recipe came back over another picture


def test_a_strip_under_the_hand_is_written_once_a_frame(steer: Page) -> None:
    """And not at every event of the pointer, each of which would be laid out."""
    strip = steer.get_by_test_id("strip").first
    before, at_events, after = strip.evaluate(
        """async (strip) => {
             const value = strip.querySelector(".value"), slider = strip.querySelector(".slider");
             const said = [value.innerText];
             for (const share of [0.2, 0.4, 0.6]) {
               slider.value = +slider.min + share * (slider.max - slider.min);
               slider.dispatchEvent(new Event("input"));
               said.push(value.innerText);
             }
             await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
             return [said[0], said.slice(1), value.innerText];
           }"""
    )
    assert at_events == [before] * 3
    at = strip.get_by_test_id("strip-slider").evaluate("s => (+s.value).toFixed(2)")
    assert after == at != before


def test_a_recipe_goes_out_and_comes_back(steer: Page, tmp_path: Path) -> None:
    steer.get_by_test_id("strip-toggle").nth(2).uncheck()
    answered(steer, 1)
    mine = edits_on(steer)
    assert mine
    with steer.expect_download() as download:
        steer.get_by_role("button", name="JSON", exact=True).click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    assert path.name == "my-recipe.json"
    steer.get_by_test_id("reset").click()
    expect(steer.get_by_test_id("steer")).to_have_attribute("data-edits", "0")
    answered(steer, 2)
    settled(steer)
    upload = steer.locator("input[type=file]").last
    upload.set_input_files(path)
    expect(steer.get_by_test_id("steer")).to_have_attribute("data-edits", "1", timeout=15_000)
    assert edits_on(steer) == mine
    same_numbers(steer)
    settled(steer)
    (tmp_path / "other.json").write_text('{"format": "cake"}')
    upload.set_input_files(tmp_path / "other.json")
    expect(steer.get_by_test_id("stAlert")).to_contain_text("not a recipe", timeout=15_000)
    assert edits_on(steer) == mine


def test_a_telephone_with_touch(phone: Page, app: str) -> None:
    page = phone
    page.goto(f"{app}/Steer?model=topk-1024-k50&data=digits&image={IMAGE}")
    ready(page)
    assert page.get_by_test_id("steer").evaluate("root => root.scrollWidth <= root.clientWidth")
    page.get_by_test_id("strip-toggle").first.tap()
    expect(page.get_by_test_id("steer")).to_have_attribute("data-l0", "49")
    page.get_by_test_id("strip-more").nth(1).tap()
    page.get_by_test_id("strip-solo").tap()
    expect(page.get_by_test_id("steer")).to_have_attribute("data-l0", "1")
    assert page.get_by_test_id("steer").evaluate("root => root.scrollWidth <= root.clientWidth")
    heights = page.get_by_test_id("steer").evaluate(
        "root => [...root.querySelectorAll('button, select, .slider')].map(e => e.offsetHeight).filter(h => h)"
    )
    assert min(heights) >= 26


@pytest.mark.skipif(
    not (Path(__file__).parents[2] / "checkpoints" / HIDDEN).is_dir(),
    reason=f"{HIDDEN} is not among the bundled models",
)
def test_only_the_top_30_of_a_class_on_a_hidden_layer(page: Page, app: str) -> None:
    page.goto(f"{app}/Steer?model={HIDDEN}&data=digits&image={IMAGE}")
    ready(page)
    wait_for_bars(page)
    np.testing.assert_allclose(share(page), by_python({}, "error-preserving", model=HIDDEN)[1], atol=1e-3)
    button = page.get_by_test_id("group-only")
    expect(button).to_have_text(f"Only the top 30 features of {share(page).argmax()}")
    button.click()
    expect(page.get_by_test_id("steer")).to_have_attribute("data-solo", "30")
    solo = page.get_by_test_id("strip").evaluate_all("items => items.map(item => +item.dataset.feature)")
    assert len(solo) == 30
    for mode in ("error-preserving", "plain"):
        page.get_by_test_id(f"mode-{mode}").check()
        painted(page)
        np.testing.assert_allclose(share(page), by_python({}, mode, solo, HIDDEN)[1], atol=1e-3)
        same_numbers(page)
