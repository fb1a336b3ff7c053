"""What the dashboard's modules compute without a page, in node: tests/js/*.test.js, each with values by hand."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import needs_node

FILES = sorted((Path(__file__).parent / "js").glob("*.test.js"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_in_node(file: Path) -> None:
    done = subprocess.run([needs_node(), "--test", str(file)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_they_are_found() -> None:
    assert {"arithmetic.test.js", "edits.test.js", "prepare.test.js"} <= {file.name for file in FILES}
