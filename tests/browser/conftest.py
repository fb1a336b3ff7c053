"""The dashboard in a real browser: a server of our own on a free port, and Chrome or Chromium where there is one.

Tests take pages in turn, each as if it were new: a page that stays in its renderer opens in half the time, because the
5 MB of Streamlit's scripts are compiled already. `Tab` says what is put back in between.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import playwright.sync_api as playwright
import pytest

from benchmarks.browser import dashboard, launch
from tests.conftest import missing
from ui.live.component import link

KINDS: dict[str, dict[str, Any]] = {
    "desk": {"viewport": {"width": 1280, "height": 900}},
    "phone": {"viewport": {"width": 400, "height": 800}, "has_touch": True, "is_mobile": True},
    "dark": {"viewport": {"width": 400, "height": 800}, "color_scheme": "dark"},
}
"""What a page is like, as `new_context` takes it."""
LASTING = (
    *("on", "once", "route", "route_web_socket", "emulate_media"),
    *("add_init_script", "expose_function", "expose_binding"),
)
"""What a page does not forget when it goes elsewhere: after a test that did such a thing the next gets a new page."""


stops_a_server = pytest.mark.flaky(reruns=1, condition=bool(os.environ.get("CI")))
"""Of a test that stops a server on purpose: in CI it may fail once, which the summary says. A machine's delays are part
of it, as nothing tells when a browser tries again."""


_LEFT = re.compile(
    r"Exception in ASGI application\nTraceback (?:.*\n){,80}?"
    r'starlette\.websockets\.WebSocketDisconnected: Cannot call "send" once a close message has been sent\.\n'
)


def of_ours(said: str) -> str:
    """What a server printed, without what Streamlit's own endpoint prints when a page is left while it is answered."""
    return _LEFT.sub("", said)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """A running dashboard with the models that come with the repository: its address and its process."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with dashboard(log) as started:
        yield started
    assert "Traceback" not in of_ours(log.read_text()), log.read_text()


@pytest.fixture(scope="session")
def app(server: tuple[str, int]) -> str:
    """The address of that dashboard."""
    return server[0]


@pytest.fixture
def standstill(server: tuple[str, int]) -> Callable[[], AbstractContextManager[None]]:
    """While in it, the dashboard stands still, as on a machine that is busy."""

    @contextmanager
    def still() -> Iterator[None]:
        os.kill(server[1], signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(server[1], signal.SIGCONT)

    return still


@pytest.fixture(scope="session")
def browser() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as p:
        try:
            browser = launch(p)
        except playwright.Error:
            missing("no Chrome or Chromium was found: install one, or name it in SAE_BROWSER")
        yield browser
        browser.close()


STATE = "globalThis[Symbol.for('sae-explorer')].state"
"""in a page: what its components share, by name (see ui/live/shared.js)"""


def import_modules(page: playwright.Page, *names: str) -> None:
    """Put the exports of modules below ui/ into `ours` of a page; what its components share, they share too."""
    for name in names:
        page.evaluate(
            """async (script) => {
                 const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
                 globalThis.ours = { ...globalThis.ours, ...await import(address) };
               }""",
            link(name),
        )


class Tab:
    """A page that is lent to one test after the other, and what was wrong in it: an error, or another host asked."""

    def __init__(self, browser: playwright.Browser, kind: str) -> None:
        self.view = KINDS[kind]["viewport"]
        self.context = browser.new_context(**KINDS[kind])
        self.page = self.context.new_page()
        self.problems: list[str] = []
        self.app = ""
        self.clean = True
        self.page.on("pageerror", lambda e: self.problems.append(f"error in the page: {e}"))
        self.page.on("console", self._heard)
        self.page.on("request", self._asked)
        for name in LASTING:
            setattr(self.page, name, self._lasting(getattr(self.page, name)))

    def _heard(self, message: playwright.ConsoleMessage) -> None:
        # Of a deep link Streamlit first asks for its own files below that page, which fails, and then at the root.
        if message.type == "error" and "/_stcore/" not in message.location.get("url", ""):
            self.problems.append(f"console: {message.text} {message.location}")

    def _asked(self, request: playwright.Request) -> None:
        if not request.url.startswith((self.app, self.app.replace("http", "ws"), "data:", "blob:")):
            self.problems.append(f"a request to {request.url}")

    def _lasting(self, act: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.clean = False
            return act(*args, **kwargs)

        return call

    @contextmanager
    def lent(self, app: str) -> Iterator[playwright.Page]:
        """The page for one test. It ends at a place of the server that has no script: a session ends with its page."""
        self.app = app
        yield self.page
        self.page.mouse.up()
        self.page.goto(f"{app}/_stcore/health")
        problems, self.problems = self.problems, []
        self.clean &= not problems and len(self.context.pages) == 1
        if self.clean:
            self.page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
            self.context.clear_cookies()
            self.page.mouse.move(0, 0)
            self.page.set_viewport_size(self.view)
        assert not problems, "\n".join(problems)


@pytest.fixture(scope="session")
def tabs(browser: playwright.Browser) -> Iterator[dict[str, Tab]]:
    """The pages that no test has at the moment, by kind."""
    kept: dict[str, Tab] = {}
    yield kept
    for tab in kept.values():
        tab.context.close()


def _lend(
    kind: str, browser: playwright.Browser, app: str, tabs: dict[str, Tab], request: pytest.FixtureRequest
) -> Iterator[playwright.Page]:
    tab = tabs.pop(kind, None) or Tab(browser, kind)
    failed = request.session.testsfailed
    try:
        with tab.lent(app) as page:
            yield page
    finally:
        if tab.clean and request.session.testsfailed == failed:
            tabs[kind] = tab
        else:
            tab.context.close()


@pytest.fixture
def page(
    browser: playwright.Browser, app: str, tabs: dict[str, Tab], request: pytest.FixtureRequest
) -> Iterator[playwright.Page]:
    """A page of 1280 × 900. The test fails on an error in the console or a request to any other host."""
    yield from _lend("desk", browser, app, tabs, request)


@pytest.fixture
def phone(
    browser: playwright.Browser, app: str, tabs: dict[str, Tab], request: pytest.FixtureRequest
) -> Iterator[playwright.Page]:
    """The same as a telephone has it: 400 × 800, and touched."""
    yield from _lend("phone", browser, app, tabs, request)


@pytest.fixture
def dark(
    browser: playwright.Browser, app: str, tabs: dict[str, Tab], request: pytest.FixtureRequest
) -> Iterator[playwright.Page]:
    """The same in a narrow window and the dark theme."""
    yield from _lend("dark", browser, app, tabs, request)
