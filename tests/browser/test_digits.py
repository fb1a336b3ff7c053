"""The Digits page in a real browser: the digit by keyboard, a key feature and an image by click."""

from __future__ import annotations

import re
from typing import Any

from tests.browser.waiting import painted

Page = Any  # playwright.sync_api.Page; conftest skips in words where playwright is missing


def _open(page: Page, app: str) -> None:
    page.goto(f"{app}/Digits?data=digits")
    page.wait_for_selector("[data-testid=digit-images] button", timeout=60_000)


def _heading(page: Page, text: str) -> None:
    page.get_by_role("heading", name=text, exact=True).wait_for()


def test_a_digit_and_the_way_to_its_key_feature(page: Page, app: str) -> None:
    _open(page, app)
    page.get_by_role("radio", name="0", exact=True).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    _heading(page, "Key features of the 1")
    page.wait_for_selector("[data-testid=key-features][aria-label='Key features of the 1']")
    tile = page.locator("[data-testid=key-features] button").nth(1)
    f = int(tile.get_attribute("data-value"))
    assert f"#{f}" in tile.text_content() and "lift" in tile.text_content()
    tile.click()
    page.wait_for_url(re.compile(rf"/Features\?.*feature={f}(&|$)"))
    _heading(page, f"Feature {f}")
    page.go_back()
    _heading(page, "Key features of the 1")


def test_an_image_goes_to_draw(page: Page, app: str) -> None:
    _open(page, app)
    image = page.locator("[data-testid=digit-images] button").nth(3)
    ref = image.get_attribute("data-value")
    image.click()
    page.wait_for_selector(f"[data-testid=digit-images] button.chosen[data-value='{ref}']")
    main = page.get_by_test_id("stMain")
    main.get_by_role("link", name="Steer").wait_for()
    main.get_by_role("link", name="Draw").click()
    page.wait_for_url(re.compile(rf"/Draw\?.*image={ref}"))


def test_the_digits_fit_a_narrow_window_and_stay_in_sight(page: Page, app: str) -> None:
    page.set_viewport_size({"width": 400, "height": 850})
    _open(page, app)
    last = page.get_by_role("radio", name="9", exact=True)
    page.locator("[data-testid=digit-images]").scroll_into_view_if_needed()
    painted(page)
    box = last.bounding_box()
    assert box["x"] + box["width"] <= 400 and 0 <= box["y"] <= 200
    last.click()
    page.wait_for_selector("[data-testid=digit-images][aria-label='Images of the 9']")
