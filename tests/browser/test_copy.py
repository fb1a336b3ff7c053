"""Copying where the browser has no clipboard for a page: the README's classroom, plain http and a machine's name."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Dialog, expect

from benchmarks.browser import dashboard, options
from tests.browser.test_steer import ready
from tests.browser.waiting import until

NAME = "classroom.test"
pytestmark = pytest.mark.case(10)


@pytest.fixture(scope="module")
def far(browser: Browser) -> Iterator[tuple[Browser, str]]:
    """A dashboard that is known by its name in the network: a browser that knows it, and its address."""
    run = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true", "--server.port", "PORT"]
    with dashboard(command=[*run, "--browser.serverAddress", NAME]) as (address, _):
        usual = options()
        args = [*usual.pop("args"), f"--host-resolver-rules=MAP {NAME} 127.0.0.1"]
        own = browser.browser_type.launch(**usual, args=args)
        yield own, address.replace("127.0.0.1", NAME)
        own.close()


@pytest.mark.parametrize("allowed", [True, False], ids=["by the old way", "by the person"])
def test_over_plain_http_what_is_copied_is_there_to_paste(far: tuple[Browser, str], allowed: bool) -> None:
    own, address = far
    page = own.new_context().new_page()
    wrong: list[str] = []
    asked: list[tuple[str, str]] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))

    def ask(dialog: Dialog) -> None:
        asked.append((dialog.message, dialog.default_value))
        dialog.dismiss()

    page.on("dialog", ask)
    if not allowed:
        page.add_init_script("document.execCommand = () => false;")
    page.goto(f"{address}/Steer?data=digits&image=digits-test-3")
    assert not page.evaluate("isSecureContext")
    ready(page)
    page.get_by_test_id("strip-toggle").first.uncheck()
    expect(page.get_by_test_id("steer")).to_have_attribute("data-edits", "1")
    page.locator("summary").filter(has_text="The link").click()
    code = page.get_by_test_id("stCode").filter(has_text="?recipe=")
    code.hover()
    code.get_by_role("button", name="Copy to clipboard").click()
    link = code.locator("code").inner_text()
    if not allowed:
        until(page, lambda: bool(asked))
        assert [text for _, text in asked] == [link] and "Ctrl-C" in asked[0][0]
        return
    near = page.context.new_page()  # what this machine opens by its own number may read the clipboard
    page.context.grant_permissions(["clipboard-read"], origin=address.replace(NAME, "127.0.0.1"))
    near.goto(f"{address.replace(NAME, '127.0.0.1')}/_stcore/health")
    assert near.evaluate("navigator.clipboard.readText()") == link
    assert not asked and not wrong
