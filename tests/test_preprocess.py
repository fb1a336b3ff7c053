"""sae_core.pictures.prepare and its mirror ui/draw/prepare.js."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from sae_core.datasets import load_dataset
from sae_core.pictures import upload
from sae_core.pictures.prepare import BESIDE, EDGE, EmptyPicture, PictureError, _area, look, place, prepare
from sae_core.pictures.upload import MAX_PIXELS, look_pixels, open_picture, prepare_upload
from tests.conftest import needs_node

PREPARE_JS = Path(__file__).parents[1] / "ui" / "draw" / "prepare.js"


def levels(x: np.ndarray) -> np.ndarray:
    """[..., 784] in [0, 1] → uint8 28×28."""
    return np.round(x.reshape(*x.shape[:-1], 28, 28) * 255).astype(np.uint8)


def error(a: np.ndarray, b: np.ndarray) -> float:
    return float(((a - b) ** 2).mean())


def enlarged(
    image: np.ndarray, k: int, rng: np.random.Generator, how: Image.Resampling = Image.Resampling.BICUBIC
) -> np.ndarray:
    """[28, 28] uint8 → a canvas of 36k × 36k with the image k times as large at a random place."""
    canvas = np.zeros((36 * k, 36 * k), np.uint8)
    y, x = rng.integers(0, 8 * k + 1, 2)
    canvas[y : y + 28 * k, x : x + 28 * k] = np.asarray(Image.fromarray(image).resize((28 * k, 28 * k), how))
    return canvas


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    return load_dataset("digits", "test", tmp_path_factory.getbasetemp()).x


@pytest.fixture(scope="module")
def mnist(mnist_dir: Path) -> np.ndarray:
    x = load_dataset("mnist", "test", mnist_dir).x
    return x[np.random.default_rng(0).choice(len(x), 200, replace=False)]


# ------------------------------------------------------------------------------------------------ hand values


def test_area_weights_by_hand() -> None:
    weights = _area(4, 1.0, 1.5, 28)  # cells [1, 2.5], [2.5, 4], then outside
    np.testing.assert_allclose(weights[:3] * 1.5, np.array([[0, 1, 0.5, 0], [0, 0, 0.5, 1], [0, 0, 0, 0]]))
    assert _area(4, -2.0, 1.0, 28)[:3].tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]


def test_a_square_by_hand() -> None:
    canvas = np.zeros((300, 200))
    canvas[10:50, 120:160] = 1  # 40 × 40 → 20 × 20; its centre between two pixels, so the tie goes up: 5 … 24
    out = prepare(canvas).reshape(28, 28)
    expected = np.zeros((28, 28))
    expected[5:25, 5:25] = 1
    np.testing.assert_array_equal(out, expected)


def test_a_line_keeps_its_shape() -> None:
    canvas = np.zeros((120, 90))
    canvas[5:105, 40:50] = 0.8  # 100 × 10 → 20 × 2
    expected = np.zeros((28, 28), np.float32)
    expected[5:25, 14:16] = np.float32(204) / np.float32(255)
    out = prepare(canvas).reshape(28, 28)
    assert np.array_equal(out, expected)
    assert np.array_equal(prepare(canvas.T).reshape(28, 28), expected.T)


def test_a_hairline_stays_a_pixel_wide() -> None:
    canvas = np.zeros((500, 500))
    canvas[:, 7] = 1
    out = prepare(canvas).reshape(28, 28)
    assert (out > 0).sum() == 20 and out.max() == 1


def test_lopsided_ink_stays_in_the_frame() -> None:
    canvas = np.zeros((200, 200))
    canvas[150:, :] = 1
    canvas[:150, 0] = 1  # a long thin mast: centred by mass, its tip would leave the frame
    out = prepare(canvas).reshape(28, 28)
    assert (out[:, :] > 0).any(axis=1).sum() == 20 and (out > 0).any(axis=0).sum() == 20


def test_faint_rim_does_not_set_the_size() -> None:
    canvas = np.zeros((100, 100))
    canvas[30:70, 30:70] = 1
    plain = prepare(canvas)
    canvas[30:70, 25:30] = canvas[30:70, 70:75] = 0.2
    out = prepare(canvas)
    assert np.array_equal(out > 0.9, plain > 0.9) and out.sum() > plain.sum()  # kept, but not measured


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (3, 2), (28, 28), (7, 900)])
def test_any_size_of_full_ink(shape: tuple[int, int]) -> None:
    out = prepare(np.ones(shape))
    assert out.shape == (784,) and out.dtype == np.float32 and out.max() == 1


def test_refusals() -> None:
    for empty in (np.zeros((50, 50)), np.full((50, 50), 0.09)):
        with pytest.raises(EmptyPicture, match="nothing drawn"):
            prepare(empty)
    nan = np.ones((5, 5))
    nan[2, 2] = np.nan
    for bad in (nan, np.full((5, 5), np.inf), np.full((5, 5), 255), -np.ones((5, 5))):
        with pytest.raises(PictureError, match="between 0"):
            prepare(bad)
    for misshapen in (np.ones(5), np.ones((5, 5, 3)), np.ones((0, 4))):
        with pytest.raises(PictureError, match="height and a width"):
            prepare(misshapen)
    assert issubclass(PictureError, ValueError) and issubclass(EmptyPicture, PictureError)


# --------------------------------------------------------------------------------------------- specks and thin pens

THREE = [
    (0.1, 0.12),
    (0.5, 0),
    (0.9, 0.15),
    (0.85, 0.38),
    (0.4, 0.48),
    (0.9, 0.6),
    (0.95, 0.85),
    (0.5, 1),
    (0.05, 0.88),
]
"""corners of a 3, in shares of its box"""


def drawn(points: Sequence[tuple[float, float]], pen: int, side: int = 224) -> np.ndarray:
    """[side, side] in [0, 1]: a line with round ends and soft rims, as a pad draws it."""
    fine = Image.new("L", (4 * side, 4 * side))
    draw = ImageDraw.Draw(fine)
    corners = [(4 * x, 4 * y) for x, y in points]
    draw.line(corners, fill=255, width=4 * pen, joint="curve")
    for corner in (corners[0], corners[-1]):
        draw.circle(corner, 2 * pen, fill=255)
    return np.asarray(fine.resize((side, side), Image.Resampling.BOX)) / 255


def three(left: float, top: float, width: float, height: float, pen: int = 19) -> np.ndarray:
    return drawn([(left + width * x, top + height * y) for x, y in THREE], pen)


@pytest.mark.case(3)
@pytest.mark.parametrize("box", [(67, 47, 90, 130), (40, 20, 120, 160), (95, 80, 40, 64)])
@pytest.mark.parametrize("at", [(14, 14), (210, 12), (12, 210), (212, 212)])
def test_a_dot_in_a_corner_moves_nothing_and_is_said(
    box: tuple[float, float, float, float], at: tuple[int, int]
) -> None:
    plain, dot = three(*box), drawn([at, at], 19)
    made = look(np.maximum(plain, dot))
    assert made.said == ("A speck beside the digit was left out.",)
    assert np.array_equal(made.x, prepare(plain)) and look(plain).said == ()
    both = look(np.maximum(np.maximum(plain, dot), drawn([(8, 112), (8, 112)], 12)))
    assert both.said == ("2 specks beside the digit were left out.",) and np.array_equal(both.x, made.x)


@pytest.mark.case(3)
def test_what_belongs_to_the_digit_is_no_speck(mnist: np.ndarray) -> None:
    """A stroke of its own, a gap in a line, a soft trace: nothing of it goes, and nothing is said."""
    five = [drawn(p, 19) for p in ([(80, 50), (76, 110), (130, 112), (140, 160), (76, 180)], [(104, 50), (150, 50)])]
    dashes = [drawn([(112, y), (112, y + 10)], 19) for y in range(30, 190, 34)]
    for parts in (five, dashes):
        picture = np.maximum.reduce(parts)
        rows, columns = (np.flatnonzero(picture.max(axis) >= EDGE) for axis in (1, 0))
        top, left = rows[0], columns[0]
        expected = place(picture, top, left, rows[-1] + 1 - top, columns[-1] + 1 - left)
        assert np.array_equal(prepare(picture), expected) and look(picture).said == ()
    assert not [x for x in mnist if look(x.reshape(28, 28)).said]


@pytest.mark.case(3)
def test_two_digits_side_by_side_are_said() -> None:
    one = drawn([(60, 60), (60, 160)], 19)
    two = np.maximum(one, three(110, 60, 60, 100))
    assert look(two).said == (BESIDE,)
    above = np.maximum(one, drawn([(40, 20), (90, 20)], 19))
    assert look(above).said == ()


@pytest.mark.case(5)
@pytest.mark.parametrize("pen", [3, 8, 10])
@pytest.mark.parametrize(
    "line",
    [
        [(20, 8), (204, 8), (90, 216)],
        [(112, 6), (112, 218)],
        [(6, 6), (218, 218)],
        [(30, 200), (200, 140), (30, 90), (190, 10)],
        [(10 + 200 * x, 8 + 206 * y) for x, y in THREE],
    ],
)
def test_the_thinnest_brush_makes_full_ink(pen: int, line: list[tuple[float, float]]) -> None:
    """Over the whole pad it is thinner than a pixel: still every row and column of the digit has one of full ink."""
    out = prepare(drawn(line, pen)).reshape(28, 28)
    for axis in (0, 1):
        most = out.max(axis)
        ink = np.flatnonzero(most > 0.5)
        assert (most[ink[0] : ink[-1] + 1] == 1).all(), most
    assert (out > 0).mean() < 0.25


@pytest.mark.case(5)
def test_strokes_as_thick_as_mnists_stay_as_they_are(mnist: np.ndarray) -> None:
    for picture in [x.reshape(28, 28).astype(float) for x in mnist] + [three(30, 10, 140, 200)]:
        peak = picture.max()
        rows, columns = (np.flatnonzero(picture.max(axis) >= EDGE * peak) for axis in (1, 0))
        top, left = rows[0], columns[0]
        expected = place(picture, top, left, rows[-1] + 1 - top, columns[-1] + 1 - left)
        assert np.array_equal(prepare(picture), expected)


# ---------------------------------------------------------------------------------------------- against MNIST


@pytest.mark.parametrize(
    ("k", "how", "limit"),
    [
        (10, Image.Resampling.BICUBIC, 0.0035),
        (4, Image.Resampling.BICUBIC, 0.0035),
        (2, Image.Resampling.BICUBIC, 0.0040),
        (10, Image.Resampling.BILINEAR, 0.0050),
        (4, Image.Resampling.BILINEAR, 0.0050),
        (2, Image.Resampling.BILINEAR, 0.0060),
    ],
)
def test_enlarged_mnist_comes_back(mnist: np.ndarray, k: int, how: Image.Resampling, limit: float) -> None:
    rng = np.random.default_rng(1)
    errors = [error(prepare(enlarged(levels(x), k, rng, how) / 255), x) for x in mnist]
    assert np.median(errors) < limit


def test_mnist_itself_hardly_changes(mnist: np.ndarray) -> None:
    once = np.stack([prepare(x.reshape(28, 28)) for x in mnist])
    assert (once == mnist).all(axis=1).mean() > 0.9
    np.testing.assert_array_equal(np.stack([prepare(x.reshape(28, 28)) for x in once]), once)


def test_where_it_is_drawn_does_not_matter(digits: np.ndarray) -> None:
    rng = np.random.default_rng(2)
    for x in digits[:20]:
        image = levels(x)
        assert np.array_equal(prepare(enlarged(image, 6, rng) / 255), prepare(enlarged(image, 6, rng) / 255))


def test_place_is_what_prepare_does(digits: np.ndarray) -> None:
    picture = digits[0].reshape(28, 28)[2:26].astype(float)
    ink = picture >= 0.4 * picture.max()
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    out = place(picture, rows[0], columns[0], rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1)
    assert np.array_equal(out, prepare(picture))


# ---------------------------------------------------------------------------------------------------- uploads


def file(image: Image.Image | np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def canvas(digits: np.ndarray) -> np.ndarray:
    """A digit, 360 × 360, bright on 0."""
    return enlarged(levels(digits[3]), 10, np.random.default_rng(4))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
@pytest.mark.parametrize("dark_ink", [False, True])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_formats_and_polarity(canvas: np.ndarray, kind: str, dark_ink: bool, mode: str) -> None:
    image = Image.fromarray(255 - canvas if dark_ink else canvas).convert(mode)
    assert error(prepare_upload(file(image, kind)), prepare(canvas / 255)) < 0.001


@pytest.mark.parametrize("ink", [0, 90, 160, 255])
def test_transparent_paper(canvas: np.ndarray, ink: int) -> None:
    image = Image.fromarray(np.full_like(canvas, ink)).convert("RGB")
    image.putalpha(Image.fromarray(canvas))
    assert error(prepare_upload(file(image)), prepare(canvas / 255)) < 0.001


def test_transparent_corners_become_paper(canvas: np.ndarray) -> None:
    image = Image.fromarray(255 - canvas).convert("RGBA")
    ImageDraw.Draw(image).polygon([(0, 0), (40, 0), (0, 40)], fill=(0, 0, 0, 0))
    assert error(prepare_upload(file(image)), prepare(canvas / 255)) < 0.001


def test_other_kinds_of_pixels(canvas: np.ndarray) -> None:
    expected = prepare(canvas / 255)
    assert error(prepare_upload(file(canvas.astype(np.uint16) * 257)), expected) < 0.001  # 16 bits
    assert error(prepare_upload(file(Image.fromarray(255 - canvas).convert("P"))), expected) < 0.001
    assert error(prepare_upload(file(Image.fromarray(canvas > 127))), expected) < 0.01  # 1 bit
    coloured = Image.merge("RGB", [Image.fromarray(c) for c in (canvas, canvas // 2, canvas // 4)])
    assert error(prepare_upload(file(coloured)), expected) < 0.001


def test_uneven_light_noise_and_dust(canvas: np.ndarray) -> None:
    y, x = np.mgrid[-1:1:360j, -1:1:360j]
    paper = 0.6 + 0.15 * x - 0.1 * y - 0.08 * (x * x + y * y)
    photo = paper * (1 - 0.75 * canvas / 255) + np.random.default_rng(0).normal(0, 0.02, canvas.shape)
    photo[350:353, 5:8] = 0
    picture = open_picture(file((photo * 255).clip(0, 255).astype(np.uint8), "JPEG"))
    assert np.median(picture) == 0 and picture.max() == 1 and picture[-20:, :10].max() == 0
    assert error(prepare(picture), prepare(canvas / 255)) < 0.005


def test_a_phone_photo_is_turned_upright(canvas: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned a quarter left
    stored = Image.fromarray(255 - canvas).transpose(Image.Transpose.ROTATE_90)
    assert error(prepare_upload(file(stored, "JPEG", exif=exif)), prepare(canvas / 255)) < 0.001


def test_large_pictures_are_reduced(canvas: np.ndarray) -> None:
    big = Image.fromarray(255 - canvas).resize((2400, 2400), Image.Resampling.BICUBIC)
    picture = open_picture(file(big, "JPEG"))
    assert max(picture.shape) <= 280
    assert error(prepare(picture), prepare(canvas / 255)) < 0.002


def test_the_first_frame_of_an_animation(canvas: np.ndarray) -> None:
    first, second = Image.fromarray(255 - canvas), Image.new("L", (360, 360), 255)
    data = file(first, "GIF", save_all=True, append_images=[second])
    assert error(prepare_upload(data), prepare(canvas / 255)) < 0.001


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF"])
def test_a_dataset_image_passes_unchanged(digits: np.ndarray, kind: str, tmp_path: Path) -> None:
    for x in digits[:20]:
        moved = np.roll(x.reshape(28, 28), 2, axis=1)  # not where prepare would put it
        (tmp_path / "image").write_bytes(file(levels(moved.ravel()), kind))
        assert np.array_equal(prepare_upload(tmp_path / "image"), moved.ravel())
        assert np.array_equal(prepare_upload(str(tmp_path / "image")), moved.ravel())
    dark_on_bright = prepare_upload(file(255 - levels(digits[0]), kind))
    assert error(dark_on_bright, prepare(digits[0].reshape(28, 28))) < 0.001


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_a_picture_that_a_browser_wrote_passes_unchanged(digits: np.ndarray, mode: str) -> None:
    for x in digits[:20]:
        moved = np.roll(x.reshape(28, 28), 2, axis=1)
        image = Image.fromarray(levels(moved.ravel())).convert(mode)
        assert np.array_equal(prepare_upload(file(image)), moved.ravel())
        image.putpixel((0, 0), (0,) * len(mode))  # one that can be seen through: paper, as in any picture
        assert np.array_equal(prepare_upload(file(image)), prepare(open_picture(file(image))))


def test_mnist_images_pass_unchanged(mnist: np.ndarray) -> None:
    for x in mnist[:100]:
        assert np.array_equal(prepare_upload(file(levels(x))), x)


def test_pixels_that_were_decoded_elsewhere_go_the_same_way(digits: np.ndarray) -> None:
    opaque = np.full((28, 28), 255, np.uint8)
    for x in digits[:5]:
        assert np.array_equal(look_pixels(levels(x), opaque).x, x)
        rgba = np.dstack([levels(x)] * 3 + [opaque])  # a transparency that nothing uses
        assert np.array_equal(prepare_upload(file(rgba)), x)
    canvas = enlarged(levels(digits[0]), 8, np.random.default_rng(0))
    clear = np.where(canvas > 20, 255, 0).astype(np.uint8)
    for grey, alpha in ((255 - canvas, np.full_like(canvas, 255)), (np.zeros_like(canvas), clear)):
        uploaded = prepare_upload(file(np.dstack([grey] * 3 + [alpha])))
        assert np.array_equal(look_pixels(grey, alpha).x, uploaded)
    with pytest.raises(EmptyPicture, match="transparent"):
        look_pixels(canvas, np.zeros_like(canvas))


@pytest.mark.parametrize("value", [0, 128, 255])
@pytest.mark.parametrize("size", [(28, 28), (200, 100), (1, 1), (2, 3)])
def test_blank_pictures(value: int, size: tuple[int, int]) -> None:
    for kind in ("PNG", "JPEG"):
        with pytest.raises(EmptyPicture):
            prepare_upload(file(Image.new("L", size, value), kind))
    with pytest.raises(EmptyPicture, match="transparent"):
        prepare_upload(file(Image.new("RGBA", size, (value, value, value, 0))))


def test_paper_noise_is_not_a_digit() -> None:
    noise = np.random.default_rng(0).normal(200, 12, (300, 300)).clip(0, 255).astype(np.uint8)
    with pytest.raises(EmptyPicture):
        prepare_upload(file(noise))


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def huge_png(width: int, height: int) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + png_chunk(b"IEND", b"")


LARGE = """
import io, resource, sys
from PIL import Image, ImageDraw
kind, options = sys.argv[1], {"progressive": True} if sys.argv[2] == "progressive" else {}
image = Image.new(sys.argv[3], (8660, 5780), "white")  # 50 million pixels
ImageDraw.Draw(image).line([(3000, 1500), (5600, 1500), (4200, 4700)], fill="black", width=420)
buffer = io.BytesIO()
image.save(buffer, kind, **options)
image.close()
del image
from sae_core.pictures.upload import prepare_upload
open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
def peak(): return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) // 1024
before = peak()
x = prepare_upload(buffer.getvalue())
print(peak() - before)
sys.stdout.flush()
sys.stdout.buffer.write(x.tobytes())
"""
"""reads a picture of 50 million pixels in a process of its own, and says how many MB more that took"""


@pytest.mark.case(12)
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is read from Linux's /proc")
@pytest.mark.parametrize(
    ("kind", "how", "mode", "most"),
    [
        ("JPEG", "baseline", "RGB", 30),
        ("JPEG", "progressive", "RGB", 250),
        ("PNG", "plain", "L", 120),
        ("PNG", "plain", "RGBA", 450),
    ],
)
def test_fifty_megapixels_are_read_in_bounded_memory(kind: str, how: str, mode: str, most: int) -> None:
    """As the 2 MB of a small copy: the digit itself, and no second copy of all pixels."""
    command = [sys.executable, "-c", LARGE, kind, how, mode]
    said, _, raw = subprocess.run(command, check=True, capture_output=True).stdout.partition(b"\n")
    assert int(said) < most
    small = Image.new("L", (866, 578), 255)
    ImageDraw.Draw(small).line([(300, 150), (560, 150), (420, 470)], fill=0, width=42)
    assert error(np.frombuffer(raw, np.float32), prepare_upload(file(small))) < 0.001


@pytest.mark.case(12)
@pytest.mark.parametrize("turn", [1, 3, 6, 8])
def test_large_pictures_of_every_kind_are_reduced(
    turn: int, canvas: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever their pixels are, and however the camera was held."""
    expected = prepare(canvas / 255)
    big = Image.fromarray(255 - canvas).resize((1440, 1440), Image.Resampling.BICUBIC)
    stored = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}[turn]
    big = big.transpose(stored) if stored is not None else big
    exif = Image.Exif()
    exif[0x0112] = turn
    alpha = big.convert("RGBA")
    deep = Image.fromarray(np.asarray(big).astype(np.uint16) * 257)
    monkeypatch.setattr(upload, "IN_FULL", 1_000_000)
    for kind, image in (
        *(("JPEG", big.convert(mode)) for mode in ("L", "RGB", "CMYK")),
        *(("PNG", image) for image in (big, big.convert("RGB"), alpha, big.convert("P"), big.convert("1"), deep)),
    ):
        assert error(prepare_upload(file(image, kind, exif=exif)), expected) < 0.003, (kind, image.mode)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(MAX_PIXELS["PNG"] // 5000 + 1, 5000), (12_000, 10_000), (60_000, 60_000)])
def test_huge_pictures_are_refused_unread(size: tuple[int, int]) -> None:
    with pytest.raises(PictureError, match="too large"):
        prepare_upload(huge_png(*size))


def test_files_that_are_no_pictures(canvas: np.ndarray, tmp_path: Path) -> None:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
    other = [file(canvas, kind) for kind in ("TIFF", "PPM")]
    for data in (b"", b"hello", svg, b"%PDF-1.7", b"\x89PNG\r\n\x1a\n", *other):
        with pytest.raises(PictureError, match=r"not a readable picture|damaged"):
            prepare_upload(data)
    with pytest.raises(PictureError, match="no file"):
        prepare_upload(tmp_path / "nowhere.png")
    with pytest.raises(PictureError):
        prepare_upload(tmp_path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_damaged_files_never_raise_anything_else(canvas: np.ndarray, kind: str) -> None:
    data = file(255 - canvas, kind)
    with pytest.raises(PictureError):
        prepare_upload(data[: len(data) // 2])
    rng = np.random.default_rng(0)
    for _ in range(15):
        spoilt = bytearray(data)
        for at in rng.integers(0, len(data), 8):
            spoilt[at] = rng.integers(256)
        try:
            out = prepare_upload(bytes(spoilt))
        except PictureError:
            continue
        assert out.shape == (784,) and np.isfinite(out).all()


# ------------------------------------------------------------------------------------------------- JavaScript


def run_js(pictures: list[np.ndarray], folder: Path) -> list[list[float] | None]:
    """prepareDrawing on each uint8 picture, in node."""
    node = needs_node()
    (folder / "pictures").write_bytes(b"".join(p.tobytes() for p in pictures))
    script = """
        import { readFileSync } from "node:fs";
        const [source, pictures, shapes] = process.argv.slice(1);
        const { prepareDrawing } = await import(source);
        const bytes = new Uint8Array(readFileSync(pictures));
        let at = 0;
        const out = JSON.parse(shapes).map(([height, width]) => {
            const gray = bytes.subarray(at, at += height * width);
            const result = prepareDrawing(gray, width, height, 28);
            const again = prepareDrawing(Float32Array.from(gray), width, height, 28);
            if (JSON.stringify(result) !== JSON.stringify(again)) throw new Error("float input differs");
            return result && Array.from(result);
        });
        console.log(JSON.stringify(out));
    """
    shapes = json.dumps([p.shape for p in pictures])
    command = [node, "--input-type=module", "-e", script, PREPARE_JS.as_uri(), str(folder / "pictures"), shapes]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def strokes(rng: np.random.Generator) -> np.ndarray:
    """A hard-edged drawing on a canvas of its own size, often symmetric: full of ties."""
    width, height = (int(v) for v in rng.integers(20, 260, 2))
    image = Image.new("L", (width, height))
    draw, pen = ImageDraw.Draw(image), int(rng.integers(1, 20))
    r = int(rng.integers(1, min(width, height) // 2))
    match rng.integers(3):
        case 0:
            draw.circle((width // 2, height // 2), r, outline=255, width=pen)
        case 1:
            draw.rectangle([5, 5, 5 + r, 5 + r // 2], fill=int(rng.integers(1, 256)))
        case _:
            points = [(int(rng.integers(width)), int(rng.integers(height))) for _ in range(5)]
            draw.line(points, fill=int(rng.integers(1, 256)), width=pen)
    return np.asarray(image)


def speckled(rng: np.random.Generator) -> np.ndarray:
    """A stroke with some dots, near and far, large and small."""
    image = Image.new("L", (224, 224))
    draw = ImageDraw.Draw(image)
    draw.line([(int(v), int(w)) for v, w in rng.integers(70, 160, (5, 2))], fill=255, width=int(rng.integers(2, 24)))
    for _ in range(int(rng.integers(1, 5))):
        x, y = (int(v) for v in rng.integers(0, 224, 2))
        draw.circle((x, y), int(rng.integers(0, 14)), fill=int(rng.integers(60, 256)))
    return np.asarray(image)


def test_javascript_is_equal(digits: np.ndarray, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    pictures = [enlarged(levels(x), int(rng.integers(1, 9)), rng) for x in digits[:150]]
    pictures += [strokes(rng) for _ in range(150)]
    pictures += [speckled(rng) for _ in range(60)]
    assert sum(bool(look(p / 255).said) for p in pictures[-60:]) > 15
    pictures += [np.zeros((9, 7), np.uint8), np.full((1, 1), 255, np.uint8)]
    for picture, theirs in zip(pictures, run_js(pictures, tmp_path), strict=True):
        try:
            ours = prepare(picture / 255)
        except EmptyPicture:
            assert theirs is None
        else:
            assert theirs is not None and np.array_equal(ours, np.array(theirs, np.float32))


def test_javascript_is_equal_on_mnist(mnist: np.ndarray, tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    pictures = [enlarged(levels(x), 8, rng) for x in mnist]
    results = run_js(pictures, tmp_path)
    for picture, theirs in zip(pictures, results, strict=True):
        assert theirs is not None and np.array_equal(prepare(picture / 255), np.array(theirs, np.float32))
