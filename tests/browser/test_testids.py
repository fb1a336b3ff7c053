"""The elements that docs/testids.md promises to scripts, looked for on the running dashboard."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

LIST = Path(__file__).parents[2] / "docs" / "testids.md"
ADDRESSES = {"Start": "", "Features": "Features?feature=17"}
"""where they are not those of the page's name with an image"""


def promised() -> dict[str, list[str]]:
    """The names on each page."""
    found: dict[str, list[str]] = defaultdict(list)
    for pages, names in re.findall(r"^\| ([A-Z]\w+(?:, [A-Z]\w+)*) \| (`.*?`) \|", LIST.read_text(), re.M):
        for page in pages.split(", "):
            found[page] += re.findall(r"`([a-z-]+)`", names)
    return found


@pytest.mark.parametrize("name", promised())
def test_every_promised_element_is_there(page: Page, app: str, name: str) -> None:
    page.goto(f"{app}/{ADDRESSES.get(name, f'{name}?image=digits-test-3&data=digits')}")
    for testid in promised()[name]:
        expect(page.get_by_test_id(testid).first, f"{testid} on {name}").to_be_attached(timeout=30_000)
        if testid == "strip-more":  # what it opens is made then
            page.get_by_test_id(testid).first.click()
