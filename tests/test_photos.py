"""Photos of a digit with something in the way: the digit is read, or a sentence says what is there."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from streamlit.testing.v1 import AppTest

from sae_core.pictures.photo import CUT, LINES, REACHES_IN, THROUGH
from sae_core.pictures.prepare import BESIDE, prepare
from sae_core.pictures.upload import SUFFIXES, look_upload
from sae_core.store.checkpoints import load_classifier
from tests.test_pages import open_page

pytestmark = pytest.mark.case("photos")
SIDE = 600
SEVEN = [(210, 150), (390, 150), (270, 450)]
THREE = [(220, 160), (300, 130), (380, 180), (300, 290), (390, 380), (300, 460), (210, 420)]


def paper(seed: int = 0) -> Image.Image:
    """White paper as a camera sees it."""
    noise = np.random.default_rng(seed).normal(245, 3, (SIDE, SIDE)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(noise)


def write(image: Image.Image, line: list[tuple[int, int]] = SEVEN, dx: int = 0, dy: int = 0) -> Image.Image:
    ImageDraw.Draw(image).line([(x + dx, y + dy) for x, y in line], fill=30, width=24, joint="curve")
    return image


def squares(grey: int, step: int = 36, width: int = 2, turned: float = 0) -> Callable[[Image.Image], Image.Image]:
    def lay(image: Image.Image) -> Image.Image:
        mask = Image.new("L", (2 * SIDE, 2 * SIDE))
        draw = ImageDraw.Draw(mask)
        for at in range(step // 2, 2 * SIDE, step):
            draw.line([(at, 0), (at, 2 * SIDE)], fill=255, width=width)
            draw.line([(0, at), (2 * SIDE, at)], fill=255, width=width)
        mask = mask.rotate(turned, Image.Resampling.BILINEAR).crop((SIDE // 2, SIDE // 2, 3 * SIDE // 2, 3 * SIDE // 2))
        image.paste(grey, mask=mask)
        return image

    return lay


def ruled(image: Image.Image) -> Image.Image:
    for y in range(40, SIDE, 56):
        ImageDraw.Draw(image).line([(0, y), (SIDE, y + 4)], fill=90, width=3)
    return image


def thumb(image: Image.Image) -> Image.Image:
    ImageDraw.Draw(image).ellipse([420, 430, 700, 800], fill=120)
    return image


def shadow(image: Image.Image) -> Image.Image:
    light = np.linspace(1, 0.45, SIDE) ** 1.5
    return Image.fromarray((np.asarray(image) * light).astype(np.uint8))


def read(image: Image.Image) -> tuple[int, float, tuple[str, ...], np.ndarray]:
    """The classifier's class and how sure it is, what is said, and the picture."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    made = look_upload(file.getvalue())
    p = load_classifier("classifier-256").probabilities(torch.from_numpy(made.x[None]))[0]
    return int(p.argmax()), float(p.max()), made.said, made.x


@pytest.mark.parametrize("line", [SEVEN, THREE], ids=["7", "3"])
@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (None, None, ()),
        (None, shadow, ()),
        (squares(190), None, None),
        (squares(90), None, (LINES,)),
        (squares(60, width=3), None, (LINES,)),
        (squares(80, turned=3), None, (LINES,)),
        (ruled, None, (LINES,)),
        (None, thumb, (REACHES_IN,)),
    ],
    ids=["plain", "shadow", "light squares", "dark squares", "thick squares", "squares askew", "ruled", "thumb"],
)
def test_the_digit_is_read(
    line: list[tuple[int, int]],
    before: Callable[[Image.Image], Image.Image] | None,
    after: Callable[[Image.Image], Image.Image] | None,
    said: tuple[str, ...] | None,
) -> None:
    plain = read(write(paper(), line))
    image = write(before(paper()) if before else paper(), line)
    found = read(after(image) if after else image)
    assert found[0] == (7 if line is SEVEN else 3) and found[1] > 0.9
    assert abs(found[3] - plain[3]).mean() < 0.08
    assert said is None or found[2] == said


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (write(paper(), dy=-250), CUT),
        (write(paper(), dx=-330), CUT),
        (write(write(paper(), dx=-150), dx=150), BESIDE),
        (write(squares(30, width=22, step=100)(paper())), THROUGH),
    ],
    ids=["cut above", "cut at the side", "two", "lines as thick as the digit"],
)
def test_what_cannot_be_read_is_said(image: Image.Image, said: str) -> None:
    assert said in read(image)[2]


def test_a_speck_in_a_photo_is_left_out_and_said() -> None:
    plain = read(write(paper()))
    for radius in (5, 14):
        image = write(paper())
        ImageDraw.Draw(image).circle((560, 40), radius, fill=40)
        found = read(image)
        assert found[2] == ("A speck beside the digit was left out.",)
        assert abs(found[3] - plain[3]).mean() < 0.005


def test_a_digit_that_fills_its_picture_stays_whole() -> None:
    """Cut out tightly, as scans are: it touches the border on all sides, and nothing of it goes."""
    for line in (SEVEN, THREE):
        image = write(Image.new("L", (SIDE, SIDE), 255), line)
        ink = 255 - np.asarray(image)
        tight = image.crop(Image.fromarray(ink).getbbox())
        assert np.array_equal(read(tight)[0], read(image)[0])
        file = io.BytesIO()
        tight.save(file, "PNG")
        assert abs(look_upload(file.getvalue()).x - prepare(ink / 255)).mean() < 0.01


def test_thin_ends_that_reach_the_border_are_no_lines_of_the_paper() -> None:
    """A stroke of a brush, thick in the middle, from border to border: nothing of it is taken for a line."""
    image = Image.new("L", (300, 300), 255)
    ImageDraw.Draw(image).line([(150, 0), (150, 300)], fill=0, width=7)
    ImageDraw.Draw(image).line([(0, 150), (300, 150)], fill=0, width=7)
    ImageDraw.Draw(image).ellipse([125, 90, 175, 210], fill=0)
    file = io.BytesIO()
    image.save(file, "PNG")
    made = look_upload(file.getvalue())
    assert made.said == (CUT,)
    assert abs(made.x - prepare((255 - np.asarray(image)) / 255)).mean() < 0.01


GIVEN = Path(__file__).parents[2] / "shared" / "cases" / "photos"
"""beside the checkout, where somebody has them"""


@pytest.mark.skipif(
    not GIVEN.is_dir(), reason="the photos of the cases are not here; those made above are of their kinds"
)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        *((name, None) for name in ("plain", "squares-mid", "squares-dark", "shadow", "thumb")),
        ("cut", CUT),
        ("two", BESIDE),
    ],
)
def test_the_photos_of_the_cases(name: str, said: str | None) -> None:
    digit, sure, found, _ = read(Image.open(GIVEN / f"{name}.jpg").convert("L"))
    assert (digit == 7 and sure > 0.9) if said is None else said in found


@pytest.mark.case(12)
def test_every_name_of_a_picture_can_be_uploaded_and_what_was_in_the_way_is_said() -> None:
    assert {"jpg", "jpeg", "jfif", "png", "webp", "gif", "bmp"} <= set(SUFFIXES)
    at: AppTest = open_page("pages/3_Steer.py")
    uploader: Any = at.get("file_uploader")[0]
    assert set(uploader.proto.type) == {f".{suffix}" for suffix in SUFFIXES}
    file = io.BytesIO()
    thumb(write(paper())).save(file, "JPEG")
    uploader.upload("IMG.JFIF", file.getvalue(), "image/jpeg").run()
    assert not at.exception, at.exception
    assert [i.value for i in at.info if i.value == REACHES_IN]
