"""What people's hands and machines did to the pad and the wall, by the events that they cause."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import STATE
from tests.browser.test_draw import SEVEN, clear, ready, same_picture, stroke
from tests.browser.test_features import WALL
from tests.browser.waiting import painted, settled

STROKES = f"{STATE}.pads.get('draw').drawn"
EVENT = """(pad, [kind, more, at]) => {
  const { left, top, width, height } = pad.getBoundingClientRect();
  const place = { clientX: left + at[0] * width, clientY: top + at[1] * height };
  const usual = { bubbles: true, composed: true, cancelable: true, button: 0, buttons: 1, pointerId: 9 };
  pad.dispatchEvent(new PointerEvent(kind, { ...usual, ...place, ...more }));
}"""


def event(page: Page, kind: str, at: tuple[float, float], **more: Any) -> None:
    page.get_by_test_id("pad").evaluate(EVENT, [kind, more, at])


def strokes(page: Page) -> list[int]:
    """Points of each stroke that is drawn."""
    return list(page.evaluate(f"{STROKES}.strokes.map((s) => s.points.length)"))


def none_selects(page: Page) -> int:
    """How many pictures the page shows; a long press on none of them selects anything."""
    found = page.locator("canvas:visible").evaluate_all(
        "all => all.map((e) => [e.className, getComputedStyle(e).userSelect])"
    )
    assert {how for _, how in found} == {"none"}, found
    return len(found)


def swipe(page: Page, over: Locator, far: int) -> None:
    """One finger, up over an element."""
    box = over.bounding_box()
    assert box is not None
    x, y = box["x"] + min(200, box["width"] / 2), max(box["y"], 0) + far + 60
    session = page.context.new_cdp_session(page)
    for kind, at in [("touchStart", 0), *(("touchMove", at) for at in range(0, far + 1, 20)), ("touchEnd", far)]:
        points = [] if kind == "touchEnd" else [{"x": x, "y": y - at}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        painted(page)
    session.detach()


def opened(page: Page, app: str) -> None:
    page.goto(f"{app}/Draw?data=digits&image=digits-test-11")
    ready(page)
    settled(page)


@pytest.mark.case(1)
def test_a_release_that_was_not_seen_ends_the_stroke(page: Page, app: str) -> None:
    opened(page, app)
    event(page, "pointerdown", (0.3, 0.3), pointerType="mouse")
    event(page, "pointermove", (0.6, 0.3), pointerType="mouse")
    event(page, "pointermove", (0.9, 0.9), pointerType="mouse", buttons=0)
    assert strokes(page) == [2], "not drawn on to where the pointer came back"
    assert page.evaluate(f"{STROKES}.pointer") is None
    same_picture(page)  # it is sent


@pytest.mark.case(2)
def test_the_pen_draws_and_the_hand_does_not(page: Page, app: str) -> None:
    opened(page, app)
    clear(page)
    event(page, "pointerdown", (0.8, 0.8), pointerType="touch", pointerId=5, width=60)
    assert strokes(page) == [1]
    event(page, "pointerdown", (0.2, 0.2), pointerType="pen", pointerId=6)
    event(page, "pointermove", (0.5, 0.2), pointerType="pen", pointerId=6)
    event(page, "pointermove", (0.9, 0.9), pointerType="touch", pointerId=5)
    assert strokes(page) == [2], "the hand's dot is taken back and it draws no more"
    event(page, "pointerup", (0.5, 0.2), pointerType="pen", pointerId=6, buttons=0)
    event(page, "pointerdown", (0.7, 0.9), pointerType="touch", pointerId=7)
    event(page, "pointerup", (0.7, 0.9), pointerType="touch", pointerId=7, buttons=0)
    assert strokes(page) == [2], "while the pen is near a touch is nothing"
    page.get_by_test_id("undo").click()
    assert strokes(page) == []


@pytest.mark.case(2)
def test_a_dot_that_the_hand_left_before_the_pen_came_is_taken_back(page: Page, app: str) -> None:
    opened(page, app)
    clear(page)
    for pointer, kind in ((5, "touch"), (6, "pen")):
        event(page, "pointerdown", (0.8, 0.8), pointerType=kind, pointerId=pointer)
        event(page, "pointermove", (0.81, 0.8), pointerType=kind, pointerId=pointer)
        event(page, "pointerup", (0.81, 0.8), pointerType=kind, pointerId=pointer, buttons=0)
        assert strokes(page) == [2], kind
    page.get_by_test_id("undo").click()
    assert strokes(page) == []


@pytest.mark.case(2)
def test_what_a_finger_drew_stays_when_a_pen_comes(page: Page, app: str) -> None:
    opened(page, app)
    clear(page)
    event(page, "pointerdown", (0.2, 0.2), pointerType="touch", pointerId=5)
    event(page, "pointermove", (0.8, 0.2), pointerType="touch", pointerId=5)
    event(page, "pointerup", (0.8, 0.2), pointerType="touch", pointerId=5, buttons=0)
    event(page, "pointerdown", (0.5, 0.5), pointerType="pen", pointerId=6)
    event(page, "pointerup", (0.5, 0.5), pointerType="pen", pointerId=6, buttons=0)
    assert strokes(page) == [2, 1]


def test_a_first_stroke_replaces_the_example_unless_one_draws_on_it(page: Page, app: str) -> None:
    opened(page, app)
    onto = page.get_by_test_id("onto")
    expect(onto).to_be_visible()
    stroke(page, *SEVEN)
    assert page.evaluate(f"{STROKES}.base") is None
    expect(onto).to_be_hidden()
    page.get_by_test_id("undo").click()
    expect(onto).to_be_visible()
    onto.click()
    stroke(page, *SEVEN)
    assert page.evaluate(f"{STROKES}.base") is not None and len(strokes(page)) == 1


def test_clear_puts_the_eraser_away(page: Page, app: str) -> None:
    opened(page, app)
    eraser = page.get_by_role("button", name="Eraser")
    eraser.click()
    expect(eraser).to_have_attribute("aria-pressed", "true")
    clear(page)
    expect(eraser).to_have_attribute("aria-pressed", "false")


@pytest.mark.case(6)
def test_a_long_press_selects_nothing_and_a_swipe_scrolls(phone: Page, app: str) -> None:
    page, style = phone, "(e, name) => getComputedStyle(e)[name]"
    opened(page, app)
    for id in ("pad", "tiles"):
        element = page.get_by_test_id(id)
        of = element if id == "pad" else element.locator(".cell").first
        assert of.evaluate(style, "userSelect") == "none", id
    assert none_selects(page) > 5
    page.goto(f"{app}/Features?data=digits&feature=3")
    wall = page.locator(WALL)
    expect(wall).to_be_visible(timeout=30_000)
    settled(page)
    assert none_selects(page) > 5
    for width, height in ((400, 800), (820, 1180)):
        page.set_viewport_size({"width": width, "height": height})
        settled(page)
        wall.scroll_into_view_if_needed()
        before = page.locator("[data-testid=stMain]").evaluate("e => e.scrollTop")
        swipe(page, wall, 300)
        page.wait_for_function(
            "before => document.querySelector('[data-testid=stMain]').scrollTop > before + 150", arg=before
        )
    detail = page.get_by_test_id("feature-detail")
    expect(detail).to_be_in_viewport()  # beside the wall it stays
    page.goto(f"{app}/Steer?data=digits&image=digits-test-11")
    strip = page.get_by_test_id("strip").first
    expect(strip).to_be_visible(timeout=30_000)
    assert strip.evaluate(style, "userSelect") == "none"
    assert none_selects(page) > 3


@pytest.mark.case(11)
def test_numbers_move_in_a_page_that_is_translated(page: Page, app: str) -> None:
    opened(page, app)
    pearson = page.locator("[data-testid=draw] .pearson")
    before = pearson.text_content()
    page.locator("[data-testid=draw]").evaluate(
        """(root) => {
             const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT), nodes = [];
             while (walk.nextNode()) nodes.push(walk.currentNode);
             for (const node of nodes) {
               const font = document.createElement("font");
               node.replaceWith(font);
               font.append(node);
             }
           }"""
    )
    stroke(page, *SEVEN)
    expect(pearson).not_to_have_text(before or "", timeout=5_000)
    same_picture(page)


def test_the_upload_closes_over_its_result_and_over_what_is_wrong(page: Page, app: str, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    picture = Image.new("L", (60, 60), 255)
    ImageDraw.Draw(picture).line((30, 10, 30, 50), fill=0, width=6)
    picture.save(good)
    bad.write_bytes(b"no picture")
    opened(page, app)
    for path, shown in ((good, "your upload"), (bad, "The picture before it stays.")):
        page.get_by_role("button", name="Upload a picture").click()
        chooser = page.locator("[data-testid=stPopoverBody] input[type=file]")
        chooser.set_input_files(path)
        expect(page.locator("[data-testid=stPopoverBody]")).to_have_count(0, timeout=15_000)
        if path is bad:
            expect(page.get_by_text(shown)).to_be_visible()
        settled(page)


def test_a_term_that_changes_nothing_is_said_in_words(page: Page, app: str) -> None:
    opened(page, app)
    cells = page.get_by_test_id("tiles").locator(".cell")
    hint, seen = page.locator("[data-testid=anatomy] .hint"), set()
    for i in range(cells.count()):
        cells.nth(i).hover()
        text = hint.text_content() or ""
        if "Without it no visible change" in text:
            seen.add("same")
        elif found := re.search(r"Without it: \S+ with ([\d.]+) %, not ([\d.]+) %", text):
            assert found[1] != found[2], text
            seen.add("other")
    assert seen, "the classifier was asked"
