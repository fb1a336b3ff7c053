"""What tests share. In CI a missing MNIST or browser is a failure; elsewhere the tests that need it skip in words."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: the tests are many small computations

from pathlib import Path
from typing import NoReturn

import pytest

from sae_core.datasets import dataset_info, default_data_dir


def missing(what: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"{what} (in CI this is a failure)", pytrace=False)
    pytest.skip(what)


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    folder = Path(default_data_dir())
    if not dataset_info("mnist").is_here(folder):
        missing(f"MNIST is not in {folder}: set SAE_DATA or run `python -m sae_core data get mnist`")
    return folder
