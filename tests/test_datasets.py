"""sae_core.datasets: the registry, MNIST with its downloader against a real local server, and the digits."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.server
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from sae_core import datasets
from sae_core.datasets import DataError, ImageSet, mnist

# --------------------------------------------------------------------------------------------------- ImageSet


def images(n: int = 3, x: np.ndarray | None = None, labels: np.ndarray | None = None) -> ImageSet:
    x = np.full((n, 4), 0.5, np.float32) if x is None else x
    return ImageSet(x, np.arange(n) if labels is None else labels, "toy", "train")


def test_image_set_holds_its_arrays() -> None:
    s = images(3)
    assert len(s) == 3 and s.x.shape == (3, 4)
    assert len(s.fingerprint) == 16 and s.fingerprint == images(3).fingerprint


def test_fingerprint_sees_every_change() -> None:
    x = np.full((3, 4), 0.5, np.float32)
    x[2, 3] = 0.25
    prints = {s.fingerprint for s in (images(), images(2), images(x=x), images(labels=np.array([0, 1, 1])))}
    prints.add(images(x=np.full((3, 8), 0.5, np.float32)[:, ::2]).fingerprint)  # the first again, not contiguous
    assert len(prints) == 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"x": np.zeros((3, 2, 2), np.float32)}, "float32"),
        ({"x": np.zeros((3, 4))}, "float64"),
        ({"x": np.zeros((0, 4), np.float32), "labels": np.arange(0)}, "not empty"),
        ({"x": np.full((3, 4), np.nan, np.float32)}, "finite"),
        ({"x": np.full((3, 4), 1.5, np.float32)}, "1.5"),
        ({"x": np.full((3, 4), -0.5, np.float32)}, "-0.5"),
        ({"labels": np.arange(2)}, "3 images but 2 labels"),
        ({"labels": np.zeros(3)}, "int64"),
        ({"labels": np.zeros((3, 1), np.int64)}, "int64"),
    ],
)
def test_image_set_refuses(changes: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        images(3, **changes)


# --------------------------------------------------------------------------------------------------- registry


def test_registry_finds_the_files_of_the_folder() -> None:
    folder = Path(datasets.__file__).parent
    assert datasets.dataset_names() == sorted(p.stem for p in folder.glob("*.py") if p.stem != "__init__")
    for name in datasets.dataset_names():
        info = datasets.dataset_info(name)
        assert info.name == name and info.description and info.splits and info.n_classes > 1


def test_unknown_names_say_the_choices(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="digits, mnist"):
        datasets.dataset_info("mnits")
    with pytest.raises(DataError, match="train, test"):
        datasets.load_dataset("digits", "val", tmp_path)


def test_a_name_is_taken_once() -> None:
    again = datasets.register(
        "digits", description="", splits=("train",), class_names=("a",), is_here=lambda data_dir: True
    )
    with pytest.raises(ValueError, match="two datasets"):
        again(lambda split, data_dir: images())


def test_default_data_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAE_DATA", str(tmp_path))
    assert datasets.default_data_dir() == tmp_path
    monkeypatch.delenv("SAE_DATA")
    assert datasets.default_data_dir() == Path("data")


def test_import_is_light() -> None:
    heavy = "{'torchvision', 'sklearn'} & set(sys.modules)"
    code = f"import sys, sae_core.datasets; assert not {heavy}, {heavy}"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


# ----------------------------------------------------------------------------------------------------- digits


def test_digits(tmp_path: Path) -> None:
    train, test = (datasets.load_dataset("digits", split, tmp_path) for split in ("train", "test"))
    assert train.x.shape == (1437, 784) and test.x.shape == (360, 784)
    for s in (train, test):
        shares = np.bincount(s.labels, minlength=10) / len(s)
        np.testing.assert_allclose(shares, 0.1, atol=0.01)
        np.testing.assert_array_equal(np.round(s.x * 255).astype(np.float32) / np.float32(255), s.x)
        frames = s.x.reshape(-1, 28, 28)
        mass = frames.sum((1, 2))
        assert np.abs((frames.sum(2) @ np.arange(28)) / mass - 14).max() < 0.51
        assert np.abs((frames.sum(1) @ np.arange(28)) / mass - 14).max() < 0.51
        assert not s.x.flags.writeable and not s.labels.flags.writeable
    assert not {row.tobytes() for row in train.x} & {row.tobytes() for row in test.x}
    assert datasets.load_dataset("digits", "train", tmp_path) is train
    assert "nothing to download" in datasets.download_dataset("digits", tmp_path)


def test_digits_look_like_mnist(mnist_dir: Path, tmp_path: Path) -> None:
    ours = datasets.load_dataset("digits", "train", tmp_path).x
    theirs = datasets.load_dataset("mnist", "test", mnist_dir).x
    assert abs(ours.mean() - theirs.mean()) < 0.01
    assert abs((ours == 0).mean() - (theirs == 0).mean()) < 0.02


# ------------------------------------------------------------------------------------------------------ MNIST


def test_mnist(mnist_dir: Path) -> None:
    train, test = (datasets.load_dataset("mnist", split, mnist_dir) for split in ("train", "test"))
    assert train.x.shape == (60000, 784) and test.x.shape == (10000, 784)
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9] and test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert train.x.mean() == pytest.approx(0.1307, abs=1e-4)  # the well-known mean
    assert not test.x.flags.writeable
    assert datasets.dataset_info("mnist").is_here(mnist_dir)


def test_mnist_missing_says_what_to_do(tmp_path: Path) -> None:
    assert not datasets.dataset_info("mnist").is_here(tmp_path)
    with pytest.raises(DataError, match=r"missing.*data get mnist.*--data-dir"):
        datasets.load_dataset("mnist", "train", tmp_path)
    assert not list(tmp_path.iterdir())  # and nothing was fetched unasked


def test_mnist_damaged_names_the_file(mnist_dir: Path, tmp_path: Path) -> None:
    raw = copy_of(mnist_dir, tmp_path)
    with (raw / "t10k-labels-idx1-ubyte").open("r+b") as file:
        file.seek(100)
        file.write(b"\xff")
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte.*damaged"):
        datasets.load_dataset("mnist", "test", tmp_path)


def copy_of(mnist_dir: Path, folder: Path) -> Path:
    """A writable copy of MNIST's test files under folder/MNIST/raw."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        shutil.copyfile(mnist_dir / "MNIST" / "raw" / name, raw / name)
    return raw


# ------------------------------------------------------------------------------------- MNIST in people's layouts


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Four small files in place of MNIST's, three pictures each."""
    pixels = bytes(16) + bytes(range(240)) * 9 + bytes(3 * 784 - 2160)
    files = {n: pixels if "images" in n else bytes(8) + b"\x07\x02\x01" for n in mnist._FILES}
    files["t10k-images-idx3-ubyte"] += bytes(784)
    files["t10k-labels-idx1-ubyte"] += b"\x00"
    known = {n: (len(data), hashlib.sha256(data).hexdigest()) for n, data in files.items()}
    monkeypatch.setattr(mnist, "_FILES", known)
    return files


def lay(files: dict[str, bytes], folder: Path, name: Callable[[str], str] = str, packed: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for n, data in files.items():
        (folder / name(n)).write_bytes(gzip.compress(data) if packed else data)


LAYOUTS: dict[str, tuple[str, str, Callable[[str], str], bool]] = {
    # where the files lie, which folder is named, how they are called, packed
    "torchvision": ("d/MNIST/raw", "d", str, False),
    "dots": ("d/MNIST/raw", "d", lambda n: n.replace("-idx", ".idx"), False),
    "dots and dashes": ("d", "d", lambda n: n.replace("idx3-ubyte", "idx3.ubyte"), False),
    "packed": ("d/MNIST/raw", "d", lambda n: f"{n}.gz", True),
    "packed, dots, saved twice": ("d", "d", lambda n: f"{n.replace('-idx', '.idx')} (1).gz", True),
    "directly": ("d", "d", str, False),
    "MNIST is named": ("d/MNIST/raw", "d/MNIST", str, False),
    "raw is named": ("d/MNIST/raw", "d/MNIST/raw", str, False),
    "no raw": ("d/MNIST", "d", str, False),
    "small letters": ("d/mnist", "d", str, False),
}


@pytest.mark.case(15)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_mnist_in_other_peoples_layouts_is_found(layout: str, made: dict[str, bytes], tmp_path: Path) -> None:
    lies, named, name, packed = LAYOUTS[layout]
    lay(made, tmp_path / lies, name, packed)
    folder = tmp_path / named
    info = datasets.dataset_info("mnist")
    assert info.is_here(folder) and info.why_not is not None and info.why_not(folder) == ""
    images = info.load("test", folder)
    assert images.x.shape == (4, 784) and images.labels.tolist() == [7, 2, 1, 0]
    assert images.x[0, :3].tolist() == [np.float32(v) / np.float32(255) for v in (0, 1, 2)]
    assert len(info.load("train", folder)) == 3
    before = snapshot(tmp_path)
    assert "already" in mnist.download(folder, mirrors=[]) and snapshot(tmp_path) == before


@pytest.mark.case(15)
def test_a_tilde_is_written_out(made: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    lay(made, tmp_path / "pictures")
    monkeypatch.setenv("SAE_DATA", "~/pictures")
    assert datasets.default_data_dir() == tmp_path / "pictures" and mnist.is_here(datasets.default_data_dir())
    assert len(datasets.load_dataset("mnist", "test", "~/pictures")) == 4
    assert "already" in datasets.download_dataset("mnist", "~/pictures")
    assert datasets.data_folder("~nobody-is-called-so/x") == Path("~nobody-is-called-so/x")


@pytest.mark.case(15)
@pytest.mark.parametrize(
    ("lies", "named", "words"),
    [
        ("d/MNIST/raw", "d/wrong/MNIST/raw", r"The folder \S+d/wrong/MNIST/raw does not exist \(\S+/d does\)"),
        ("d/MNIST/raw", "d/MNIST/raw/x", r"under \S+d/MNIST/raw, not under"),
        ("d/MNIST/raw", "d/MNIST/processed", r"lie under \S+d/MNIST, not under \S+processed: name \S+d/MNIST as"),
        ("d/sets/MNIST/raw", "d", r"lie under \S+d/sets, not under \S+/d: name \S+d/sets as the folder"),
        ("d/a/b/MNIST/raw", "d", r"lie under \S+d/a/b, not under"),
        ("elsewhere", "d", r"None of its four files is in \S+/d or in MNIST/raw below it: there is only notes.txt"),
    ],
)
def test_the_level_that_is_wrong_is_named(
    lies: str, named: str, words: str, made: dict[str, bytes], tmp_path: Path
) -> None:
    lay(made, tmp_path / lies if lies != "elsewhere" else tmp_path / "x" / "y" / "z")
    if lies == "elsewhere":
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "notes.txt").write_text("")
    folder = tmp_path / named
    assert not mnist.is_here(folder)
    assert re.search(words, mnist.why_not(folder)), mnist.why_not(folder)
    with pytest.raises(DataError, match=words):
        datasets.load_dataset("mnist", "test", folder)


@pytest.mark.case(15)
def test_what_of_mnist_is_missing_is_named(made: dict[str, bytes], tmp_path: Path) -> None:
    lay(made, tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    said = mnist.why_not(tmp_path)
    assert "holds 3 of its four files; t10k-labels-idx1-ubyte is missing" in said
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(b"half")
    said = mnist.why_not(tmp_path)
    assert "t10k-labels-idx1-ubyte holds 4 bytes, and MNIST's t10k-labels-idx1-ubyte has 12" in said
    (tmp_path / "a file").write_text("")
    assert "is a file, not a folder" in mnist.why_not(tmp_path / "a file")


# ------------------------------------------------------------------------------------------------- downloader


class Server(http.server.BaseHTTPRequestHandler):
    """Serves `files`; a path under /hang/ never answers, one under /cut/ stops half way."""

    files: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[str]] = []
    stop: ClassVar[threading.Event] = threading.Event()

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path.startswith("/hang/"):
            self.stop.wait(20)
            return
        if self.path.startswith("/drop"):  # a byte now and then: of the headers, or of the body
            head = b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n"
            for byte in (head + b"\r\n" if self.path.startswith("/drops-body/") else head) + bytes(9000):
                with contextlib.suppress(OSError):
                    self.wfile.write(bytes([byte]) if byte or self.path.startswith("/drops-body/") else b"X")
                if byte == 0 and self.stop.wait(0.02):
                    return
            return
        body = self.files.get(self.path.rsplit("/", 1)[1])
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.path.startswith("/cut/") else body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Server, "files", {})
    monkeypatch.setattr(Server, "asked", [])
    monkeypatch.setattr(Server, "stop", threading.Event())
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    Server.stop.set()
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture(scope="module")
def packed(mnist_dir: Path) -> dict[str, bytes]:
    raw = mnist_dir / "MNIST" / "raw"
    return {f"{name}.gz": gzip.compress((raw / name).read_bytes(), 1) for name in mnist._FILES}


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_download(server: str, packed: dict[str, bytes], tmp_path: Path) -> None:
    Server.files.update(packed)
    seen: list[tuple[str, int, int]] = []
    mirrors = [f"{server}/none-", f"{server}/"]  # the first has nothing: 404, and the second is asked
    said = mnist.download(tmp_path, lambda *step: seen.append(step), mirrors=mirrors)
    assert "now in" in said and mnist.is_here(tmp_path)
    for name, body in packed.items():
        assert (name, len(body), len(body)) in seen
    assert datasets.load_dataset("mnist", "test", tmp_path).labels[0] == 7
    assert [p.name for p in (tmp_path / "MNIST").iterdir()] == ["raw"]

    Server.asked.clear()
    before = snapshot(tmp_path)
    assert "already" in mnist.download(tmp_path, mirrors=mirrors)
    assert not Server.asked and snapshot(tmp_path) == before

    # One damaged file: only that one is fetched again.
    labels = tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    labels.write_bytes(b"x" * labels.stat().st_size)
    mnist.download(tmp_path, mirrors=mirrors[1:])
    assert Server.asked == ["/t10k-labels-idx1-ubyte.gz"] and snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("damaged", "damaged"),
        ("endless", "damaged"),
        ("not gzip", "incorrect header"),
        ("404", "404"),
        ("hang", "timed out"),
        ("cut", "t10k-images-idx3-ubyte.gz"),
        ("refused", "refused"),
    ],
)
def test_failed_download_changes_nothing(
    kind: str, words: str, server: str, packed: dict[str, bytes], mnist_dir: Path, tmp_path: Path
) -> None:
    raw = copy_of(mnist_dir, tmp_path)
    (raw / "t10k-images-idx3-ubyte").write_bytes(b"what somebody kept here")
    before = snapshot(tmp_path)
    Server.files.update(packed)
    name, mirror = "t10k-images-idx3-ubyte.gz", f"{server}/"
    match kind:
        case "damaged":
            Server.files[name] = gzip.compress(bytes(7840016))
        case "endless":
            Server.files[name] = gzip.compress(bytes(50_000_000))
        case "not gzip":
            Server.files[name] = b"<html>"
        case "404":
            del Server.files[name]
        case "hang" | "cut":
            mirror = f"{server}/{kind}/"
        case "refused":
            mirror = "http://127.0.0.1:9/"

    start = time.perf_counter()
    with pytest.raises(DataError, match=words) as caught:
        mnist.download(tmp_path, mirrors=[mirror], timeout=0.3)
    assert "Nothing was changed" in str(caught.value) and "by hand" in str(caught.value)
    assert snapshot(tmp_path) == before and [p.name for p in (tmp_path / "MNIST").iterdir()] == ["raw"]
    assert time.perf_counter() - start < 10


def test_stopping_a_download_leaves_nothing(server: str, packed: dict[str, bytes], tmp_path: Path) -> None:
    Server.files.update(packed)

    def cancel(name: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mnist.download(tmp_path, cancel, mirrors=[f"{server}/"])
    assert not snapshot(tmp_path)


def test_download_into_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file, not a folder")
    with pytest.raises(DataError, match="Nothing was changed"):
        mnist.download(tmp_path / "data", mirrors=[])


@pytest.mark.case(16)
@pytest.mark.parametrize("where", ["headers", "body"])
def test_a_mirror_that_drips_is_given_up_in_the_stated_time(
    where: str, server: str, made: dict[str, bytes], tmp_path: Path
) -> None:
    """Every byte comes well within the time for one: only the time for all of them ends it, and the next is asked."""
    Server.files.update({f"{name}.gz": gzip.compress(data) for name, data in made.items()})
    drips, good = f"{server}/drops-{where}/", f"{server}/"
    start = time.perf_counter()
    with pytest.raises(
        DataError, match=r"not whole after 0.[34]\d* s.*gives up after 0.4 s in all.*Nothing was changed"
    ):
        mnist.download(tmp_path, mirrors=[drips], timeout=10, total=0.4)
    assert time.perf_counter() - start < 3
    assert list(tmp_path.iterdir()) == []
    assert "now in" in mnist.download(tmp_path, mirrors=[drips, good], timeout=10, total=1)
    assert time.perf_counter() - start < 6 and mnist.is_here(tmp_path)


def test_a_download_goes_to_the_folder_that_is_meant(server: str, made: dict[str, bytes], tmp_path: Path) -> None:
    """No path is doubled where the folder that is named is torchvision's own."""
    Server.files.update({f"{name}.gz": gzip.compress(data) for name, data in made.items()})
    for named in ("a", "b/MNIST", "c/MNIST/raw"):
        mnist.download(tmp_path / named, mirrors=[f"{server}/"])
        assert len(list((tmp_path / named[0] / "MNIST" / "raw").iterdir())) == 4
