"""The elements that docs/testids.md promises to scripts, looked for on the running dashboard."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from sae_core.measure import features
from sae_core.store import catalogue

LIST = Path(__file__).parents[2] / "docs" / "testids.md"
pytestmark = pytest.mark.without_mnist


def address(name: str) -> str:
    """Where a page shows all that is promised of it, whichever pictures are here."""
    if name == "Start":
        return ""
    if name == "Features":  # with a feature that some of these pictures activate: another one has no top images
        folder, _ = catalogue.find("topk-1024-k50")
        often = features.read(folder, "digits", "train").count.argmax()
        return f"Features?model=topk-1024-k50&data=digits&feature={often}"
    return f"{name}?data=digits&image=digits-test-3"


def promised() -> dict[str, list[str]]:
    """The names on each page."""
    found: dict[str, list[str]] = defaultdict(list)
    for pages, names in re.findall(r"^\| ([A-Z]\w+(?:, [A-Z]\w+)*) \| (`.*?`) \|", LIST.read_text(), re.M):
        for page in pages.split(", "):
            found[page] += re.findall(r"`([a-z-]+)`", names)
    return found


@pytest.mark.parametrize("name", promised())
def test_every_promised_element_is_there(page: Page, app: str, name: str) -> None:
    page.goto(f"{app}/{address(name)}")
    for testid in promised()[name]:
        expect(page.get_by_test_id(testid).first, f"{testid} on {name}").to_be_attached(timeout=30_000)
        if testid == "strip-more":  # what it opens is made then
            page.get_by_test_id(testid).first.click()
