"""Make the README's pictures anew, with the embedded digits and a drawing of our own: `screenshots.py [NAME …]`."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, FloatRect, Page, ViewportSize, sync_playwright

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from benchmarks.browser import dashboard, launch  # noqa: E402

FIVE = (
    ((0.68, 0.22), (0.40, 0.22), (0.37, 0.47), (0.55, 0.44), (0.66, 0.55), (0.64, 0.70), (0.52, 0.79), (0.34, 0.74)),
)


def draw(page: Page) -> None:
    page.get_by_test_id("clear").click()
    box = page.get_by_test_id("pad").bounding_box()
    assert box
    for stroke in FIVE:
        spots = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(*spots[0])
        page.mouse.down()
        for spot in spots[1:]:
            page.mouse.move(*spot, steps=6)
        page.mouse.up()


def steer(page: Page) -> None:
    for slider, share in ((0, 0.95), (2, 0.03), (5, 0.95)):
        page.get_by_test_id("strip-slider").nth(slider).scroll_into_view_if_needed()
        box = page.get_by_test_id("strip-slider").nth(slider).bounding_box()
        assert box
        page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)


def key_features(page: Page) -> None:
    page.get_by_text("Key features of", exact=False).first.scroll_into_view_if_needed()
    page.mouse.wheel(0, 420)


def class_pictures(page: Page) -> None:
    page.get_by_role("radio", name="Hidden layer (004)").click()
    page.wait_for_timeout(3000)
    page.get_by_role("radio", name="Class pictures").click()
    page.wait_for_timeout(3000)
    page.get_by_role("heading", name="Figures").scroll_into_view_if_needed()
    page.mouse.wheel(0, 700)


DRAW, STEER = "Draw?data=digits", "Steer?data=digits&image=digits-test-11"
PICTURES: tuple[tuple[str, str, Literal["light", "dark"], int, str, Callable[[Page], None] | None], ...] = (
    ("start", "?data=digits&image=digits-test-11", "light", 1280, "apart", None),
    ("features", "Features?data=digits&feature=100", "light", 1280, "wall", None),
    ("digits", "Digits?data=digits", "light", 1280, "stPlotlyChart", key_features),
    ("experiments", "Experiments?data=digits", "dark", 1280, "stPlotlyChart", class_pictures),
    ("draw", DRAW, "dark", 1280, "pad", draw),
    ("draw-light", DRAW, "light", 1280, "pad", draw),
    ("draw-narrow", DRAW, "dark", 400, "pad", draw),
    ("draw-narrow-light", DRAW, "light", 400, "pad", draw),
    ("steer", STEER, "dark", 1280, "strip", steer),
    ("steer-light", STEER, "light", 1280, "strip", steer),
    ("steer-narrow", STEER, "dark", 400, "strip", steer),
    ("steer-narrow-light", STEER, "light", 400, "strip", steer),
)
"""file, address, theme, width, what is waited for, and what is done then"""


def walls(browser: Browser, url: str) -> Image.Image:
    """The encoder's wall of the usual top-k model at k = 50 beside that of the model that opens: 12 rows of each."""
    found = []
    for model in ("topk-1024-k50", "strokes-512-k20"):
        page = browser.new_page(viewport={"width": 1280, "height": 1000}, color_scheme="light")
        page.goto(f"{url}/Features?data=digits&model={model}")
        wall = page.get_by_test_id("wall")
        wall.wait_for(timeout=60_000)
        page.wait_for_timeout(5000)
        box = wall.bounding_box()
        assert box
        clip: FloatRect = {"x": box["x"], "y": box["y"], "width": box["width"], "height": 12 * box["width"] / 15}
        found.append(Image.open(io.BytesIO(page.screenshot(clip=clip))))
        page.close()
    both = Image.new("RGB", (found[0].width + 24 + found[1].width, found[0].height), "white")
    both.paste(found[0], (0, 0))
    both.paste(found[1], (found[0].width + 24, 0))
    return both


def save(picture: Image.Image, name: str) -> None:
    picture.convert("RGB").save(HERE / f"{name}.webp", quality=82, method=6)


def main() -> None:
    wanted = set(sys.argv[1:])
    # without MNIST, and with no folder of the machine that takes them in the picture
    with dashboard(env={**os.environ, "SAE_DATA": "/data"}) as (url, _), sync_playwright() as p:
        browser = launch(p)
        if not wanted or "walls" in wanted:
            save(walls(browser, url), "walls")
        for name, address, theme, width, ready, act in PICTURES:
            if wanted and name not in wanted:
                continue
            narrow = width < 640
            view: ViewportSize = {"width": width, "height": 1150 if narrow else 900}
            context = browser.new_context(viewport=view, color_scheme=theme, has_touch=narrow, is_mobile=narrow)
            page = context.new_page()
            page.goto(f"{url}/{address}")
            page.get_by_test_id(ready).first.wait_for(timeout=60_000)
            page.wait_for_timeout(5000)
            if act:
                act(page)
            if act in (draw, steer):
                page.get_by_test_id("stMain").evaluate(
                    """(main, to) => {
                         const at = to && main.querySelector(`.${to}`).getBoundingClientRect().top;
                         main.scrollTop = to ? main.scrollTop + at - 70 : 0;
                       }""",
                    f"st-key-{name.partition('-')[0]}" if narrow else None,
                )
            page.wait_for_timeout(1500)
            save(Image.open(io.BytesIO(page.screenshot())), name)
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
