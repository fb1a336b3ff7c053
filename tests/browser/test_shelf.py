"""Recipes that a browser keeps for the next visit."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Page, expect

from sae_core.recipes import Recipe, to_json
from tests.browser.test_steer import IMAGE, ready
from ui import state

ADDRESS = f"Steer?model=topk-1024-k50&data=digits&image={IMAGE}"
STORE = "sae-explorer-recipe-shelf"


def open_steer(page: Page, app: str) -> None:
    page.goto(f"{app}/{ADDRESS}")
    ready(page)


def kept(page: Page) -> list[str]:
    """The names of the recipes that the browser keeps."""
    return [json.loads(text)["name"] for text in json.loads(page.evaluate(f"localStorage['{STORE}'] ?? '[]'"))]


def keep(page: Page, name: str) -> None:
    page.get_by_role("textbox", name="Name", exact=True).fill(name)  # and no Enter: the click takes it along
    page.get_by_role("button", name=re.compile("^(Keep|Replace)$")).click()
    expect(page.get_by_role("combobox", name="Kept recipes")).to_be_visible(timeout=15_000)


def test_a_recipe_outlives_the_page(page: Page, app: str) -> None:
    open_steer(page, app)
    assert page.evaluate(f"localStorage['{STORE}'] ?? null") is None, "nothing is written before something is kept"
    page.get_by_test_id("strip-toggle").first.uncheck()
    expect(page.get_by_test_id("steer")).to_have_attribute("data-edits", "1")
    expect(page.get_by_role("button", name="Keep", exact=True)).to_be_enabled(timeout=15_000)
    keep(page, "first")
    expect(page.get_by_role("button", name="Replace", exact=True)).to_be_visible(timeout=15_000)
    keep(page, "second")
    page.wait_for_function(f"JSON.parse(localStorage['{STORE}'] ?? '[]').length === 2")

    open_steer(page, app)  # another session: Python knows nothing of them
    expect(page.get_by_role("combobox", name="Kept recipes")).to_be_visible(timeout=15_000)
    page.get_by_test_id("reset").click()
    expect(page.get_by_test_id("steer")).to_have_attribute("data-edits", "0")
    page.get_by_role("button", name="Use", exact=True).click()
    expect(page.get_by_test_id("steer")).to_have_attribute("data-edits", "1", timeout=15_000)
    assert kept(page) == ["first", "second"]
    page.get_by_role("button", name="Delete", exact=True).click()
    page.wait_for_function(f"JSON.parse(localStorage['{STORE}']).length === 1")
    assert kept(page) == ["second"]

    open_steer(page, app)
    page.get_by_role("button", name="Delete", exact=True).click(timeout=15_000)
    expect(page.get_by_role("combobox", name="Kept recipes")).to_have_count(0, timeout=15_000)
    page.wait_for_function(f"localStorage['{STORE}'] === '[]'")
    open_steer(page, app)
    page.wait_for_timeout(1500)
    expect(page.get_by_role("combobox", name="Kept recipes")).to_have_count(0)


def test_what_is_no_recipe_is_left_out(page: Page, app: str) -> None:
    open_steer(page, app)
    good = json.dumps(to_json(Recipe("good", state.models()[0]["topk-1024-k50"].id, {3: 1.0}, "plain", None, IMAGE)))
    hostile = [good, "{", 7, None, json.dumps({"name": "../../etc/passwd"}), "[" * 100_000]
    for stored, said in (
        (json.dumps(hostile), "5 are no recipes"),
        ("no JSON", "1 is no recipe"),
        ("7", "1 is no recipe"),
    ):
        page.evaluate("([name, text]) => localStorage.setItem(name, text)", [STORE, stored])
        open_steer(page, app)
        expect(page.get_by_text(said)).to_be_visible(timeout=15_000)
        expect(page.get_by_role("combobox", name="Kept recipes")).to_have_count(1 if stored.startswith("[") else 0)
        assert page.evaluate(f"localStorage['{STORE}']") == stored, "what cannot be read is not thrown away unasked"
    page.evaluate("([name, text]) => localStorage.setItem(name, text)", [STORE, json.dumps(hostile)])
    open_steer(page, app)
    page.get_by_role("button", name="Use", exact=True).click(timeout=15_000)
    expect(page.get_by_test_id("steer")).to_have_attribute("data-edits", "1", timeout=15_000)


def test_without_storage_recipes_last_as_long_as_the_page(page: Page, app: str) -> None:
    page.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no'); } });")
    open_steer(page, app)
    page.get_by_test_id("strip-toggle").first.uncheck()
    expect(page.get_by_role("button", name="Keep", exact=True)).to_be_enabled(timeout=15_000)
    keep(page, "mine")
    expect(page.get_by_role("button", name="Replace", exact=True)).to_be_visible(timeout=15_000)
    page.get_by_role("textbox", name="Name", exact=True).fill("other")
    page.get_by_role("textbox", name="Name", exact=True).press("Enter")
    expect(page.get_by_role("button", name="Keep", exact=True)).to_be_visible(timeout=15_000)
    keep(page, "mine")  # the button said Keep when it was pressed
    expect(page.get_by_text("There is a recipe mine already, and it stays")).to_be_visible(timeout=15_000)
    expect(page.get_by_role("combobox", name="Kept recipes")).to_be_visible()
