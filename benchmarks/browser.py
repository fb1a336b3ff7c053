"""A dashboard of one's own and a real browser: for the benchmarks, the screenshots and the tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Playwright

ROOT = Path(__file__).parent.parent
_NAMES = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    "chromium-headless-shell",  # what CI asks for: Chromium without its windows
)
_QUIET = ["--server.headless", "true", "--server.fileWatcherType", "none"]
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def options() -> dict[str, Any]:
    """What playwright's `chromium.launch` needs: Chrome or Chromium as installed (SAE_BROWSER names another)."""
    found = os.environ.get("SAE_BROWSER") or next((p for name in _NAMES if (p := shutil.which(name))), None)
    if found:
        return {"executable_path": found, "args": _FLAGS}
    return {"channel": "chrome", "args": _FLAGS}  # where Windows and macOS have it


def launch(playwright: Playwright) -> Browser:
    """Start that browser. playwright's Error when there is none."""
    return playwright.chromium.launch(**options())


@contextmanager
def dashboard(
    log: Path | None = None, port: int | None = None, command: Sequence[str] = (), **options: Any
) -> Iterator[tuple[str, int]]:
    """Start a dashboard on that port or a free one; its address and process id. What it prints goes to `log`.

    command: what starts it, PORT standing for the port; by default app.py of this checkout. options: of `Popen`.
    """
    if port is None:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
    started = command or [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", "PORT", *_QUIET]
    with open(log or os.devnull, "w") as out:
        words = [str(port) if word == "PORT" else word for word in started]
        server = subprocess.Popen(words, **{"cwd": ROOT, **options}, stdout=out, stderr=out)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1)
                break
            except OSError:
                if server.poll() is not None:
                    raise RuntimeError(f"the dashboard did not start; see {log}") from None
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", server.pid
    finally:
        server.terminate()
        server.wait(60)
