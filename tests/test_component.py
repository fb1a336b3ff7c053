"""The linker: modules below a folder become one script that does what the browser would make of them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import needs_node
from ui.live.component import ROOT, LinkError, link, styles

Files = dict[str, str]


def write(folder: Path, files: Files) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    return folder


def run(folder: Path, files: Files, code: str, name: str = "a/main") -> Any:
    """What `code` prints, where `main` holds the exports of the linked script."""
    node = needs_node()
    script = folder / "linked.mjs"
    script.write_text(link(name, write(folder, files)), encoding="utf-8")
    text = f"import * as main from {json.dumps(script.as_uri())}; console.log(JSON.stringify({code}));"
    done = subprocess.run([node, "--input-type=module", "-e", text], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


TREE = {
    "a/main.js": 'import { two, add as plus } from "../b/sum.js";\nimport {\n  count,\n} from "./count.js";\n\n'
    'const one = "main";\nexport const seen = [one, plus(two, 1), count()];\nexport default () => count();',
    "b/sum.js": 'import { count } from "../a/count.js";\n\nconst one = count();\nexport const two = 1 + one;\n'
    "export function add(a, b) { return a + b; }",
    "a/count.js": "let n = 0;\nexport const count = () => ++n;\nexport class A {}\nexport async function f() {}",
}


def test_a_module_runs_once_in_a_scope_of_its_own(tmp_path: Path) -> None:
    # sum.js counts to 1 before main.js does; both have a `one` of their own.
    assert run(tmp_path, TREE, "[main.seen, main.default(), Object.keys(main)]") == [
        ["main", 3, 2],
        3,
        ["default", "seen"],
    ]


def test_styles_come_in_the_order_of_the_modules(tmp_path: Path) -> None:
    sheets = {"a/main.css": "main {}", "a/count.css": "count {}", "b/other.css": "other {}"}
    write(tmp_path, TREE | sheets)
    assert styles("a/main", tmp_path).split() == ["count", "{}", "main", "{}"]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"a/count.js": 'import { add } from "../b/sum.js";'}, "a circle of imports: b/sum.js → a/count.js → b/sum.js"),
        ({"a/count.js": "const count = 1;"}, "b/sum.js imports count, which a/count.js does not export"),
        ({"a/count.js": "export const counts = 1;"}, "imports count, which"),
        ({"a/main.js": 'import { x } from "./none.js";'}, "a/main.js imports a/none.js, which does not exist"),
        ({"a/main.js": 'import * as sum from "../b/sum.js";'}, "is a form that is not known here"),
        ({"a/main.js": 'import sum from "../b/sum.js";'}, "is a form that is not known here"),
        ({"a/main.js": 'import { x } from "react";'}, "is a form that is not known here"),
        ({"a/count.js": "export let count = 1;"}, "a/count.js: “export let count = 1;” is a form"),
        ({"a/count.js": "const count = 1;\nexport { count };"}, "is a form that is not known here"),
        (
            {"a/count.js": "export const count = 1;\nexport default 2;"},
            "a/count.js is imported and has a default export",
        ),
    ],
)
def test_what_cannot_be_linked_is_refused_in_words(tmp_path: Path, changed: Files, why: str) -> None:
    with pytest.raises(LinkError, match=why.replace("*", r"\*")):
        link("a/main", write(tmp_path, TREE | changed))


def test_a_module_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match=r"the page imports a/none.js, which does not exist"):
        link("a/none", write(tmp_path, TREE))


@pytest.mark.parametrize(
    "name", ["draw/pad", "features/wall", "live/model", "live/tiles", "start/apart", "steer/shelf", "steer/strips"]
)
def test_ours_are_scripts_with_a_mount(name: str, tmp_path: Path) -> None:
    script = tmp_path / "linked.mjs"
    script.write_text(link(name), encoding="utf-8")
    done = subprocess.run([needs_node(), "--check", str(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert script.read_text().count("\nexport default function") == 1


def test_every_module_is_linked_into_some_component() -> None:
    entries = {path.relative_to(ROOT) for path in ROOT.rglob("*.js") if "export default" in path.read_text()}
    linked = "".join(link(str(path.with_suffix(""))) for path in entries)
    for path in ROOT.rglob("*.js"):
        if path.relative_to(ROOT) not in entries:
            scope = "$" + "$".join(path.relative_to(ROOT).with_suffix("").parts)
            assert f"const {scope} = (() =>" in linked, path
