"""Steering in a real browser: live while dragging, the same numbers as Python's, nothing lost on the way."""

from __future__ import annotations

from typing import Any

import pytest

from ui import state

playwright = pytest.importorskip("playwright.sync_api")
Page, Locator, expect = playwright.Page, playwright.Locator, playwright.expect

IMAGE = "digits-test-3"
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
    """The red of each of the 784 pixels, which is its ink in all but the difference."""
    return page.get_by_test_id(name).evaluate(PIXELS)


def live(page: Page) -> dict[str, str]:
    return page.get_by_test_id("steer").evaluate("root => ({ ...root.dataset })")


def answered(page: Page, seq: int) -> None:
    expect(page.get_by_test_id("steer")).to_have_attribute("data-answered", str(seq), timeout=10_000)


def python(page: Page, label: str) -> float:
    metric = page.get_by_test_id("stMetric").filter(has_text=label)
    return float(metric.get_by_test_id("stMetricValue").inner_text().split()[0])


def same_numbers(page: Page) -> None:
    """Python's answer to what the browser last showed."""
    shown = live(page)
    for label, name in (
        ("Pearson(original, reconstruction)", "pearson"),
        ("Pearson(original, steered)", "pearsonSteered"),
        ("Largest change", "change"),
        ("L0, edited", "l0"),
    ):
        metric = page.get_by_test_id("stMetric").filter(has_text=label).get_by_test_id("stMetricValue")
        near = float(shown[name])
        page.wait_for_function(
            "([element, near]) => Math.abs(parseFloat(element.innerText) - near) <= 1e-3",
            arg=[metric.element_handle(), near],
            timeout=10_000,
        )
        assert python(page, label) == pytest.approx(near, abs=1e-3)


def grab(page: Page, slider: Locator, share: float) -> dict[str, Any]:
    """Press on a slider's thumb and drag it to that share of its width, without letting go."""
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    at = slider.evaluate("s => (s.value - s.min) / (s.max - s.min)")
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 9 + at * (box["width"] - 18), y)
    page.mouse.down()
    page.mouse.move(box["x"] + 9 + share * (box["width"] - 18), y, steps=8)
    return box


def test_untouched_the_steered_picture_is_the_input(steer: Page) -> None:
    levels = [round(float(v) * 255) for v in state.find_picture(IMAGE).x]
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
    toggle.press("c")  # Streamlit's own key for "clear caches"
    expect(steer.get_by_role("dialog")).to_have_count(0)
    unnamed = steer.get_by_test_id("steer").evaluate(
        """root => [...root.querySelectorAll("button, input")].filter(
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
    other = [round(float(v) * 255) for v in state.find_picture("digits-test-4").x]
    assert pixels(steer, "original") == other
    assert pixels(steer, "steered") == other


def test_a_number_opens_the_feature(steer: Page) -> None:
    strip = steer.get_by_test_id("strip").nth(1)
    f = strip.get_attribute("data-feature")
    strip.get_by_test_id("strip-open").click()
    steer.wait_for_url(f"**/Features?*feature={f}*")
