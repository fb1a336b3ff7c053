"""The project as a package: what it depends on, and what travels in its wheel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from sae_core.store.catalogue import list_checkpoints

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


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel puts into site-packages: built from the sources, and nowhere near them."""
    made = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(made)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (wheel,) = made.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(made / "site")
    return made / "site"


def elsewhere(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in a folder of its own, which finds the package by the wheel only."""
    folder = site.parent / "anywhere"
    folder.mkdir(exist_ok=True)
    env = {k: v for k, v in os.environ.items() if k not in ("SAE_CHECKPOINTS", "PYTHONPATH")}
    env |= {"PYTHONPATH": str(site), "HOME": str(folder)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=120
    )


@pytest.mark.slow
def test_the_wheel_brings_nothing_else_into_site_packages(site: Path) -> None:
    assert {p.name for p in site.iterdir() if p.suffix != ".dist-info"} == {"sae_core"}
    bundled = {p.name for p in (site / "sae_core" / "_bundled").iterdir()}
    assert bundled == {"app.py", "pages", "ui", ".streamlit", "checkpoints", "results"}
    assert not list(site.rglob("*.partial")) and not list(site.rglob("__pycache__"))


@pytest.mark.case(20)
@pytest.mark.slow
def test_an_installed_package_has_its_models(site: Path) -> None:
    done = elsewhere(site, "-m", "sae_core", "list", "--json")
    assert done.returncode == 0, done.stderr
    assert {row["name"] for row in json.loads(done.stdout)} == {
        c.name for c in list_checkpoints(ROOT / "checkpoints")[0]
    }
    program = (
        "import sae_core\n"
        "from sae_core.store.catalogue import stores\n"
        "sae = sae_core.load('topk-1024-k50')\n"
        "print(sae_core.__file__, tuple(sae.W_enc.shape), stores()[0], sep='|')\n"
    )
    done = elsewhere(site, "-c", program)
    assert done.returncode == 0, done.stderr
    file, shape, new = done.stdout.strip().split("|")
    assert file.startswith(str(site)) and shape == "(784, 1024)"
    assert Path(new) == site.parent / "anywhere" / ".sae-explorer" / "checkpoints", "new models go into the package"
