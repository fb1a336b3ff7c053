"""The address holds a page's state, and Back and Forward follow it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.test_features import WALL
from tests.browser.waiting import settled

pytestmark = pytest.mark.case("the address")


def wall(page: Page) -> Locator:
    return page.locator(WALL)


def test_what_is_set_on_the_wall_is_in_the_address(page: Page, app: str) -> None:
    page.goto(f"{app}/Features?data=digits")
    expect(wall(page)).to_have_attribute("data-order", "index", timeout=30_000)
    settled(page)
    steps = page.evaluate("history.length")
    page.get_by_test_id("wall-order").select_option("7")
    page.get_by_role("radio", name="Decoder").click()
    page.get_by_role("radio", name="One scale").click()
    expect(page).to_have_url(re.compile("rows=decoder&scale=common"))
    assert "order=7" in page.url and page.evaluate("history.length") == steps
    wall(page).click(position={"x": 14, "y": 14})
    expect(page).to_have_url(re.compile("feature="), timeout=15_000)
    assert "order=7" in page.url, "Python leaves it there"
    page.get_by_test_id("wall-order").select_option("index")
    expect(page).not_to_have_url(re.compile("order="))
    page.go_back()
    expect(wall(page)).to_have_attribute("data-order", "7")
    page.reload()
    for name, value in (("order", "7"), ("rows", "decoder"), ("scale", "common")):
        expect(wall(page)).to_have_attribute(f"data-{name}", value, timeout=30_000)
    page.goto(f"{app}/Features?data=digits&order=size&rows=%3Cb%3E")
    expect(page.get_by_test_id("wall-told")).to_have_text(
        "There is no rows “<b>” and no order “size” here; this is what the page opens with.", timeout=30_000
    )
    expect(page).not_to_have_url(re.compile("order="))


def test_back_and_forward_go_from_page_to_page(page: Page, app: str) -> None:
    page.goto(f"{app}/")
    side = page.get_by_test_id("stSidebar")
    expect(side.get_by_role("link", name="Digits")).to_be_visible(timeout=30_000)
    settled(page)

    def go(name: str) -> None:
        side.get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("heading", name=name, exact=True, level=1)).to_be_visible(timeout=30_000)
        settled(page)

    go("Digits")
    page.get_by_role("radio", name="7", exact=True).click()
    expect(page).to_have_url(re.compile("digit=7"), timeout=15_000)
    settled(page)
    go("Experiments")
    go("Features")
    page.get_by_test_id("wall-order").select_option("frequency")
    expect(page).to_have_url(re.compile("order=frequency"))
    go("Steer")
    go("Draw")
    seen = [
        ("/Steer", page.get_by_role("heading", name="Change its mind")),
        ("/Features.*order=frequency", page.get_by_role("heading", name="No feature open")),
        ("/Experiments", page.get_by_role("heading", name="Claimed, as documented, ours")),
        ("/Digits.*digit=7", page.get_by_role("heading", name=re.compile("The mean code of a 7"))),
    ]
    draw = ("/Draw", page.get_by_role("heading", name="Draw", exact=True, level=1))
    for step, ways in ((page.go_back, seen), (page.go_forward, [*seen[-2::-1], draw])):
        for address, what in ways:
            step()
            expect(page).to_have_url(re.compile(address), timeout=15_000)
            expect(what.first).to_be_visible(timeout=15_000)
            settled(page, 300)
            expect(page).to_have_url(re.compile(address))
