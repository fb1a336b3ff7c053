"""Presses that follow each other faster than the page runs."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.test_draw import ready
from tests.browser.waiting import settled

pytestmark = pytest.mark.case(7)
ONE = """(e, [times, ms]) => new Promise((done) => {
  let n = 0;
  const on = setInterval(() => {
    e.click();
    if (++n === times) done(clearInterval(on));
  }, ms);
})"""


def press(button: Locator, times: int, ms: int) -> None:
    """That many clicks, so far apart."""
    button.evaluate(ONE, [times, ms])


def test_every_quick_press_counts(page: Page, app: str) -> None:
    page.goto(f"{app}/Draw?data=digits&image=digits-test-3")
    ready(page)
    settled(page)
    number = page.get_by_role("spinbutton", name="Image of digits/test")
    expect(number).to_have_value("3")
    press(page.get_by_role("button", name="Another"), 20, 100)
    expect(number).to_have_value("23", timeout=100)  # at once, before Python knows
    expect(page).to_have_url(re.compile(r"image=digits-test-23(&|$)"), timeout=15_000)
    press(page.get_by_role("button", name="One more"), 20, 60)
    expect(page).to_have_url(re.compile(r"image=digits-test-43(&|$)"), timeout=15_000)
    for key in ["ArrowDown"] * 5 + ["ArrowUp"]:
        number.press(key)
    expect(page).to_have_url(re.compile(r"image=digits-test-39(&|$)"), timeout=15_000)
    settled(page)
    expect(number).to_have_value("39")
    number.fill("100000")
    number.press("Enter")
    expect(number).to_have_value("359")
    expect(page).to_have_url(re.compile(r"image=digits-test-359"), timeout=15_000)
    page.go_back()
    expect(page).not_to_have_url(re.compile(r"image=digits-test-359"), timeout=15_000)
    expect(number).not_to_have_value("359")
