"""Drawing with a real mouse in a real browser; Python's numbers are the measure."""

from __future__ import annotations

import json
import re
import time
import urllib.parse

import numpy as np
import pytest
import torch
from playwright.sync_api import Locator, Page, expect

from sae_core import load, reference
from sae_core.measure.metrics import pearson
from tests.browser.conftest import STATE, import_modules
from tests.browser.waiting import painted, settled
from ui.base import state

DRAW = "[data-testid=draw]"
PAD = "c => [...c.getContext('2d').getImageData(0, 0, 28, 28).data].filter((_, i) => i % 4 === 0)"


def ready(page: Page) -> None:
    """Until the pad shows a code."""
    expect(page.locator(f"{DRAW}[data-l0]")).to_be_visible(timeout=60_000)


def stroke(page: Page, *points: tuple[float, float], release: bool = True) -> None:
    """Draw through points given in shares of the pad's side."""
    box = page.get_by_test_id("pad").bounding_box()
    assert box
    spots = [(box["x"] + px * box["width"], box["y"] + py * box["height"]) for px, py in points]
    page.mouse.move(*spots[0])
    page.mouse.down()
    for spot in spots[1:]:
        page.mouse.move(*spot, steps=8)
    if release:
        page.mouse.up()


SEVEN = ((0.3, 0.25), (0.7, 0.25), (0.45, 0.8))


def numbers(page: Page) -> tuple[float, int]:
    root = page.locator(DRAW)
    return float(root.get_attribute("data-pearson") or "nan"), int(root.get_attribute("data-l0") or -1)


def python_pearson(page: Page) -> Locator:
    return page.get_by_test_id("stMetric").filter(has_text="Pearson").get_by_test_id("stMetricValue")


def picture_in_url(page: Page) -> np.ndarray:
    query = urllib.parse.parse_qs(urllib.parse.urlparse(page.url).query)
    return reference.find_picture(query["image"][0]).x


def same_picture(page: Page, timeout_s: float = 15) -> np.ndarray:
    """Wait until the page is at rest and its address has the picture that the pad shows: 784 levels."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        settled(page)
        shown = page.get_by_test_id("input").evaluate(PAD)
        if "image=" in page.url and np.round(picture_in_url(page) * 255).tolist() == shown:
            return np.array(shown)
    raise AssertionError(f"pad and page differ: {page.url}")


def clear(page: Page) -> None:
    page.get_by_test_id("clear").click()
    expect(page.get_by_text("There is nothing drawn yet")).to_be_visible(timeout=15_000)


@pytest.mark.case(3)
def test_a_dot_in_a_corner_moves_nothing_and_is_said(page: Page, app: str) -> None:
    page.goto(f"{app}/Draw?model=topk-1024-k50")
    ready(page)
    clear(page)
    stroke(page, *SEVEN)
    before = same_picture(page)
    noted = page.get_by_test_id("noted")
    expect(noted).to_be_hidden()
    stroke(page, (0.06, 0.94))
    expect(noted).to_have_text("A speck beside the digit was left out.", timeout=15_000)
    assert np.array_equal(same_picture(page), before)
    page.get_by_test_id("undo").click()
    expect(noted).to_be_hidden(timeout=15_000)


def test_draw_a_seven(page: Page, app: str) -> None:
    page.goto(f"{app}/Draw?model=topk-1024-k50")
    ready(page)
    clear(page)
    stroke(page, *SEVEN, release=False)
    painted(page)
    live = numbers(page)
    assert live[1] == 50 and live[0] > 0.8, "nothing is reconstructed while drawing"
    page.mouse.up()
    same_picture(page)
    x = torch.from_numpy(picture_in_url(page))[None]
    sae = load("topk-1024-k50")
    mine = float(pearson(x, sae(x).x_hat)[0])
    assert abs(numbers(page)[0] - mine) < 1e-3
    expect(python_pearson(page)).to_have_text(f"{mine:.4f}")
    active = json.loads(page.locator(DRAW).get_attribute("data-active") or "[]")
    code = sae.sparse_code(x)
    assert set(active) == set(code.indices[0][code.values[0] != 0].tolist())


def test_the_pad_keeps_its_strokes_on_a_page_switch(page: Page, app: str) -> None:
    page.goto(f"{app}/Draw?model=topk-1024-k50")
    ready(page)
    clear(page)
    stroke(page, *SEVEN)
    stroke(page, (0.4, 0.5), (0.6, 0.5))
    same_picture(page)
    before = page.get_by_test_id("pad").evaluate("c => c.toDataURL()")
    kept = picture_in_url(page)
    page.get_by_test_id("stSidebar").get_by_role("link", name="Steer").click()
    expect(page.get_by_role("heading", name="Steer", exact=True)).to_be_visible(timeout=30_000)
    expect(page).to_have_url(re.compile("image=px-"), timeout=15_000)
    assert np.array_equal(picture_in_url(page), kept)
    page.get_by_test_id("stSidebar").get_by_role("link", name="Draw").click()
    ready(page)
    assert page.get_by_test_id("pad").evaluate("c => c.toDataURL()") == before
    page.get_by_role("button", name="Undo").click()
    painted(page)
    assert page.get_by_test_id("pad").evaluate("c => c.toDataURL()") != before
    assert numbers(page)[1] == 50


def test_back_and_forward_between_two_drawings(page: Page, app: str) -> None:
    page.goto(f"{app}/Draw?model=topk-1024-k50")
    ready(page)
    clear(page)
    stroke(page, *SEVEN)
    first, address = same_picture(page), page.url
    stroke(page, (0.2, 0.2), (0.2, 0.9))
    expect(page).not_to_have_url(address, timeout=15_000)
    second = same_picture(page)
    assert not np.array_equal(first, second)
    for go, wanted in ((page.go_back, first), (page.go_forward, second)):
        go()
        assert np.array_equal(same_picture(page), wanted)


def test_undo_eraser_and_clear(page: Page, app: str) -> None:
    page.goto(f"{app}/Draw?model=topk-1024-k50")
    ready(page)
    clear(page)
    blank = page.get_by_test_id("pad").evaluate("c => c.toDataURL()")
    stroke(page, *SEVEN)
    one = page.get_by_test_id("pad").evaluate("c => c.toDataURL()")
    page.get_by_role("button", name="Eraser").click()
    stroke(page, (0.2, 0.25), (0.8, 0.25))
    assert page.get_by_test_id("pad").evaluate("c => c.toDataURL()") not in (one, blank)
    page.get_by_role("button", name="Undo").click()
    assert page.get_by_test_id("pad").evaluate("c => c.toDataURL()") == one
    page.get_by_test_id("clear").click()
    assert page.get_by_test_id("pad").evaluate("c => c.toDataURL()") == blank
    page.get_by_role("button", name="Undo").click()
    assert page.get_by_test_id("pad").evaluate("c => c.toDataURL()") == one


def test_a_tap_is_a_dot_and_the_eraser_takes_all_of_it(page: Page, app: str) -> None:
    page.goto(f"{app}/Draw?model=topk-1024-k50")
    ready(page)
    clear(page)
    blank = page.get_by_test_id("pad").evaluate("c => c.toDataURL()")
    stroke(page, (0.5, 0.5))
    expect(page).to_have_url(re.compile("image=px-"), timeout=15_000)
    assert page.get_by_test_id("pad").evaluate("c => c.toDataURL()") != blank
    page.get_by_role("button", name="Eraser").click()
    stroke(page, (0.5, 0.5))
    assert page.get_by_test_id("pad").evaluate("c => c.toDataURL()") == blank


def test_the_pad_works_by_keyboard(page: Page, app: str) -> None:
    page.goto(f"{app}/Draw?model=topk-1024-k50")
    ready(page)
    clear(page)
    page.get_by_test_id("pad").focus()
    page.keyboard.press("Space")
    for _ in range(14):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    expect(page).to_have_url(re.compile("image=px-"), timeout=15_000)
    assert numbers(page)[1] == 50
    page.keyboard.press("c")  # Streamlit would offer to clear its caches
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("Delete")
    expect(page.get_by_text("There is nothing drawn yet")).to_be_visible(timeout=15_000)


def test_touch(phone: Page, app: str) -> None:
    page = phone
    page.goto(f"{app}/Draw?model=topk-1024-k50")
    ready(page)
    clear(page)
    pad = page.get_by_test_id("pad")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= 400
    session = page.context.new_cdp_session(page)
    spots = [
        (box["x"] + box["width"] * t, box["y"] + box["height"] * (0.2 + 0.6 * t)) for t in np.linspace(0.2, 0.8, 20)
    ]
    for kind, spot in [("touchStart", spots[0]), *[("touchMove", s) for s in spots[1:]]]:
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": spot[0], "y": spot[1]}]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(page).to_have_url(re.compile("image=px-"), timeout=15_000)
    assert numbers(page)[1] == 50


def test_browser_and_python_agree_on_real_images(page: Page, app: str, mnist_dir: object) -> None:
    """The engine on 200 images: the same active latents, the same values."""
    images = state.load_dataset("mnist", "test").x[:200]
    for name in ("topk-1024-k50", "tied-topk-1024-k50"):
        page.goto(f"{app}/Draw?model={name}")
        ready(page)
        import_modules(page, "live/arithmetic")
        found = page.evaluate(
            f"""([name, images]) => {{
                 const {{ encode, decode, pearson }} = ours;
                 const model = [...{STATE}.models.values()].find((m) => m.id.startsWith(name + "@"));
                 return images.map((x) => {{
                   const code = encode(model, x), x_hat = decode(model, code);
                   return {{ ...code, pearson: pearson(x, x_hat) }};
                 }});
               }}""",
            [name, images.tolist()],
        )
        sae = load(name)
        x = torch.from_numpy(np.array(images))
        out = sae(x)
        correlations = pearson(x, out.x_hat).tolist()
        for row, acts, r in zip(found, out.acts, correlations, strict=True):
            assert set(row["index"]) == set(acts.nonzero()[:, 0].tolist())
            mine = acts[row["index"]].numpy()
            np.testing.assert_allclose(row["value"], mine, rtol=1e-3, atol=1e-5)
            assert abs(row["pearson"] - r) < 1e-4


def test_an_empty_pad_invites_to_draw(page: Page, app: str) -> None:
    page.goto(f"{app}/Draw?model=topk-1024-k50&data=digits&image=digits-test-11")
    ready(page)
    expect(page.get_by_test_id("invite")).to_be_hidden()
    clear(page)
    expect(page.get_by_test_id("invite")).to_be_visible()
    expect(page.get_by_role("spinbutton", name="Image of digits/test")).to_have_value("")
    stroke(page, *SEVEN, release=False)
    expect(page.get_by_test_id("invite")).to_be_hidden()
    page.mouse.up()


def test_a_row_of_tiles_is_in_sight_and_stays_where_it_is(page: Page, app: str) -> None:
    page.goto(f"{app}/Draw?model=topk-1024-k50&data=digits&image=digits-test-11")
    ready(page)
    settled(page)
    tile = page.get_by_test_id("tile").first
    box = tile.bounding_box()
    assert box and box["y"] + box["height"] <= 900
    clear(page)
    stroke(page, *SEVEN, release=False)
    painted(page)
    assert tile.bounding_box() == box
    page.mouse.up()
    brush = page.get_by_label("Brush size").bounding_box()
    assert brush and brush["width"] >= 80


def test_nothing_overflows_on_a_phone(phone: Page, app: str) -> None:
    page = phone
    for width in (400, 360):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(f"{app}/Draw?model=topk-1024-k50&data=digits&image=digits-test-11")
        ready(page)
        settled(page)
        page.get_by_text("Download", exact=True).click()
        inside = "m => [...m.querySelectorAll('*')].every((e) => e.scrollWidth <= m.clientWidth)"
        assert page.get_by_test_id("stMain").evaluate(f"m => m.scrollWidth <= m.clientWidth && ({inside})(m)")
        box = page.get_by_role("button", name="Code, CSV").bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= width
