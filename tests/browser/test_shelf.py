"""Recipes that a browser keeps for the next visit."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from sae_core.steering.edits import Edit
from sae_core.steering.recipes import Recipe, pack, to_json
from tests.browser.test_steer import IMAGE, edits_on, ready
from tests.browser.waiting import settled
from ui.base import models

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
    settled(page)
    expect(page.get_by_role("combobox", name="Kept recipes")).to_have_count(0)


def test_two_tabs_keep_each_others_recipes(page: Page, app: str) -> None:
    tabs = page, page.context.new_page()
    for tab in tabs:
        open_steer(tab, app)
        tab.get_by_test_id("strip-toggle").first.uncheck()
        expect(tab.get_by_role("button", name="Keep", exact=True)).to_be_enabled(timeout=15_000)
    for tab, name in zip(tabs, ("first", "second"), strict=True):
        keep(tab, name)
    page.wait_for_function(f"JSON.parse(localStorage['{STORE}'] ?? '[]').length === 2")
    assert kept(page) == ["first", "second"]
    keep(page, "third")
    page.wait_for_function(f"JSON.parse(localStorage['{STORE}']).length === 3")
    tabs[1].get_by_role("button", name="Delete", exact=True).click()
    page.wait_for_function(f"JSON.parse(localStorage['{STORE}']).length === 2")
    assert kept(page) == ["first", "third"]


def test_a_full_browser_is_said(page: Page, app: str) -> None:
    open_steer(page, app)
    page.evaluate("for (let n = 4_000_000; n > 0; n = n >> 1) try { localStorage[`x${n}`] = 'x'.repeat(n); } catch {}")
    page.get_by_test_id("strip-toggle").first.uncheck()
    expect(page.get_by_role("button", name="Keep", exact=True)).to_be_enabled(timeout=15_000)
    keep(page, "mine")
    expect(page.get_by_text("Only until this page is left (mine)")).to_be_visible(timeout=15_000)
    page.evaluate("localStorage.clear()")
    keep(page, "more")
    page.wait_for_function(f"JSON.parse(localStorage['{STORE}'] ?? '[]').length === 2")
    expect(page.get_by_text("Only until this page is left")).to_have_count(0, timeout=15_000)
    settled(page)  # Python knows that they are kept
    recipe = Recipe("x", models.listed()[0]["topk-1024-k50"].id, {3: 1.0})
    full = json.dumps([json.dumps(to_json(replace(recipe, name=f"r{i}"))) for i in range(50)])
    page.evaluate("([name, text]) => localStorage.setItem(name, text)", [STORE, full])  # as another tab would
    keep(page, "one-more")
    expect(page.get_by_text("Only until this page is left (one-more)")).to_be_visible(timeout=15_000)
    assert page.evaluate(f"localStorage['{STORE}']") == full


@pytest.mark.case("the address")
def test_edits_are_in_the_address_and_no_steps_of_the_history(page: Page, app: str) -> None:
    recipe = Recipe("x", models.listed()[0]["topk-1024-k50"].id, {3: 1.1, 5: Edit("scale", 2)}, picture=IMAGE)
    page.goto(f"{app}/Steer?recipe={pack(recipe)}")
    steer = page.get_by_test_id("steer")
    expect(steer).to_have_attribute("data-edits", "2", timeout=60_000)
    expect(page).to_have_url(re.compile("image=.*recipe="), timeout=15_000)
    settled(page)
    before, steps = page.url, page.evaluate("history.length")
    page.get_by_test_id("strip-toggle").first.uncheck()  # the first strip is one that was added
    page.get_by_test_id("strip-toggle").nth(3).uncheck()
    page.wait_for_function("before => location.href !== before", arg=before)
    settled(page)
    now = edits_on(page)
    assert len(now) == 2 and page.evaluate("history.length") == steps
    page.reload()
    expect(steer).to_have_attribute("data-edits", "2", timeout=60_000)
    assert edits_on(page) == now
    page.get_by_test_id("reset").click()
    expect(page).not_to_have_url(re.compile("recipe="), timeout=15_000)
    page.get_by_test_id("strip-toggle").first.uncheck()
    expect(page).to_have_url(re.compile("recipe="), timeout=15_000)
    page.get_by_role("button", name="Another").click()
    expect(page).not_to_have_url(re.compile("recipe="), timeout=15_000)
    expect(steer).to_have_attribute("data-edits", "0")
    page.go_back()
    expect(page).to_have_url(re.compile("recipe="), timeout=15_000)
    expect(steer).to_have_attribute("data-edits", "1")


def test_what_is_no_recipe_is_left_out(page: Page, app: str) -> None:
    open_steer(page, app)
    good = json.dumps(to_json(Recipe("good", models.listed()[0]["topk-1024-k50"].id, {3: 1.0}, "plain", None, IMAGE)))
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
    expect(page.get_by_text("Only until this page is left (mine)")).to_be_visible(timeout=15_000)
    page.get_by_role("textbox", name="Name", exact=True).fill("other")
    page.get_by_role("textbox", name="Name", exact=True).press("Enter")
    expect(page.get_by_role("button", name="Keep", exact=True)).to_be_visible(timeout=15_000)
    keep(page, "mine")  # the button said Keep when it was pressed
    expect(page.get_by_text("There is a recipe mine already, and it stays")).to_be_visible(timeout=15_000)
    expect(page.get_by_role("combobox", name="Kept recipes")).to_be_visible()
