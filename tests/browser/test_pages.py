"""Every page in a real browser: as the first one of a cold deep link, by the sidebar, by Back, narrow and dark."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.browser.waiting import settled
from tests.test_pages import PAGES

NAMES = {"app.py": "", **{p: re.sub(r"^pages/\d+_|\.py$", "", p) for p in PAGES if p != "app.py"}}
LIVE = {"": "apart", "Draw": "draw", "Features": "wall", "Steer": "strip", "Digits": "digit-images"}
"""What each page must show, as test ids, before it counts as open."""


def opened(page: Page, name: str) -> None:
    expect(page.locator("h1")).to_have_count(1, timeout=60_000)
    if name in LIVE:
        expect(page.get_by_test_id(LIVE[name]).first).to_be_visible(timeout=60_000)
    expect(page.get_by_test_id("stException")).to_have_count(0)


@pytest.mark.without_mnist
@pytest.mark.parametrize("name", NAMES.values())
def test_opens_by_a_cold_deep_link(page: Page, app: str, name: str) -> None:
    page.goto(f"{app}/{name}?model=tied-topk-1024-k50&feature=17&image=digits-test-3")
    opened(page, name)
    for part in ("model=tied-topk-1024-k50", "feature=17", "image=digits-test-3"):
        expect(page).to_have_url(re.compile(re.escape(part)), timeout=15_000)


@pytest.mark.parametrize(
    "image", ["![x](http://evil.example/x.png)", "![](//evil.example/x.png)", "<img src=//e.example>"]
)
def test_an_address_with_an_image_asks_no_other_host(page: Page, app: str, image: str) -> None:
    value = quote(image, safe="")
    page.goto(f"{app}/Steer?model={value}&data={value}&feature={value}&image={value}&recipe={value}")
    opened(page, "Steer")
    for said in ("There is no model", "There is no data set", "There is no feature", "picture cannot be shown"):
        expect(page.get_by_text(said)).to_be_visible(timeout=15_000)
    expect(page.get_by_text(image[:18]).first).to_be_visible()
    expect(page.get_by_test_id("stAlert").locator("img")).to_have_count(0)


@pytest.mark.parametrize("name", NAMES.values())
def test_fits_a_narrow_dark_screen(dark: Page, app: str, name: str) -> None:
    dark.goto(f"{app}/{name}")
    opened(dark, name)
    settled(dark)
    wide = dark.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
    assert wide <= 400, f"the page is {wide} pixels wide"


def test_the_numbers_of_steer_stand_in_one_row(page: Page, app: str) -> None:
    page.goto(f"{app}/Steer?model=topk-1024-k50&data=digits&image=digits-test-3")
    opened(page, "Steer")
    page.get_by_test_id("strip-toggle").first.uncheck()
    numbers = page.get_by_test_id("stMetric")
    expect(numbers.first).to_contain_text("was", timeout=15_000)  # as wide as it gets
    assert len({box["y"] for n in numbers.all() if (box := n.bounding_box())}) == 1


@pytest.mark.without_mnist
def test_choices_travel_by_sidebar_and_back(page: Page, app: str) -> None:
    page.goto(f"{app}/Features?model=tied-topk-1024-k50&feature=17")
    opened(page, "Features")
    sidebar = page.get_by_test_id("stSidebar")
    sidebar.get_by_role("link", name="Draw").click()
    opened(page, "Draw")
    expect(page).to_have_url(re.compile(r"/Draw\?.*feature=17"), timeout=15_000)
    page.get_by_role("button", name="Another").click()
    expect(page).to_have_url(re.compile("image="), timeout=15_000)
    sidebar.get_by_role("link", name="Steer").click()
    opened(page, "Steer")
    expect(page).to_have_url(re.compile(r"/Steer\?.*model=tied-topk-1024-k50.*image="), timeout=15_000)
    page.go_back()
    opened(page, "Draw")
    expect(page).to_have_url(re.compile(r"/Draw\?.*image="), timeout=15_000)
    expect(sidebar.get_by_role("combobox", name="Model")).to_have_value("tied-topk-1024-k50")
