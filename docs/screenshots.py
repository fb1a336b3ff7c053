"""Make the README's pictures anew: `python docs/screenshots.py`, with the embedded digits and a drawing of our own."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

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


def main() -> None:
    with dashboard() as (url, _), sync_playwright() as p:
        browser = launch(p)
        for name, address, theme, act in (
            ("start", "?data=digits&image=digits-test-11", "light", None),
            ("draw", "Draw?data=digits", "dark", draw),
            ("features", "Features?data=digits&feature=100", "light", None),
            ("steer", "Steer?data=digits&image=digits-test-11", "dark", steer),
            ("digits", "Digits?data=digits", "light", key_features),
            ("experiments", "Experiments?data=digits", "dark", class_pictures),
        ):
            context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=theme)  # type: ignore[arg-type]
            page = context.new_page()
            page.goto(f"{url}/{address}")
            ready = {"start": "apart", "draw": "pad", "features": "wall", "steer": "strip", "digits": "stPlotlyChart"}
            page.get_by_test_id(ready.get(name, "stPlotlyChart")).first.wait_for(timeout=60_000)
            page.wait_for_timeout(5000)
            if act:
                act(page)
            page.wait_for_timeout(1500)
            picture = Image.open(io.BytesIO(page.screenshot()))
            picture.convert("RGB").save(HERE / f"{name}.webp", quality=82, method=6)
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
