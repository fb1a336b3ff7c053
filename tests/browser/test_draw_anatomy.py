"""Draw in a real browser: the sum and its terms, the classifier's bars, neighbours, files in and out."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import urllib.parse
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from playwright.sync_api import Page, expect

from sae_core import load, reference
from sae_core.measure.neighbours import SHOWN
from sae_core.pictures.prepare import prepare
from sae_core.pictures.upload import prepare_upload
from sae_core.store import catalogue
from tests.browser.conftest import STATE
from tests.browser.test_draw import DRAW, SEVEN, clear, numbers, picture_in_url, ready, same_picture, stroke
from tests.browser.waiting import painted, settled
from ui.base import models, state
from ui.draw.verdict import probabilities
from ui.live.classifier import classifier_for

IMAGE = "digits-test-3"
HIDDEN = "exp3-kl-98-rho0.1"


def pixels(page: Page, name: str) -> np.ndarray:
    """[784, 3] levels of a canvas, once what was done is painted."""
    painted(page)
    levels = page.get_by_test_id(name).evaluate("c => [...c.getContext('2d').getImageData(0, 0, 28, 28).data]")
    return np.array(levels).reshape(784, 4)[:, :3]


def told(page: Page, name: str) -> float:
    """A number that the pad's root says, once what was done is painted."""
    painted(page)
    return float(page.locator(DRAW).get_attribute(f"data-{name}") or "nan")


def shares(page: Page, of: str) -> np.ndarray:
    bars = page.get_by_test_id(f"says-{of}").get_by_test_id("class-bar")
    return np.array([float(bar.get_attribute("data-p") or "nan") for bar in bars.all()])


def opened(page: Page, app: str, model: str = "topk-1024-k50") -> None:
    page.goto(f"{app}/Draw?model={model}&data=digits&image={IMAGE}")
    ready(page)
    page.wait_for_function(f"() => {STATE}.frames?.length > 1")
    expect(page.get_by_test_id("classified")).to_be_visible()
    settled(page)


def python_says(model: str) -> np.ndarray:
    c = catalogue.read(model)
    chosen = models.Model(c.name, c.hash, c.path)
    choice = state.Choice(chosen, "digits", None)
    choice.__dict__["picture"] = reference.find_picture(IMAGE)
    classifier = classifier_for(chosen)
    assert classifier is not None
    return probabilities(choice, classifier)


@pytest.mark.parametrize("model", ["topk-1024-k50", HIDDEN])
def test_the_classifier_says_the_same_here_and_there(page: Page, app: str, model: str) -> None:
    opened(page, app, model)
    mine = python_says(model)
    for row, of in zip(mine, ("input", "reconstruction"), strict=True):
        np.testing.assert_allclose(shares(page, of), row, atol=1e-3)
    shown = page.get_by_test_id("stMetric").filter(has_text="Classifier on the input")
    assert shown.get_by_test_id("stMetricValue").inner_text().startswith(f"{mine[0].argmax()}, ")
    expect(page.locator(f"{DRAW} .said")).to_contain_text("% right on mnist/test")


def test_the_bars_follow_within_the_stroke(page: Page, app: str) -> None:
    opened(page, app)
    clear(page)
    assert np.isnan(shares(page, "input")).all()
    stroke(page, *SEVEN, release=False)
    painted(page)
    for of in ("input", "reconstruction"):
        assert abs(shares(page, of).sum() - 1) < 1e-3
    page.mouse.up()


@pytest.mark.parametrize("model", ["topk-1024-k50", HIDDEN])
def test_the_terms_add_up_to_the_reconstruction(page: Page, app: str, model: str) -> None:
    opened(page, app, model)
    n = int(told(page, "total"))
    assert told(page, "terms") == n == int(told(page, "l0")) == page.locator("[data-testid=tile]:visible").count()
    assert np.array_equal(pixels(page, "sum"), pixels(page, "reconstruction"))
    slider, root = page.get_by_test_id("terms"), page.locator(DRAW)
    sae = load(model)
    x = sae.read(torch.from_numpy(np.array(reference.find_picture(IMAGE).x))[None])
    code = sae.sparse_code(x)
    for order in ("index", "activation", "energy"):
        page.get_by_test_id("order").select_option(order)
        painted(page)
        assert 0 < told(page, "exact") <= 1e-5
        shown = [int(t.get_attribute("data-feature") or -1) for t in page.get_by_test_id("tile").all()[:n]]
        indices, values = code.indices[0][:n], code.values[0][:n]
        key = {
            "index": indices.double(),
            "activation": -values.abs(),
            "energy": -(values**2) * sae.W_dec[indices].pow(2).sum(1),
        }[order].tolist()
        assert [f for _, f in sorted(zip(key, indices.tolist(), strict=True))] == shown
    first = shown[:5]
    slider.fill("5")
    expect(root).to_have_attribute("data-terms", "5")
    acts = torch.zeros(1, sae.config.d_sae)
    acts[0, first] = code.values[0][[code.indices[0].tolist().index(f) for f in first]]
    part = sae.decode(acts)
    assert abs(told(page, "sum-error") - float((part - x).pow(2).mean())) < 1e-5
    levels = np.round(sae.picture(part)[0].detach().clamp(0, 1).numpy() * 255)
    assert abs(pixels(page, "sum")[:, 0] - levels).max() <= 1
    slider.fill("0")
    expect(root).to_have_attribute("data-terms", "0")
    page.get_by_test_id("all").click()
    expect(root).to_have_attribute("data-terms", str(n))
    assert np.array_equal(pixels(page, "sum"), pixels(page, "reconstruction"))
    page.get_by_test_id("play").click()
    page.wait_for_function(f"root => +root.dataset.terms < {n // 2}", arg=root.element_handle())
    expect(root).to_have_attribute("data-terms", str(n), timeout=30_000)


@pytest.mark.parametrize("model", ["topk-1024-k50", HIDDEN])
def test_the_bias_is_a_term_too(page: Page, app: str, model: str) -> None:
    opened(page, app, model)
    sae, bias, root = load(model), page.get_by_test_id("bias"), page.locator(DRAW)
    whole = pixels(page, "sum")
    page.get_by_test_id("terms").fill("0")
    expect(root).to_have_attribute("data-terms", "0")
    none = torch.zeros(1, sae.config.d_sae)
    with torch.no_grad():
        alone = sae.picture(sae.decode(none))[0].clamp(0, 1).numpy()
        nothing = sae.picture(torch.zeros(1, sae.config.d_in))[0].clamp(0, 1).numpy()
    assert abs(pixels(page, "sum")[:, 0] - np.round(255 * alone)).max() <= 1
    bias.click()
    expect(bias).to_have_attribute("aria-pressed", "false")
    painted(page)
    assert abs(pixels(page, "sum")[:, 0] - np.round(255 * nothing)).max() <= 1
    expect(page.get_by_test_id("look-decoder")).to_be_visible()
    expect(page.get_by_test_id("look-encoder")).to_be_hidden()
    page.get_by_test_id("all").click()
    expect(bias).to_have_attribute("aria-pressed", "true")
    assert np.array_equal(pixels(page, "sum"), whole)


def test_a_model_without_a_bias_has_no_tile_for_it(page: Page, app: str) -> None:
    opened(page, app, "tied-topk-1024-k50")
    expect(page.get_by_test_id("tile").first).to_be_visible()
    assert page.get_by_test_id("bias").count() == 0
    expect(page.get_by_test_id("exact")).to_contain_text("no bias")


def test_all_terms_have_one_scale_or_each_its_own(page: Page, app: str) -> None:
    opened(page, app)
    sheet = "c => Math.max(...c.getContext('2d').getImageData(%d, 0, %d, 60).data.filter((_, i) => i %% 4 === 0))"
    tiles = page.locator(f"{DRAW} .tiles .sheet")
    # In order of energy the first row's last tile is weaker than its first: on one scale it is also darker.
    strong, weak = (tiles.evaluate(sheet % (left, 50)) for left in (60, 14 * 54))
    assert strong > weak
    expect(page.get_by_test_id("full-colour")).to_have_text(re.compile(r"±0\.\d+|±1"))
    page.get_by_test_id("shared").uncheck()
    painted(page)
    assert tiles.evaluate(sheet % (14 * 54, 50)) > weak
    expect(page.get_by_test_id("full-colour")).to_have_text("its own largest")


def test_a_tile_is_taken_out_put_in_and_opened(page: Page, app: str) -> None:
    opened(page, app)
    root, tile = page.locator(DRAW), page.get_by_test_id("tile").first
    whole = pixels(page, "sum")
    tile.click()
    expect(root).to_have_attribute("data-terms", "49")
    expect(tile).to_have_attribute("aria-pressed", "false")
    assert not np.array_equal(pixels(page, "sum"), whole)
    assert told(page, "sum-pearson") < told(page, "pearson")
    # By keyboard: a walk, and in and out with space.
    tile.focus()
    page.keyboard.press("Space")
    expect(root).to_have_attribute("data-terms", "50")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_test_id("tile").nth(1)).to_be_focused()
    page.keyboard.press("Space")
    expect(page.get_by_test_id("tile").nth(1)).to_have_attribute("aria-pressed", "false")
    second = page.get_by_test_id("tile").nth(1).get_attribute("data-feature")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/Features\?.*feature={second}\b"), timeout=20_000)
    page.go_back()
    ready(page)
    settled(page)
    third = page.get_by_test_id("tile").nth(2)
    feature = third.get_attribute("data-feature")
    third.hover()
    page.get_by_test_id("open-feature").click()
    expect(page).to_have_url(re.compile(rf"/Features\?.*feature={feature}\b"), timeout=20_000)
    page.go_back()
    ready(page)
    settled(page)
    page.get_by_test_id("tile").nth(2).dblclick()
    expect(page).to_have_url(re.compile(rf"/Features\?.*feature={feature}\b"), timeout=20_000)


def test_tiles_under_a_thumb(phone: Page, app: str) -> None:
    page = phone
    opened(page, app)
    root, tile = page.locator(DRAW), page.get_by_test_id("tile").nth(1)
    box = tile.bounding_box()
    assert box and min(box["width"], box["height"]) >= 40
    tile.tap()
    expect(root).to_have_attribute("data-terms", "49")
    expect(tile).to_have_attribute("aria-pressed", "false")
    # Where it looks comes with the tap, as there is no pointer to rest on a tile.
    expect(page.get_by_test_id("look-encoder")).to_be_visible()
    feature = tile.get_attribute("data-feature")
    page.get_by_test_id("open-feature").tap()
    expect(page).to_have_url(re.compile(rf"/Features\?.*feature={feature}\b"), timeout=20_000)


@pytest.mark.parametrize("model", ["topk-1024-k50", HIDDEN])
def test_a_tile_shows_where_its_feature_looks(page: Page, app: str, model: str) -> None:
    opened(page, app, model)
    before = pixels(page, "input")
    expect(page.get_by_test_id("look-encoder")).to_be_hidden()
    tile = page.get_by_test_id("tile").nth(3)
    tile.hover()
    f = int(tile.get_attribute("data-feature") or -1)
    for rows, name in zip(load(model).row_pictures(), ("look-encoder", "look-decoder"), strict=True):
        expect(page.get_by_test_id(name)).to_be_visible()
        expect(page.get_by_test_id(name)).to_have_attribute("data-feature", str(f))
        red, _, blue = pixels(page, name).T
        row = rows[f] / abs(rows[f]).max()
        assert (red > blue)[row > 0.1].all() and (blue > red)[row < -0.1].all()
    assert np.array_equal(pixels(page, "input"), before), "the input itself was painted on"
    page.get_by_test_id("pad").hover()
    expect(page.get_by_test_id("look-encoder")).to_be_hidden()


def test_a_neighbour_is_loaded_into_the_pad(page: Page, app: str) -> None:
    opened(page, app)
    for kind in ("nearest-code", "nearest-pixels"):
        tiles = page.get_by_test_id(kind).locator("button")
        expect(tiles).to_have_count(SHOWN, timeout=30_000)
        ref = tiles.first.get_attribute("data-value")
        assert ref
        tiles.first.click()
        page.wait_for_url(re.compile(rf"image={ref}\b"), timeout=15_000)
        same_picture(page)
        levels = np.round(reference.find_picture(ref).x * 255).astype(int)
        assert np.array_equal(pixels(page, "input")[:, 0], levels)


def test_redo(page: Page, app: str) -> None:
    opened(page, app)
    clear(page)
    stroke(page, *SEVEN)
    pad, shown = page.get_by_test_id("pad"), "c => c.toDataURL()"
    one = pad.evaluate(shown)
    stroke(page, (0.2, 0.5), (0.8, 0.5))
    two = pad.evaluate(shown)
    undo, redo = page.get_by_test_id("undo"), page.get_by_test_id("redo")
    expect(redo).to_be_disabled()
    undo.click()
    assert pad.evaluate(shown) == one
    redo.click()
    assert pad.evaluate(shown) == two
    expect(redo).to_be_disabled()
    pad.focus()
    page.keyboard.press("Control+z")
    assert pad.evaluate(shown) == one
    page.keyboard.press("Control+Shift+Z")
    assert pad.evaluate(shown) == two
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+y")
    assert pad.evaluate(shown) == two
    undo.click()
    stroke(page, (0.2, 0.8), (0.8, 0.8))
    expect(redo).to_be_disabled()
    same_picture(page)
    assert numbers(page)[1] == 50


def test_downloads(page: Page, app: str) -> None:
    opened(page, app)
    page.get_by_text("Download", exact=True).click()

    def taken(name: str) -> bytes:
        with page.expect_download() as info:
            page.get_by_role("button", name=name).click()
        return Path(info.value.path()).read_bytes()

    levels = np.round(reference.find_picture(IMAGE).x * 255).astype(np.uint8)
    assert Image.open(io.BytesIO(taken("Drawing, PNG"))).size == (224, 224)
    picture = Image.open(io.BytesIO(taken("Input, PNG"))).convert("L")
    assert np.array_equal(np.asarray(picture).ravel(), levels)
    code = load("topk-1024-k50").sparse_code(torch.from_numpy(levels / np.float32(255))[None])
    mine = dict(zip(code.indices[0].tolist(), code.values[0].tolist(), strict=True))
    svg = ElementTree.fromstring(taken("Figure, SVG"))
    images = [e for e in svg.iter() if e.tag.endswith("image")]
    assert len(images) == 1 + 1 + 12 + 1 + 1  # input, bias, terms, rest, reconstruction
    assert all(e.attrib["href"].startswith("data:image/png;base64,") for e in images)
    words = " ".join(e.text or "" for e in svg.iter() if e.tag.endswith("text"))
    for said in ("topk-1024-k50", "L0 50", "Pearson(x, x̂)", "12 terms", "38 terms", "adds ink"):
        assert said in words, words
    text = taken("Code, JSON")
    assert text.count(b"\n") < 300
    told = json.loads(text)
    rows = list(csv.DictReader(io.StringIO(taken("Code, CSV").decode())))
    assert told["l0"] == len(rows) == 50 and told["input"] == levels.tolist()
    for found in (
        {r["feature"]: r["activation"] for r in told["code"]},
        {int(r["feature"]): float(r["activation"]) for r in rows},
    ):
        assert found.keys() == mine.keys()
        assert all(abs(found[f] - mine[f]) < 1e-3 for f in mine)


def drop(page: Page, data: bytes, name: str, kind: str) -> None:
    page.get_by_test_id("pad").evaluate(
        """(pad, [bytes, name, type]) => {
             const files = new DataTransfer();
             files.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name, { type }));
             for (const what of ["dragover", "drop"]) {
               pad.dispatchEvent(new DragEvent(what, { dataTransfer: files, bubbles: true, cancelable: true }));
             }
           }""",
        [base64.b64encode(data).decode(), name, kind],
    )


def png(levels: np.ndarray, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(levels).save(file, kind)
    return file.getvalue()


def dropped(page: Page, data: bytes, kind: str = "image/png", name: str = "picture") -> np.ndarray:
    """The picture that Python made of a file, once the pad shows it too."""
    before = page.url
    drop(page, data, name, kind)
    page.wait_for_function(
        "before => location.href !== before && location.href.includes('image=px-')", arg=before, timeout=15_000
    )
    expect(page.get_by_test_id("refused")).to_be_hidden()
    same_picture(page)
    return picture_in_url(page)


def test_a_picture_is_dropped(page: Page, app: str) -> None:
    opened(page, app)
    before = urllib.parse.unquote(page.url)
    huge = io.BytesIO()
    Image.new("1", (8100, 8000), 1).save(huge, "PNG")
    blank = np.full((60, 60), 255, np.uint8)
    for data, kind, why in (
        (b"nothing", "image/png", "not a readable picture"),
        (b"hello", "text/plain", "no PNG"),
        (huge.getvalue(), "image/png", "too large"),
        (bytes(10_000_001), "image/png", "10.0 MB"),
        (png(blank), "image/png", "nothing drawn"),
        (png(np.zeros((60, 60, 4), np.uint8)), "image/png", "transparent"),
    ):
        drop(page, data, "x", kind)
        expect(page.get_by_test_id("refused")).to_contain_text(why, timeout=15_000)
        expect(page.get_by_test_id("refused")).to_contain_text("before it stays")
    settled(page)
    assert urllib.parse.unquote(page.url) == before
    ink = np.zeros((224, 224), np.uint8)
    ink[40:60, 60:150] = 255
    ink[60:190, 125:150] = 255
    x = dropped(page, png(255 - ink))  # dark on light paper
    assert abs(x - prepare(ink / 255)).max() <= 1 / 255 + 1e-6
    assert np.array_equal(x, prepare_upload(png(255 - ink)))
    page.get_by_test_id("undo").click()
    page.wait_for_url(re.compile(rf"image={IMAGE}\b"), timeout=15_000)
    assert np.array_equal(pixels(page, "input")[:, 0], np.round(reference.find_picture(IMAGE).x * 255))


def test_what_is_dropped_becomes_what_an_upload_becomes(page: Page, app: str) -> None:
    opened(page, app)
    own = np.round(reference.find_picture("digits-test-20").x * 255).astype(np.uint8).reshape(28, 28)
    assert np.array_equal(np.round(dropped(page, png(own)) * 255), own.ravel()), "a data set's picture is not itself"
    seven = np.zeros((400, 300), np.uint8)
    seven[60:90, 60:240] = seven[90:340, 200:240] = 255
    # Ink on nothing, as drawing programs save it.
    clear = np.dstack([np.zeros((400, 300, 3), np.uint8), seven])
    assert np.array_equal(dropped(page, png(clear)), prepare_upload(png(clear)))
    # A photo of grey paper, light on one side only, larger than what is sent.
    seven = np.kron(seven, np.ones((4, 4), np.uint8))
    light = np.linspace(0.35, 0.95, seven.shape[1]) * np.linspace(1, 0.7, seven.shape[0])[:, None]
    noise = np.random.default_rng(0).normal(0, 0.01, seven.shape)
    photo = np.clip((light * (1 - 0.8 * (seven / 255)) + noise) * 255, 0, 255).astype(np.uint8)
    x = dropped(page, png(photo, "JPEG"), "image/jpeg")
    sae = load("topk-1024-k50")
    both = np.stack([x, prepare_upload(png(photo, "JPEG"))])
    assert abs(both[0] - both[1]).mean() < 0.01 and abs(x - prepare(seven / 255)).mean() < 0.02
    first, second = ((row != 0).nonzero()[:, 0].tolist() for row in sae(torch.from_numpy(both)).acts)
    assert len({*first} & {*second}) >= 45


@pytest.mark.case(12)
def test_what_a_phone_takes_is_dropped(page: Page, app: str) -> None:
    """Named .jfif by a system that knows no kind for it, turned by its EXIF, and of 50 million pixels: as an upload."""
    opened(page, app)
    stored = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    for turn, foot, size, kind, name in (
        (3, 230, (600, 400), "image/jpeg", "IMG_1.JPG"),
        (6, 260, (600, 400), "", "x.jfif"),
        (8, 290, (600, 400), "image/jpeg", "x.jpeg"),
        (6, 320, (8660, 5780), "image/jpeg", "x.jpg"),
    ):
        upright = Image.new("L", (600, 400), 235)
        ImageDraw.Draw(upright).line([(220, 80), (380, 80), (foot, 320)], fill=30, width=34)
        expected = prepare_upload(png(np.asarray(upright)))
        picture = upright.resize(size, Image.Resampling.NEAREST)
        exif = Image.Exif()
        exif[0x0112] = turn
        file = io.BytesIO()
        picture.transpose(stored[turn]).save(file, "JPEG", exif=exif, quality=95)
        assert abs(dropped(page, file.getvalue(), kind, name) - expected).mean() < 0.05, (turn, name)
        assert abs(prepare_upload(file.getvalue()) - expected).mean() < 0.05, (turn, name)


def test_what_is_dropped_replaces_a_drawing(page: Page, app: str) -> None:
    opened(page, app)
    clear(page)
    stroke(page, *SEVEN)
    same_picture(page)
    own = np.round(reference.find_picture("digits-test-20").x * 255).astype(np.uint8).reshape(28, 28)
    assert np.array_equal(np.round(dropped(page, png(own)) * 255), own.ravel())


def test_a_cell_of_the_code_map_is_its_tile(page: Page, app: str) -> None:
    opened(page, app)
    tile, code_map = page.get_by_test_id("tile").nth(4), page.get_by_test_id("code-map")
    f = int(tile.get_attribute("data-feature") or -1)
    box = code_map.bounding_box()
    assert box
    side = box["width"] / 32
    page.mouse.move(box["x"] + (f % 32 + 0.5) * side, box["y"] + (f // 32 + 0.5) * side)
    expect(page.get_by_test_id("look-encoder")).to_be_visible()
    expect(page.get_by_test_id("look-encoder")).to_have_attribute("data-feature", str(f))
    expect(page.locator(f"{DRAW} .hint")).to_contain_text(f"Feature {f}: activation")
    before = page.url
    code_map.click(position={"x": (f % 32 + 0.5) * side, "y": (f // 32 + 0.5) * side})
    page.get_by_test_id("pad").hover()
    expect(page.get_by_test_id("look-encoder")).to_be_hidden()
    assert page.url == before
