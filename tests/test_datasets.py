"""sae_core.datasets: the registry, MNIST with its downloader against a real local server, and the digits."""

from __future__ import annotations

import gzip
import http.server
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
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
