"""The Features page in a real browser: the wall by mouse and keyboard, and the way from feature to feature."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.browser.waiting import settled

Page = Any  # playwright.sync_api.Page; conftest skips in words where playwright is missing

WALL = "[data-testid=wall][data-features]"
STEP = 29
PIXEL = "(canvas, [x, y]) => [...canvas.getContext('2d').getImageData(x, y, 28, 28).data]"


def _open(page: Page, app: str, query: str = "") -> None:
    page.goto(f"{app}/Features?model=topk-1024-k50{query.replace('?', '&')}")
    page.wait_for_selector(WALL, state="attached", timeout=60_000)


def _columns(page: Page) -> int:
    return int(page.locator(WALL).get_attribute("data-columns"))


def _wait_for(page: Page, feature: int) -> None:
    page.wait_for_selector(f"[data-testid=feature-detail][aria-label='Feature {feature}']")
    page.wait_for_selector(f"[data-testid=nearest-encoder][aria-label^='Nearest to feature {feature} ']")
    page.wait_for_url(re.compile(rf"[?&]feature={feature}(&|$)"))


def _ringed(page: Page) -> str | None:
    return page.locator(".ring:not([hidden])").get_attribute("data-feature")


def test_a_click_opens_a_feature(page: Page, app: str) -> None:
    _open(page, app)
    columns = _columns(page)
    assert page.locator(WALL).get_attribute("data-features") == "1024"
    # A tile far down: the wall scrolls in its own box, so the detail stays in sight.
    position = {"x": 2 * STEP + 14, "y": 40 * STEP + 14}
    page.locator(WALL).click(position=position)
    f = 40 * columns + 2
    _wait_for(page, f)
    assert _ringed(page) == str(f)
    box = page.locator("[data-testid=feature-detail]").bounding_box()
    assert box["y"] > 0 and box["y"] + box["height"] < 900
    assert page.get_by_role("heading", name=f"Feature {f}").is_visible()


def test_the_keyboard_opens_a_feature(page: Page, app: str) -> None:
    _open(page, app)
    columns = _columns(page)
    page.locator(WALL).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    f = columns + 1
    assert page.locator("[data-testid=wall-live]").text_content().startswith(f"#{f}")
    assert page.locator("[data-testid=wall-zoom]").get_attribute("data-feature") == str(f)
    page.keyboard.press("Enter")
    _wait_for(page, f)
    page.keyboard.press("End")
    page.keyboard.press("Space")
    _wait_for(page, 1023)


def test_hovering_enlarges_and_sends_nothing(page: Page, app: str) -> None:
    sent: list[Any] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    _open(page, app)
    settled(page)
    before = len(sent)
    page.locator(WALL).hover(position={"x": 5 * STEP + 3, "y": 3 * STEP + 3})
    zoom = page.locator("[data-testid=wall-zoom]")
    zoom.wait_for(state="visible")
    assert zoom.get_attribute("data-feature") == str(3 * _columns(page) + 5)
    assert re.match(r"#\d+ · (rare: )?(active on|never active)", zoom.locator("span").text_content())
    for x in range(0, 300, 10):
        page.mouse.move(500 + x, 500)
    settled(page)
    assert len(sent) == before


def test_rows_scale_and_order_change_what_is_shown_without_the_server(page: Page, app: str) -> None:
    sent: list[Any] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    _open(page, app)
    settled(page)
    before = len(sent)
    wall = page.locator(WALL)
    encoder = wall.evaluate(PIXEL, [0, 0])
    assert len(set(encoder)) > 10  # it is painted
    page.get_by_role("radio", name="Decoder").click()
    decoder = wall.evaluate(PIXEL, [0, 0])
    assert decoder != encoder
    page.get_by_role("radio", name="One scale").click()
    assert wall.evaluate(PIXEL, [0, 0]) != decoder
    page.locator("[data-testid=wall-order]").select_option("frequency")
    assert wall.get_attribute("data-order") == "frequency"
    page.locator("[data-testid=wall-order]").select_option("7")
    wall.hover(position={"x": 14, "y": 14})
    assert "7s" in page.locator("[data-testid=wall-zoom] span").text_content()
    assert len(sent) == before


def test_a_deep_link_and_the_ways_on_from_it(page: Page, app: str) -> None:
    _open(page, app, "?feature=123&data=digits")
    _wait_for(page, 123)
    assert _ringed(page) == "123"
    near = page.locator("[data-testid=nearest-decoder] button").first
    g = int(near.get_attribute("data-value"))
    near.click()
    _wait_for(page, g)
    page.get_by_role("button", name="The feature after").click()
    _wait_for(page, (g + 1) % 1024)
    assert _ringed(page) == str((g + 1) % 1024)
    # The same tile twice, with another feature opened elsewhere in between.
    number = page.get_by_role("spinbutton")
    number.fill("5")
    number.press("Enter")
    _wait_for(page, 5)
    near = page.locator("[data-testid=nearest-encoder] button").first
    h = int(near.get_attribute("data-value"))
    near.click()
    _wait_for(page, h)
    page.get_by_role("spinbutton").fill("5")
    page.get_by_role("spinbutton").press("Enter")
    _wait_for(page, 5)
    page.locator(f"[data-testid=nearest-encoder] button[data-value='{h}']").click()
    _wait_for(page, h)


def test_a_top_image_goes_to_draw(page: Page, app: str) -> None:
    _open(page, app, "?data=digits")
    page.locator("[data-testid=wall-order]").select_option("frequency")
    page.locator(WALL).click(position={"x": 14, "y": 14})
    page.wait_for_selector("[data-testid=top-images] button")
    image = page.locator("[data-testid=top-images] button").nth(1)
    ref = image.get_attribute("data-value")
    image.click()
    page.wait_for_selector(f"[data-testid=top-images] button.chosen[data-value='{ref}']")
    page.locator("[data-testid=stMain]").get_by_role("link", name="Draw").click()
    page.wait_for_url(re.compile(rf"/Draw\?.*image={ref}"))


@pytest.mark.case(9)
def test_a_feature_opened_and_left_for_steer_is_one_step_each(page: Page, app: str) -> None:
    page.goto(f"{app}/Digits?data=digits")
    page.get_by_role("link", name="Features", exact=True).click()
    page.wait_for_selector(WALL, state="attached", timeout=60_000)
    settled(page)
    before = page.evaluate("history.length")
    page.locator(WALL).click(position={"x": 14, "y": 14})
    _wait_for(page, 0)
    opened = page.evaluate("history.length")
    page.get_by_role("link", name="Steer", exact=True).click()
    page.get_by_test_id("strip-slider").first.wait_for(timeout=30_000)
    settled(page)
    assert (opened, page.evaluate("history.length")) == (before + 1, before + 2)
    page.go_back()
    _wait_for(page, 0)  # the first step back leaves Steer


def test_a_narrow_window_shows_the_detail(page: Page, app: str) -> None:
    page.set_viewport_size({"width": 400, "height": 850})
    _open(page, app)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.locator(WALL).click(position={"x": 14, "y": 30 * STEP + 14})
    _wait_for(page, 30 * _columns(page))
    page.wait_for_function(
        """detail => {  // it scrolls there
             const { top, bottom } = detail.getBoundingClientRect();
             return top > 0 && bottom < 850;
           }""",
        arg=page.locator("[data-testid=feature-detail]").element_handle(),
    )


def test_picked_features_are_a_group_on_steer(page: Page, app: str) -> None:
    _open(page, app, "?data=digits&image=digits-test-3")
    wall, columns = page.locator(WALL), _columns(page)
    wall.click(position={"x": 2 * STEP + 14, "y": STEP + 14}, modifiers=["Control"])
    page.get_by_test_id("wall-pick").click()
    wall.click(position={"x": 5 * STEP + 14, "y": 14})
    wall.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("p")
    assert page.get_by_test_id("wall-live").text_content() == "Feature 6 picked, 3 in all"
    picked = [columns + 2, 5, 6]
    assert page.get_by_test_id("wall-pick").text_content() == "Pick (3)"
    assert page.locator(".mark").evaluate_all("all => all.map(e => +e.dataset.feature)") == picked
    assert "feature=" not in page.url, "picking opens nothing"
    page.reload()  # picks last as long as the tab
    page.wait_for_selector(WALL, state="attached", timeout=60_000)
    assert page.get_by_test_id("wall-pick").text_content() == "Pick (3)"
    wall.click(position={"x": 5 * STEP + 14, "y": 14}, modifiers=["Control"])
    picked.remove(5)
    page.get_by_role("link", name="Steer", exact=True).click()
    page.get_by_test_id("strip-slider").first.wait_for(timeout=30_000)
    page.get_by_test_id("group").select_option(label="picked on the wall (2)")
    assert page.get_by_test_id("strip").evaluate_all("all => all.map(e => +e.dataset.feature)") == picked
    page.get_by_role("button", name="Only the 2 picked").click()
    page.wait_for_selector("[data-testid=steer][data-solo='2']")
    page.get_by_role("link", name="Features", exact=True).click()
    page.wait_for_selector(WALL, state="attached", timeout=60_000)
    page.get_by_test_id("wall-unpick").click()
    assert page.locator(".mark").count() == 0 and not page.get_by_test_id("wall-unpick").is_visible()
    page.get_by_role("link", name="Steer", exact=True).click()
    page.get_by_test_id("strip-slider").first.wait_for(timeout=30_000)
    assert page.get_by_test_id("group").locator("option", has_text="picked").count() == 0
    assert page.get_by_test_id("group").input_value() == ""
