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


SOURCES = sorted(p for room in ("sae_core", "ui", "pages") for p in (ROOT / room).rglob("*.py"))
SOURCES.append(ROOT / "app.py")
MODULES = {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in SOURCES}

GROUND = ["files", "options", "device", "once", "stage", "fetch"]
MEASURED = ["store", "measure", "training", "variants", "models", "shards", "datasets", "pictures", *GROUND]
"""what trains and measures models"""
MAY_IMPORT = {
    # sae_core: what a room may import of it, besides itself.
    **dict.fromkeys(GROUND, GROUND),
    "figures": ["pictures", *GROUND],
    "pictures": GROUND,
    "datasets": ["pictures", *GROUND],
    "shards": ["datasets", *GROUND],
    "models": GROUND,
    "variants": ["models", *GROUND],
    "training": ["models", "pictures", *GROUND],
    "reference": ["datasets", "pictures", *GROUND],
    "measure": ["models", "datasets", "pictures", *GROUND],
    "store": ["training", "measure", "variants", "models", "shards", "datasets", "pictures", *GROUND],
    "steering": ["store", "measure", "models", "reference", "pictures", *GROUND],
    "documents": ["steering", "figures", *MEASURED],
    "progress": ["training", *GROUND],
    "arguments": ["datasets"],
    "train_command": ["arguments", "progress", *MEASURED],
    "data_command": ["arguments", "progress", "shards", "datasets", *GROUND],
    "cli": ["arguments", "train_command", "data_command", "progress", "documents", *MEASURED],
    "checkpoints": ["store"],  # a face: the names that people import
    "__main__": ["cli"],
}
"""of the library; a room is a folder or a file of sae_core/"""
PAGES = sorted(p.parent.name for p in (ROOT / "ui").glob("*/__init__.py") if p.parent.name not in ("base", "live"))
UI_MAY_IMPORT = {"base": [], "live": ["base"], **{page: ["live", "base"] for page in PAGES}}
"""of the dashboard: a page's folder knows no other page's"""
OUTSIDE = {
    "streamlit": ("ui", "pages", "app"),
    "plotly": ("sae_core.figures", "sae_core.documents", "ui"),
}
"""who may import a package at all"""


def room(module: str) -> tuple[str, str]:
    """The house and the room of a module: ("sae_core", "models")."""
    house, _, rest = module.partition(".")
    return house, rest.partition(".")[0]


def ours(module: str) -> list[str]:
    """The modules of ours that a module imports, anywhere in it."""
    found = set()
    for name in imports(MODULES[module]):
        while name and name not in MODULES:
            name = name.rpartition(".")[0]
        found |= {name} - {"", module}
    return sorted(found)


def test_the_reader_reads_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    file = tmp_path / "a" / "b.py"
    file.parent.mkdir()
    file.write_text("import x.y\nfrom z import w\nfrom . import v\nfrom .u import t\ndef f():\n    import s as r\n")
    assert list(imports(file)) == ["x.y", "z.w", "a.v", "a.u.t", "s"]
    assert list(imports(file, top_only=True)) == ["x.y", "z.w", "a.v", "a.u.t"]
    assert uses("x.y", "x") and not uses("xx.y", "x")


@pytest.mark.parametrize("module", MODULES)
def test_no_arrow_points_upward(module: str) -> None:
    house, own = room(module)
    for other in ours(module):
        its_house, its = room(other)
        if house == "sae_core":
            assert its_house == "sae_core", f"{module} imports {other}"
            assert not own or not its or its == own or its in MAY_IMPORT[own], f"{module} imports {other}"
        elif house == "ui" and its_house == "ui":
            assert its == own or its in UI_MAY_IMPORT[own], f"{module} imports {other}"
        elif house == "ui":
            assert its_house == "sae_core", f"{module} imports {other}"
        else:
            assert its_house in ("ui", "sae_core"), f"{module} imports {other}"


def test_every_room_stands_in_the_table() -> None:
    rooms = {room(module) for module in MODULES}
    assert {own for house, own in rooms if house == "sae_core" and own} == set(MAY_IMPORT)
    assert {own for house, own in rooms if house == "ui" and own} == set(UI_MAY_IMPORT)


def test_no_circle() -> None:
    """Also none by imports within functions."""
    left = {module: set(ours(module)) for module in MODULES}
    while free := [module for module, needs in left.items() if not needs & left.keys()]:
        for module in free:
            del left[module]
    assert not left, f"these import each other, or what does: {sorted(left)}"


@pytest.mark.parametrize("module", MODULES)
def test_packages_stay_where_they_belong(module: str) -> None:
    for name in imports(MODULES[module]):
        for package, allowed in OUTSIDE.items():
            assert not uses(name, package) or any(uses(module, a) for a in allowed), f"{module} imports {name}"
        if uses(module, "sae_core.figures"):  # NumPy in, figure out
            assert not uses(name, "torch"), f"{module} imports {name}"


@pytest.mark.slow
def test_what_needs_no_torch_does_not_wait_for_it() -> None:
    check = (
        "import sys, importlib\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    slow = {'torch', 'torchvision', 'sklearn', 'streamlit', 'plotly'} & set(sys.modules)\n"
        "    assert not slow, (name, slow)\n"
        "import sae_core; sae_core.build; assert 'torch' in sys.modules\n"
    )
    modules = [
        "sae_core",
        "sae_core.options",
        "sae_core.datasets",
        "sae_core.pictures.prepare",
        "sae_core.pictures.upload",
        "sae_core.measure.features",
        "sae_core.measure.lists",
        "sae_core.measure.readability",
        "sae_core.store.catalogue",
        "sae_core.reference",
        "sae_core.cli",
        "sae_core.documents.report",
    ]
    done = subprocess.run(
        [sys.executable, "-c", check, *modules], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
