"""The dashboard in a real browser: a server of our own on a free port, and Chrome or Chromium where there is one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import playwright.sync_api as playwright
import pytest

from benchmarks.browser import dashboard, launch
from tests.conftest import missing
from ui.live.component import link


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In CI a test that drives a browser may fail once, which the summary says: a machine's delays are part of it."""
    if os.environ.get("CI"):
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running dashboard, with the models that come with the repository."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with dashboard(log) as (address, _):
        yield address
    assert "Traceback" not in log.read_text(), log.read_text()


@pytest.fixture(scope="session")
def browser() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as p:
        try:
            browser = launch(p)
        except playwright.Error:
            missing("no Chrome or Chromium was found: install one, or name it in SAE_BROWSER")
        yield browser
        browser.close()


def import_module(page: playwright.Page, name: str) -> None:
    """Put the exports of a module below ui/ into a page of its own, where `page.evaluate` has them by name."""
    page.evaluate(
        """async (script) => {
             const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
             Object.assign(globalThis, await import(address));
           }""",
        link(name),
    )


@pytest.fixture
def page(browser: playwright.Browser, app: str) -> Iterator[playwright.Page]:
    """A fresh page of 1280 × 900. The test fails on an error in the console or a request to any other host."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, has_touch=False)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda e: problems.append(f"error in the page: {e}"))

    def heard(message: playwright.ConsoleMessage) -> None:
        # Of a deep link Streamlit first asks for its own files below that page, which fails, and then at the root.
        if message.type == "error" and "/_stcore/" not in message.location.get("url", ""):
            problems.append(f"console: {message.text} {message.location}")

    page.on("console", heard)
    page.on(
        "request",
        lambda r: (
            problems.append(f"a request to {r.url}")
            if not r.url.startswith((app, app.replace("http", "ws"), "data:", "blob:"))
            else None
        ),
    )
    yield page
    context.close()
    assert not problems, "\n".join(problems)
