"""Nothing that was drawn is lost or mixed up: a server that stands still or starts anew, pages left at once, and
pictures that change in mid-stroke. The measure: the page's picture is the pad's."""

from __future__ import annotations

import os
import re
import signal
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from benchmarks.browser import dashboard
from tests.browser.conftest import STATE, stops_a_server
from tests.browser.test_draw import DRAW, SEVEN, clear, ready, same_picture, stroke
from tests.browser.waiting import painted, settled, until

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


@stops_a_server
def test_a_drawing_survives_a_server_that_stands_still_and_a_page_that_is_left(
    page: Page, app: str, standstill: Callable[[], AbstractContextManager[None]]
) -> None:
    page.goto(f"{app}/Draw")
    ready(page)
    first = a_seven(page)
    with standstill():
        stroke(page, *LINE)
        painted(page)
        go(page, "Steer")
        painted(page)
    arrived(page, "Steer")
    settled(page)
    go(page, "Draw")
    arrived(page, "Draw")
    ready(page)
    assert not np.array_equal(same_picture(page), first)


def test_a_drawing_that_is_lost_on_its_way_is_sent_again(page: Page, app: str) -> None:
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
    page.goto(f"{app}/Draw?data=digits&image=digits-test-3")
    ready(page)
    settled(page)
    stroke(page, *LINE)
    until(page, lambda: bool(dropped))
    assert "digits-test-3" in page.url
    same_picture(page)


@stops_a_server
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
    expect(page.get_by_test_id("stApp")).not_to_have_attribute("data-test-connection-state", "CONNECTED")
    stroke(page, *LINE)
    painted(page)
    with dashboard(port=urllib.parse.urlparse(address).port):
        after = same_picture(page, 60)
        assert not np.array_equal(after, before)
        assert "data=digits" in page.url
        stroke(page, (0.2, 0.2), (0.2, 0.8))
        assert not np.array_equal(same_picture(page), after)


class Wire:
    """The messages between a page and its server, held back while somebody wants so."""

    def __init__(self, page: Page) -> None:
        self.waiting: dict[str, list[Any]] = {"up": [], "down": []}
        self.passed = {"up": 0, "down": 0}
        self.held: set[str] = set()
        self.ends: dict[str, Callable[[Any], None]] = {}
        page.route_web_socket(re.compile("_stcore/stream"), self._between)

    def _between(self, route: WebSocketRoute) -> None:
        server = route.connect_to_server()
        self.ends = {"up": server.send, "down": route.send}
        route.on_message(lambda message: self._came("up", message))
        server.on_message(lambda message: self._came("down", message))

    def _came(self, way: str, message: Any) -> None:
        if way in self.held:
            self.waiting[way].append(message)
        else:
            self._pass(way, message)

    def _pass(self, way: str, message: Any) -> None:
        self.ends[way](message)
        self.passed[way] += 1

    def free(self, way: str, n: int | None = None) -> None:
        """Let the first n through; all, and what comes after them, without n."""
        if n is None:
            self.held.discard(way)
        messages, self.waiting[way] = self.waiting[way][:n], self.waiting[way][n:] if n is not None else []
        for message in messages:
            self._pass(way, message)

    def runs(self) -> int:
        """How many runs of the page's script have ended of which the page has not heard."""
        return sum(ForwardMsg.FromString(m).WhichOneof("type") == "script_finished" for m in self.waiting["down"])


@pytest.fixture
def wire(page: Page, app: str) -> Wire:
    """Draw with an image, and what goes between it and the server."""
    wire = Wire(page)
    page.goto(f"{app}/Draw?data=digits&image=digits-test-3")
    ready(page)
    settled(page)
    return wire


def heard(page: Page) -> int:
    """The number of the pad's last message that the page knows Python took."""
    return page.evaluate(f"() => {STATE}.links.get('draw').taken")


def test_who_leaves_the_page_is_not_called_back_to_send_a_drawing(page: Page, wire: Wire) -> None:
    before = heard(page)
    wire.held = {"down"}
    stroke(page, *SEVEN)
    until(page, lambda: wire.runs() > 0)  # its answer is on its way …
    stroke(page, *LINE)  # … and this one waits for it
    wire.held = {"up", "down"}
    go(page, "Steer")
    wire.free("down")
    until(page, lambda: heard(page) > before)
    wire.free("up")
    arrived(page, "Steer")
    settled(page)
    arrived(page, "Steer")
    go(page, "Draw")
    arrived(page, "Draw")
    ready(page)
    same_picture(page)


@pytest.mark.parametrize("when", ["at once", "while Python runs", "when it has run"])
def test_a_link_clicked_before_the_address_followed_the_drawing(page: Page, wire: Wire, when: str) -> None:
    first = a_seven(page)
    wire.held = {"up"}
    before = heard(page)
    stroke(page, *LINE)
    until(page, lambda: len(wire.waiting["up"]) == 1)
    go(page, "Steer")  # with the address from before the stroke
    until(page, lambda: len(wire.waiting["up"]) == 2)
    came = wire.passed["down"]
    wire.free("up", 1)
    if when == "while Python runs":
        until(page, lambda: wire.passed["down"] > came)
    elif when == "when it has run":
        until(page, lambda: heard(page) > before)
    wire.free("up")
    arrived(page, "Steer")
    settled(page)
    go(page, "Draw")
    arrived(page, "Draw")
    ready(page)
    assert not np.array_equal(same_picture(page), first)


def test_a_picture_chosen_before_a_stroke_and_shown_after_it(page: Page, wire: Wire) -> None:
    wire.held = {"down"}
    page.get_by_role("button", name="Another").click()
    until(page, lambda: wire.runs() == 1)
    chosen = len(wire.waiting["down"])
    stroke(page, *SEVEN)  # on the picture before, which the other replaces
    until(page, lambda: wire.runs() == 2)
    wire.free("down", chosen)
    painted(page)
    wire.free("down")
    same_picture(page)


def test_another_picture_in_mid_stroke(page: Page, app: str) -> None:
    page.goto(f"{app}/Draw?data=digits&image=digits-test-3")
    ready(page)
    settled(page)
    stroke(page, *SEVEN)
    stroke(page, *LINE, release=False)
    page.get_by_role("button", name="Another").evaluate("e => e.click()")
    settled(page)
    page.mouse.up()
    same_picture(page)
    page.get_by_test_id("undo").click()
    same_picture(page)


def test_half_a_stroke_is_sent_when_the_pad_comes_back(page: Page, app: str) -> None:
    page.goto(f"{app}/Draw?data=digits&image=digits-test-3")
    ready(page)
    settled(page)
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
    settled(page)
    before = same_picture(page)
    clear(page)
    page.go_back()
    expect(page).to_have_url(re.compile("image=digits-test-11"), timeout=15_000)
    assert np.array_equal(same_picture(page), before)


def test_a_picture_without_its_strokes_is_itself_again(page: Page, app: str) -> None:
    page.goto(f"{app}/Draw?data=digits&image=digits-test-3")
    ready(page)
    settled(page)
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
