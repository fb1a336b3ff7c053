"""What tests share. In CI a missing MNIST, browser or Node.js is a failure; elsewhere what needs it skips in words."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: the tests are many small computations

import shutil
from pathlib import Path
from typing import NoReturn

import pytest

from sae_core.datasets import dataset_info, default_data_dir


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
def mnist_dir() -> Path:
    folder = Path(default_data_dir())
    if not dataset_info("mnist").is_here(folder):
        missing(f"MNIST is not in {folder}: set SAE_DATA or run `python -m sae_core data get mnist`")
    return folder
