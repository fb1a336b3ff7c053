"""The dashboard in a real browser: a server of our own on a free port, and Chrome or Chromium where there is one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import missing

playwright = pytest.importorskip("playwright.sync_api")

ROOT = Path(__file__).parent.parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running dashboard, with the models that come with the repository."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log.txt"
    command = [sys.executable, "-m", "streamlit", "run", "app.py"]
    flags = ["--server.port", str(port), "--server.headless", "true", "--server.fileWatcherType", "none"]
    with open(log, "w") as out:
        server = subprocess.Popen([*command, *flags], cwd=ROOT, stdout=out, stderr=out, env=os.environ.copy())
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1)
                break
            except OSError:
                if server.poll() is not None:
                    raise RuntimeError(f"the dashboard did not start:\n{log.read_text()}") from None
                time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait(10)
    assert "Traceback" not in log.read_text(), log.read_text()


@pytest.fixture(scope="session")
def browser() -> Iterator[playwright.Browser]:
    found = os.environ.get("SAE_BROWSER") or next((p for b in BROWSERS if (p := shutil.which(b))), None)
    with playwright.sync_playwright() as p:
        try:
            if found:
                browser = p.chromium.launch(executable_path=found, args=FLAGS)
            else:  # Windows and macOS: where Chrome is usually installed
                browser = p.chromium.launch(channel="chrome", args=FLAGS)
        except playwright.Error:
            missing("no Chrome or Chromium was found: install one, or name it in SAE_BROWSER")
        yield browser
        browser.close()


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
