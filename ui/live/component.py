"""Our own components: ES modules below ui/, linked into one script for all of them.

Streamlit sends a component's script again with each change of its data, as it does with its HTML and CSS. So the script
that it has of each only stands in for its mount (scripts.js), and all mounts come in the script of one more component,
`put_scripts`, whose message is always the same: Streamlit sends it once.

Streamlit can serve a component's files by their addresses, so that the browser would follow imports itself, but only of
an installed package that names them in its metadata, and at an address of its own for each component: a checkout that
is only run has none, and every component would have the shared modules once more.

Components are registered once, when their Python module is imported, from constant text: a changed text would rebuild a
component in the page and lose a stroke that is being drawn.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

ROOT = Path(__file__).parents[1]

_IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.[^"]*)";$', re.M)
_EXPORT = re.compile(r"^export (?:async )?(?:function\*?|class|const) +(\w+)", re.M)
_BUILD = 'BUILD = "unlinked";'
_LEFT = re.compile(r"^(?:import\b|export\b(?! default\b)).*$", re.M)
"""what is neither: such an import or export is not known here"""
_DEFAULT = re.compile(r"^export default\b", re.M)
_SCRIPTS = "live/scripts"


class LinkError(Exception):
    """A module that cannot be linked, and why."""


def link(name: str, root: Path = ROOT) -> str:
    """The script of the module NAME (a path below `root` without suffix) with all that it imports, directly or not.

    Each module is run once, before those that import it, in a scope of its own, as the browser would; only `name`'s
    exports are those of the script. LinkError for a module that is not there, an export that is not, a circle, and any
    form of import or export but `import { a, b as c } from "./x.js"` and `export` before a function, class or const.
    """
    *others, (_, last, exports) = _modules([name], root)
    for path, text, _ in others:
        if _DEFAULT.search(text):
            raise LinkError(f"{_said(path, root)} is imported and has a default export, which only a mount has")
    scripts = [_scoped(*module, root) for module in others]
    return "\n".join([*scripts, last, f"export {{ {', '.join(exports)} }};\n" if exports else ""])


def bundle(names: Sequence[str], root: Path = ROOT) -> str:
    """The script that brings the mounts of these modules into the page, with all that they import, each module once."""
    wanted, modules = {root.resolve() / f"{name}.js": name for name in names}, _modules([*names, _SCRIPTS], root)
    for path, text, _ in modules:
        if bool(_DEFAULT.search(text)) != (path in wanted):
            raise LinkError(f"{_said(path, root)}: a mount, and nothing else, has a default export")
    here = ", ".join(f'"{name}": {_scope(path, root)}.$mount' for path, name in wanted.items())
    brought = f"{_scope(root.resolve() / f'{_SCRIPTS}.js', root)}.come({{ {here} }});\nexport default () => {{}};\n"
    return "\n".join([*(_scoped(*module, root) for module in modules), brought])


def stand_in(name: str) -> str:
    """The script of a component that does what the mount of that module does, when that has come."""
    return f'{link(_SCRIPTS)}export default (component) => standIn("{name}", component);\n'


def styles(name: str, root: Path = ROOT) -> str:
    """The CSS beside each module that `link` puts into the script, in the same order."""
    sheets = [path.with_suffix(".css") for path, _, _ in _modules([name], root)]
    return "\n".join(sheet.read_text(encoding="utf-8") for sheet in sheets if sheet.exists())


def component(name: str) -> Any:
    """Register the component of that module, whose default export is its mount, with NAME.html where there is one.

    The build stands in the HTML too: a tab that was open while the server was updated then makes the elements anew, and
    no script meets those of another build.
    """
    page = (ROOT / name).with_suffix(".html")
    html = f"<!-- {build()} -->" + (page.read_text(encoding="utf-8") if page.exists() else "<div></div>")
    return _register(name, html, styles(name), stand_in(name))


def _register(name: str, html: str, css: str, js: str) -> Any:
    return st.components.v2.component(f"sae_{name.replace('/', '_')}", html=html, css=css, js=js)


def mounts(root: Path = ROOT) -> list[str]:
    """The modules of all components: those with a default export."""
    found = [path for path in root.rglob("*.js") if _DEFAULT.search(path.read_text(encoding="utf-8"))]
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in found)


def build(root: Path = ROOT) -> str:
    """Stands for all modules as they are: another one where any of them is another."""
    found = hashlib.sha256()
    for path in sorted(root.rglob("*.js")):
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


def _modules(wanted: Sequence[str], root: Path) -> list[tuple[Path, str, list[str]]]:
    """Every module that those need, each before those that need it: path, text without its imports, exports."""
    found: dict[Path, tuple[Path, str, list[str]]] = {}
    under_way: list[Path] = []

    def visit(path: Path, by: str) -> list[str]:
        if path in under_way:
            circle = [*under_way[under_way.index(path) :], path]
            raise LinkError("a circle of imports: " + " → ".join(_said(p, root) for p in circle))
        if path not in found:
            if not path.is_file():
                raise LinkError(f"{by} imports {_said(path, root)}, which does not exist")
            under_way.append(path)
            found[path] = read(path)
            under_way.pop()
        return found[path][2]

    def read(path: Path) -> tuple[Path, str, list[str]]:
        said = _said(path, root)

        def bound(match: re.Match[str]) -> str:
            other = (path.parent / match[2]).resolve()
            names = [tuple(part.split(" as ")) for part in re.split(r"\s*,\s*", match[1].strip()) if part]
            if lacking := {name for name, *_ in names} - set(visit(other, said)):
                raise LinkError(
                    f"{said} imports {', '.join(sorted(lacking))}, which {_said(other, root)} does not export"
                )
            return f"const {{ {', '.join(': '.join(pair) for pair in names)} }} = {_scope(other, root)};"

        text = _IMPORT.sub(bound, path.read_text(encoding="utf-8"))
        if _BUILD in text:
            text = text.replace(_BUILD, f'BUILD = "{build(root)}";')
        exports = _EXPORT.findall(text)
        text = _EXPORT.sub(lambda match: match[0].removeprefix("export "), text)
        if left := _LEFT.search(text):
            raise LinkError(f"{said}: “{left[0]}” is a form that is not known here")
        return path, text, exports

    for name in wanted:
        visit((root / f"{name}.js").resolve(), "the page")
    return list(found.values())


def _said(path: Path, root: Path) -> str:
    return path.relative_to(root.resolve()).as_posix() if path.is_relative_to(root.resolve()) else str(path)


def _scoped(path: Path, text: str, exports: list[str], root: Path) -> str:
    """A module as a function that runs once, in a scope of its own, and has its exports, $mount being the default."""
    names = [*exports, "$mount"] if _DEFAULT.search(text) else exports
    text = _DEFAULT.sub("const $mount =", text)
    return f"const {_scope(path, root)} = (() => {{\n{text}\nreturn {{ {', '.join(names)} }};\n}})();\n"


def _scope(path: Path, root: Path) -> str:
    """The name of a module's exports in the script."""
    return "$" + re.sub(r"\W", "$", _said(path.with_suffix(""), root))


_scripts = _register(_SCRIPTS, f"<!-- {build()} -->", "", bundle(mounts()))


def put_scripts() -> None:
    """Bring the mounts of all components to the page; draws nothing."""
    _scripts(key="scripts")
