"""What tests wait for instead of a time: the script's end, a painted frame."""

from __future__ import annotations

import time
from collections.abc import Callable

from playwright.sync_api import Page


def painted(page: Page) -> None:
    """Until what has come to the page so far is computed and painted: components do both once a frame."""
    page.evaluate(
        """() => new Promise((done) => {
             requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)));
           })"""
    )


def settled(page: Page, calm_ms: int = 100, most_ms: int = 30_000) -> None:
    """Until the page's script is at its end, no frame brings another element, and none did for a moment.

    For what no element says by itself, as where things stand once all are there.
    """
    page.evaluate(
        """async ([calm, most]) => {
             const app = document.querySelector("[data-testid=stApp]"), began = performance.now();
             let last = performance.now();
             const busy = () => { last = performance.now(); };
             const watch = new MutationObserver(busy);
             watch.observe(document.body, { subtree: true, childList: true });
             while (performance.now() - last < calm) {
               if (app.dataset.testScriptState !== "notRunning") busy();
               if (performance.now() > began + most) throw new Error(`no rest within ${most} ms`);
               await new Promise((done) => setTimeout(done, 10));
             }
             watch.disconnect();
           }""",
        [calm_ms, most_ms],
    )


def until(page: Page, met: Callable[[], bool], most_s: float = 30) -> None:
    """Until something is so that no element shows, as what has come to a test's own route. Looked at each frame."""
    began = time.monotonic()
    while not met():
        if time.monotonic() > began + most_s:
            raise AssertionError(f"not within {most_s} s")
        painted(page)
