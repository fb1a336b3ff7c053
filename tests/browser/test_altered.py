"""A browser that alters what it gives back of a canvas, as some do for privacy."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from sae_core import reference
from sae_core.pictures.prepare import prepare
from tests.browser.test_draw import SEVEN, clear, picture_in_url, ready, stroke
from tests.browser.test_draw_anatomy import drop, png
from tests.browser.waiting import settled, until

pytestmark = pytest.mark.case(4)
NOISE = """() => {
  const of = CanvasRenderingContext2D.prototype.getImageData;
  globalThis.pixelsOf = (canvas) => of.call(canvas.getContext("2d"), 0, 0, canvas.width, canvas.height).data;
  CanvasRenderingContext2D.prototype.getImageData = function (...box) {
    const image = of.apply(this, box);
    for (let i = 0; i < image.data.length; i++) image.data[i] = (i * 7919) % 256;
    return image;
  };
  const white = document.createElement("canvas");
  const toDataURL = HTMLCanvasElement.prototype.toDataURL, toBlob = HTMLCanvasElement.prototype.toBlob;
  HTMLCanvasElement.prototype.toDataURL = () => toDataURL.call(white);
  HTMLCanvasElement.prototype.toBlob = (done) => toBlob.call(white, done);
}"""
SHOWN = "c => [...pixelsOf(c)].filter((_, i) => i % 4 === 0)"


def test_it_changes_no_picture(page: Page, app: str) -> None:
    page.add_init_script(f"({NOISE})()")
    page.goto(f"{app}/Draw?data=digits&image=digits-test-11")
    ready(page)
    settled(page)
    clear(page)
    stroke(page, *SEVEN)
    gray = page.get_by_test_id("pad").evaluate(SHOWN)
    until(page, lambda: "image=px-" in page.url)
    settled(page)
    drawn = picture_in_url(page)
    assert np.array_equal(drawn, prepare(np.reshape(gray, (224, 224)) / 255)), "what is seen is what is read"
    assert np.array_equal(np.round(drawn * 255), page.get_by_test_id("input").evaluate(SHOWN))
    # What is taken home.
    page.get_by_text("Download", exact=True).click()
    for name, expected in (("Drawing, PNG", gray), ("Input, PNG", np.round(drawn * 255))):
        with page.expect_download() as taken:
            page.get_by_role("button", name=name).click()
        assert np.array_equal(np.asarray(Image.open(taken.value.path())).ravel(), np.asarray(expected)), name
    # A data set's picture that is dropped, and a file that would have to be read through a canvas.
    own = np.round(reference.find_picture("digits-test-20").x * 255).astype(np.uint8).reshape(28, 28)
    drop(page, png(own), "x.png", "image/png")
    until(page, lambda: bool(np.array_equal(np.round(picture_in_url(page) * 255), own.ravel())))
    noise = np.random.default_rng(0).integers(0, 255, (900, 900), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    drop(page, file.getvalue(), "x.png", "image/png")
    expect(page.get_by_test_id("refused")).to_contain_text("This browser alters the pictures")
    expect(page.get_by_test_id("refused")).to_contain_text("Upload a picture")
