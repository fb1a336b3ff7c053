"""What a slider release on Steer and a stroke on Draw send between browser and server, measured in a real browser: one
JSON line.

    python benchmarks/bench_bytes.py [--model NAME] [--times 5]

{release,stroke}_bytes_{up,down}: payload of the WebSocket's frames from the release until nothing has come for a while,
with the page's answer; the median. {..}_first_..: the first of them, when less is known to the other side.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, WebSocket, sync_playwright

sys.path.insert(0, str(Path(__file__).parent.parent))
from benchmarks.browser import dashboard, launch

QUIET_MS = 2500
"""without a frame: then all has come"""


class Bytes:
    """What goes between a page and its server."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.seen = {"up": 0, "down": 0}
        page.on("websocket", self._listen)

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framesent", lambda payload: self._count("up", payload))
        socket.on("framereceived", lambda payload: self._count("down", payload))

    def _count(self, way: str, payload: str | bytes) -> None:
        self.seen[way] += len(payload.encode() if isinstance(payload, str) else payload)

    def settle(self) -> None:
        """Wait until nothing goes any more."""
        before = None
        while before != self.seen:
            before = dict(self.seen)
            self.page.wait_for_timeout(QUIET_MS)

    def of(self, act: Callable[[], None]) -> dict[str, int]:
        """What `act` makes go, there and back."""
        self.settle()
        before = dict(self.seen)
        act()
        self.settle()
        return {way: self.seen[way] - before[way] for way in before}


def drag(page: Page, points: list[tuple[float, float]]) -> None:
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=5)
    page.mouse.up()


def strokes(page: Page, url: str, query: str, times: int) -> list[dict[str, int]]:
    found = Bytes(page)
    page.goto(f"{url}/Draw{query}")
    page.locator("[data-testid=draw][data-l0]").wait_for()
    found.settle()
    page.get_by_test_id("clear").click()
    box = page.get_by_test_id("pad").bounding_box()
    assert box
    left, top, width, height = box["x"], box["y"], box["width"], box["height"]

    def across(i: int) -> None:
        x = left + (0.3 + 0.08 * i) * width
        drag(page, [(x, top + 0.2 * height), (x + 0.05 * width, top + 0.8 * height)])

    return [found.of(lambda i=i: across(i)) for i in range(times)]  # type: ignore[misc]


def releases(page: Page, url: str, query: str, times: int) -> list[dict[str, int]]:
    found = Bytes(page)
    page.goto(f"{url}/Steer{query}")
    page.get_by_test_id("strip-slider").first.wait_for()
    found.settle()
    box = page.get_by_test_id("strip-slider").first.bounding_box()
    assert box
    left, middle, width = box["x"], box["y"] + box["height"] / 2, box["width"]

    def along(i: int) -> None:
        x = left + (0.3 + 0.1 * (i % 5)) * width
        drag(page, [(x, middle), (x + 0.25 * width, middle)])

    return [found.of(lambda i=i: along(i)) for i in range(times)]  # type: ignore[misc]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="topk-1024-k50")
    parser.add_argument("--times", type=int, default=5, help="strokes and releases to take the median of")
    args = parser.parse_args()
    query = f"?model={args.model}&data=digits&image=digits-test-3"
    result: dict[str, float | str] = {"model": args.model}
    with dashboard() as (url, _), sync_playwright() as playwright:
        browser = launch(playwright)
        for name, measure in (("stroke", strokes), ("release", releases)):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            found = measure(page, url, query, args.times)
            page.close()
            for way in ("up", "down"):
                result[f"{name}_bytes_{way}"] = statistics.median(f[way] for f in found)
                result[f"{name}_first_bytes_{way}"] = found[0][way]
        browser.close()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
