"""The project as a package: what it depends on, and what travels in its wheel."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def required(file: str) -> list[str]:
    """The packages that a requirements file names itself."""
    lines = (line.partition("#")[0].strip() for line in (ROOT / file).read_text(encoding="utf-8").splitlines())
    return sorted(line for line in lines if line and not line.startswith("-r "))


def test_the_two_commands_install_what_the_package_depends_on() -> None:
    extras = PROJECT["optional-dependencies"]
    assert required("requirements.txt") == sorted([*PROJECT["dependencies"], *extras["dashboard"]])
    assert required("requirements-dev.txt") == sorted(d for d in extras["dev"] if d != "sae-explorer[dashboard]")
    assert "-r requirements.txt" in (ROOT / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()
