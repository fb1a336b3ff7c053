"""What tests share. In CI a missing MNIST, browser or Node.js is a failure; elsewhere what needs it skips in words.

`--without-mnist` runs the tests marked `without_mnist` as on a machine that has none, in CI too: what opens a page with
the pictures that are there can differ on it.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: the tests are many small computations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from sae_core.datasets import dataset_info, default_data_dir
from ui.base import jobs as of_jobs
from ui.base.jobs import Jobs

PRETEND = (sys.executable, "-m", "tests.pretend")
"""a command that takes the place of ours in jobs"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--without-mnist", action="store_true", help="only what can differ without MNIST, without it")


def pytest_configure(config: pytest.Config) -> None:
    jobs = tempfile.TemporaryDirectory(prefix="jobs-")  # not what somebody has run here
    config.add_cleanup(jobs.cleanup)
    os.environ["SAE_JOBS"] = jobs.name
    if config.getoption("without_mnist"):
        empty = tempfile.TemporaryDirectory(prefix="no-mnist-")
        config.add_cleanup(empty.cleanup)
        os.environ["SAE_DATA"] = empty.name


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("without_mnist"):
        terminalreporter.write_line("This was as on a machine without MNIST: only the tests that can differ there.")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("without_mnist"):
        others = [item for item in items if not item.get_closest_marker("without_mnist")]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item.get_closest_marker("without_mnist")]


def missing(what: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"{what} (in CI this is a failure)", pytrace=False)
    pytest.skip(what)


def needs_node() -> str:
    """The command that runs JavaScript outside a browser."""
    node = shutil.which("node")
    if node is None:
        missing("no node is on the PATH: install Node.js")
    return node


@pytest.fixture(scope="session")
def mnist_dir(pytestconfig: pytest.Config) -> Path:
    if pytestconfig.getoption("without_mnist"):
        pytest.skip("MNIST is left out on purpose")
    folder = Path(default_data_dir())
    if not dataset_info("mnist").is_here(folder):
        missing(f"MNIST is not in {folder}: set SAE_DATA or run `python -m sae_core data get mnist`")
    return folder


def until(true: Callable[[], object], seconds: float = 20) -> None:
    """Wait until it is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    """The jobs of this server, in a folder of their own and done by `tests.pretend`; none is left running."""
    monkeypatch.setenv("SAE_JOBS", str(tmp_path / "jobs"))
    monkeypatch.setattr(of_jobs, "COMMAND", PRETEND)
    found = Jobs()
    yield found
    for job in found.all():
        job.stop()
