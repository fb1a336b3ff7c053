"""Who may import whom: pages → ui → sae_core, never back; read from the sources."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def imports(path: Path, top_only: bool = False) -> Iterator[str]:
    """Full names of what a file imports ("a.b" for `from a import b`), everywhere in it or at its top level only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = path.relative_to(ROOT).parent.parts
    for node in tree.body if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += [node.module] if node.module else []
            yield from (".".join([*base, a.name]) for a in node.names)


def uses(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


LIBRARY = sorted((ROOT / "sae_core").rglob("*.py"))
UI = sorted((ROOT / "ui").rglob("*.py"))


def test_the_reader_reads_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    file = tmp_path / "a" / "b.py"
    file.parent.mkdir()
    file.write_text("import x.y\nfrom z import w\nfrom . import v\nfrom .u import t\ndef f():\n    import s as r\n")
    assert list(imports(file)) == ["x.y", "z.w", "a.v", "a.u.t", "s"]
    assert list(imports(file, top_only=True)) == ["x.y", "z.w", "a.v", "a.u.t"]
    assert uses("x.y", "x") and not uses("xx.y", "x")


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_library_stands_alone(path: Path) -> None:
    lazily = ["ui.report"] if path.name == "cli.py" else []  # the figures that a report writes
    for name in imports(path):
        for outside in ("streamlit", "plotly", "ui", "pages", "app"):
            assert not uses(name, outside) or any(uses(name, allowed) for allowed in lazily), name
    for name in imports(path, top_only=True):
        assert not uses(name, "ui"), name


@pytest.mark.parametrize("path", UI, ids=lambda p: str(p.relative_to(ROOT)))
def test_what_pages_share_knows_no_page(path: Path) -> None:
    for name in imports(path):
        assert not uses(name, "pages") and not uses(name, "app"), name
        if path.name in ("figures.py", "experiment_figures.py"):  # NumPy in, figure out
            assert not uses(name, "streamlit") and not uses(name, "torch"), name


@pytest.mark.parametrize("path", sorted((ROOT / "sae_core/variants").glob("[a-z]*.py")), ids=lambda p: p.name)
def test_a_variant_imports_the_base_only(path: Path) -> None:
    for name in imports(path):
        if uses(name, "sae_core"):
            assert any(uses(name, f"sae_core.{m}") for m in ("sae", "options", "matching")), name


def test_training_knows_neither_metrics_nor_checkpoints() -> None:
    names = list(imports(ROOT / "sae_core/training.py"))
    assert any(uses(name, "sae_core.sae") for name in names)
    for name in names:
        if uses(name, "sae_core"):
            assert any(uses(name, f"sae_core.{m}") for m in ("sae", "options", "device", "scramble")), name


def test_what_needs_no_torch_does_not_wait_for_it() -> None:
    check = (
        "import sys, importlib\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    slow = {'torch', 'torchvision', 'sklearn', 'streamlit'} & set(sys.modules)\n"
        "    assert not slow, (name, slow)\n"
        "import sae_core; sae_core.build; assert 'torch' in sys.modules\n"
    )
    modules = [
        "sae_core",
        "sae_core.options",
        "sae_core.datasets",
        "sae_core.preprocess",
        "sae_core.store",
        "sae_core.cli",
    ]
    done = subprocess.run(
        [sys.executable, "-c", check, *modules], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
