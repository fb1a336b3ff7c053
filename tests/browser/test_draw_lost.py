"""Nothing that was drawn is lost or mixed up: a server that stands still or starts anew, pages left at once, and
pictures that change in mid-stroke. The measure: the page's picture is the pad's."""

from __future__ import annotations

import os
import re
import signal
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from benchmarks.browser import dashboard
from tests.browser.conftest import STATE
from tests.browser.test_draw import DRAW, SEVEN, clear, ready, same_picture, stroke

LINE = ((0.2, 0.5), (0.8, 0.5))


def a_seven(page: Page) -> np.ndarray:
    """Draw one on the empty pad, and wait until the page has it."""
    clear(page)
    stroke(page, *SEVEN)
    return same_picture(page)


def go(page: Page, name: str) -> None:
    page.get_by_test_id("stSidebar").get_by_role("link", name=name).click()


def arrived(page: Page, name: str) -> None:
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible(timeout=30_000)


@pytest.fixture
def own(browser: Browser, tmp_path: Path) -> Iterator[tuple[Page, str, int]]:
    """A dashboard that may be stopped, and a page whose console may complain of it."""
    with dashboard(tmp_path / "log.txt") as (address, pid):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        yield context.new_page(), address, pid
        context.close()


def test_a_drawing_survives_a_server_that_stands_still_and_a_page_that_is_left(own: tuple[Page, str, int]) -> None:
    page, address, pid = own
    page.goto(f"{address}/Draw")
    ready(page)
    first = a_seven(page)
    os.kill(pid, signal.SIGSTOP)
    try:
        stroke(page, *LINE)
        page.wait_for_timeout(300)
        go(page, "Steer")
        page.wait_for_timeout(300)
    finally:
        os.kill(pid, signal.SIGCONT)
    arrived(page, "Steer")
    page.wait_for_timeout(1500)
    go(page, "Draw")
    arrived(page, "Draw")
    ready(page)
    assert not np.array_equal(same_picture(page), first)


def test_a_drawing_made_while_the_server_stands_still_is_sent_again(own: tuple[Page, str, int]) -> None:
    page, address, _ = own
    dropped: list[str] = []

    def between(route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        def up(message: Any) -> None:
            if not dropped and len(message) > 20_000:  # the first drawing gets lost on its way
                dropped.append("drawing")
                return
            server.send(message)

        route.on_message(up)

    page.route_web_socket(re.compile("_stcore/stream"), between)
    page.goto(f"{address}/Draw?data=digits&image=digits-test-3")
    ready(page)
    page.wait_for_timeout(500)
    stroke(page, *LINE)
    page.wait_for_timeout(1000)
    assert dropped and "digits-test-3" in page.url
    same_picture(page)


def test_a_drawing_survives_a_new_server(own: tuple[Page, str, int]) -> None:
    page, address, pid = own
    page.goto(f"{address}/Draw?data=digits")
    ready(page)
    a_seven(page)
    key = page.evaluate(f"() => {STATE}.pads.get('draw').key")
    stroke(page, (0.3, 0.6), (0.6, 0.6))
    before = same_picture(page)
    os.kill(pid, signal.SIGKILL)
    # Also when the address has come to the page, and the answer that belongs to it has not.
    page.evaluate(f"key => {{ {STATE}.pads.get('draw').key = key }}", key)
    page.wait_for_timeout(1000)
    stroke(page, *LINE)
    page.wait_for_timeout(500)
    with dashboard(port=urllib.parse.urlparse(address).port):
        after = same_picture(page, 60)
        assert not np.array_equal(after, before)
        assert "data=digits" in page.url
        stroke(page, (0.2, 0.2), (0.2, 0.8))
        page.wait_for_timeout(500)
        assert not np.array_equal(same_picture(page), after)


class Wire:
    """The messages between a page and its server, held back while somebody wants so."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.waiting: dict[str, list[Any]] = {"up": [], "down": []}
        self.held: set[str] = set()
        self.ends: dict[str, Callable[[Any], None]] = {}
        page.route_web_socket(re.compile("_stcore/stream"), self._between)

    def _between(self, route: WebSocketRoute) -> None:
        server = route.connect_to_server()
        self.ends = {"up": server.send, "down": route.send}
        route.on_message(lambda message: self._pass("up", message))
        server.on_message(lambda message: self._pass("down", message))

    def _pass(self, way: str, message: Any) -> None:
        if way in self.held:
            self.waiting[way].append(message)
        else:
            self.ends[way](message)

    def free(self, way: str, n: int | None = None, wait: int = 600) -> None:
        """Let the first n through; all, and what comes after them, without n."""
        if n is None:
            self.held.discard(way)
        messages, self.waiting[way] = self.waiting[way][:n], self.waiting[way][n:] if n is not None else []
        for message in messages:
            self.ends[way](message)
        self.page.wait_for_timeout(wait)


@pytest.fixture
def wire(page: Page, app: str) -> Wire:
    """Draw with an image, and what goes between it and the server."""
    wire = Wire(page)
    page.goto(f"{app}/Draw?data=digits&image=digits-test-3")
    ready(page)
    page.wait_for_timeout(1500)
    return wire


def test_who_leaves_the_page_is_not_called_back_to_send_a_drawing(page: Page, wire: Wire) -> None:
    wire.held = {"down"}
    stroke(page, *SEVEN)
    page.wait_for_timeout(1500)  # its answer is on its way …
    stroke(page, *LINE)  # … and this one waits for it
    wire.held = {"up", "down"}
    go(page, "Steer")
    wire.free("down")
    wire.free("up")
    arrived(page, "Steer")
    page.wait_for_timeout(1500)
    arrived(page, "Steer")
    go(page, "Draw")
    arrived(page, "Draw")
    ready(page)
    same_picture(page)


@pytest.mark.parametrize("ms", [50, 300, 1500])
def test_a_link_clicked_before_the_address_followed_the_drawing(page: Page, wire: Wire, ms: int) -> None:
    first = a_seven(page)
    page.wait_for_timeout(1000)
    wire.held = {"up"}
    stroke(page, *LINE)
    page.wait_for_timeout(300)
    go(page, "Steer")  # with the address from before the stroke
    page.wait_for_timeout(300)
    assert len(wire.waiting["up"]) == 2
    wire.free("up", 1, wait=ms)
    wire.free("up")
    arrived(page, "Steer")
    page.wait_for_timeout(500)
    go(page, "Draw")
    arrived(page, "Draw")
    ready(page)
    assert not np.array_equal(same_picture(page), first)


def test_a_picture_chosen_before_a_stroke_and_shown_after_it(page: Page, wire: Wire) -> None:
    wire.held = {"down"}
    page.get_by_role("button", name="Another").click()
    page.wait_for_timeout(1500)
    chosen = len(wire.waiting["down"])
    stroke(page, *SEVEN)  # on the picture before, which the other replaces
    page.wait_for_timeout(1500)
    wire.free("down", chosen)
    wire.free("down")
    page.wait_for_timeout(1000)
    same_picture(page)


def test_another_picture_in_mid_stroke(page: Page, app: str) -> None:
    page.goto(f"{app}/Draw?data=digits&image=digits-test-3")
    ready(page)
    page.wait_for_timeout(500)
    stroke(page, *SEVEN)
    stroke(page, *LINE, release=False)
    page.get_by_role("button", name="Another").evaluate("e => e.click()")
    page.wait_for_timeout(1500)
    page.mouse.up()
    page.wait_for_timeout(1000)
    same_picture(page)
    page.get_by_test_id("undo").click()
    page.wait_for_timeout(500)
    same_picture(page)


def test_half_a_stroke_is_sent_when_the_pad_comes_back(page: Page, app: str) -> None:
    page.goto(f"{app}/Draw?data=digits&image=digits-test-3")
    ready(page)
    page.wait_for_timeout(500)
    stroke(page, *LINE, release=False)
    page.get_by_test_id("stSidebar").get_by_role("link", name="Steer").evaluate("e => e.click()")
    arrived(page, "Steer")
    page.mouse.up()
    go(page, "Draw")
    arrived(page, "Draw")
    ready(page)
    expect(page).to_have_url(re.compile("image=px-"), timeout=15_000)
    same_picture(page)


def test_clear_then_back_brings_the_example_back(page: Page, app: str) -> None:
    page.goto(f"{app}/Draw?data=digits&image=digits-test-11")  # which is also the example
    ready(page)
    page.wait_for_timeout(500)
    before = same_picture(page)
    clear(page)
    page.go_back()
    expect(page).to_have_url(re.compile("image=digits-test-11"), timeout=15_000)
    page.wait_for_timeout(500)
    assert np.array_equal(same_picture(page), before)


def test_a_picture_without_its_strokes_is_itself_again(page: Page, app: str) -> None:
    page.goto(f"{app}/Draw?data=digits&image=digits-test-3")
    ready(page)
    page.wait_for_timeout(500)
    stroke(page, *LINE)
    expect(page).to_have_url(re.compile("image=px-"), timeout=15_000)
    page.get_by_test_id("undo").click()
    expect(page).to_have_url(re.compile("image=digits-test-3"), timeout=15_000)
    expect(page.get_by_role("spinbutton", name="Image of digits/test")).to_have_value("3")
    expect(page.locator(f"{DRAW}")).to_be_visible()
    # Also after a stroke, a clearing, and both taken back.
    stroke(page, *LINE)
    clear(page)
    page.get_by_test_id("undo").click()
    expect(page).to_have_url(re.compile("image=px-"), timeout=15_000)
    page.get_by_test_id("undo").click()
    expect(page).to_have_url(re.compile("image=digits-test-3"), timeout=15_000)
