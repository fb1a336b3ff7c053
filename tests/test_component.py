"""The linker: modules below a folder become one script that does what the browser would make of them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import needs_node
from ui.live.component import ROOT, LinkError, build, bundle, link, mounts, stand_in, styles

Files = dict[str, str]


def write(folder: Path, files: Files) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    return folder


def linked(folder: Path, name: str, file: str = "linked.mjs") -> str:
    """The address of the linked script of a module."""
    script = folder / file
    script.write_text(link(name, folder), encoding="utf-8")
    return script.as_uri()


def run(code: str) -> Any:
    """What `code` returns, in node."""
    text = f"const run = async () => {{ {code} }}; console.log(JSON.stringify(await run()));"
    done = subprocess.run([needs_node(), "--input-type=module", "-e", text], capture_output=True, text=True, timeout=60)
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
    script = linked(write(tmp_path, TREE), "a/main")
    code = f"const main = await import('{script}'); return [main.seen, main.default(), Object.keys(main)];"
    assert run(code) == [["main", 3, 2], 3, ["default", "seen"]]


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


def test_scripts_share_what_stands_in_the_page_and_another_build_begins_anew(tmp_path: Path) -> None:
    shared = (ROOT / "live/shared.js").read_text(encoding="utf-8")
    seen = 'import { shared } from "./shared.js";\n\nexport const seen = shared("seen", () => []);\nseen.push("NAME");'
    files = {f"a/{name}.js": seen.replace("NAME", name) for name in ("one", "two")}
    write(tmp_path, files | {"a/shared.js": shared})
    one, two = linked(tmp_path, "a/one", "one.mjs"), linked(tmp_path, "a/two", "two.mjs")
    write(tmp_path, {"b/another.js": "// no other module changed"})
    newer = linked(tmp_path, "a/one", "newer.mjs")
    code = (
        f"const all = []; for (const a of ['{one}', '{two}', '{newer}']) all.push((await import(a)).seen); return all;"
    )
    assert run(code) == [["one", "two"], ["one", "two"], ["one"]]
    assert "unlinked" in shared and "unlinked" not in (tmp_path / "one.mjs").read_text(encoding="utf-8")


MOUNTS = mounts()


def test_ours_are_all_seen() -> None:
    assert {"draw/pad", "features/mark", "features/wall", "live/model", "steer/strips"} < set(MOUNTS)


@pytest.mark.parametrize("name", MOUNTS)
def test_ours_are_scripts_with_a_mount(name: str, tmp_path: Path) -> None:
    script = tmp_path / "linked.mjs"
    script.write_text(link(name), encoding="utf-8")
    done = subprocess.run([needs_node(), "--check", str(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert script.read_text(encoding="utf-8").count("\nexport default") == 1


def test_every_module_is_in_the_script_once(tmp_path: Path) -> None:
    script = tmp_path / "bundle.mjs"
    script.write_text(bundle(MOUNTS), encoding="utf-8")
    for path in ROOT.rglob("*.js"):
        name = "$".join(path.relative_to(ROOT).with_suffix("").parts)
        assert script.read_text(encoding="utf-8").count(f"const ${name} = (() =>") == 1, path
    done = subprocess.run([needs_node(), "--check", str(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_component_stands_in_until_the_script_is_here(tmp_path: Path) -> None:
    mount = "export default (component) => {\n  NAME.push(component);\n  return () => NAME.push(`no ${component}`);\n};"
    log = "globalThis.log"
    files = {"a/one.js": mount.replace("NAME", log), "b/two.js": mount.replace("NAME", log)}
    for name in ("shared", "scripts"):
        files[f"live/{name}.js"] = (ROOT / f"live/{name}.js").read_text(encoding="utf-8")
    write(tmp_path, files)
    script, two = tmp_path / "bundle.mjs", tmp_path / "two.mjs"
    script.write_text(bundle(["a/one", "b/two"], tmp_path), encoding="utf-8")
    two.write_text(stand_in("b/two"), encoding="utf-8")
    two.write_text(two.read_text(encoding="utf-8").replace(build(), build(tmp_path)), encoding="utf-8")
    code = (
        f"globalThis.log = []; const two = (await import('{two.as_uri()}')).default;"
        "const early = two('early'), gone = two('gone'); gone(); const before = [...log];"
        f"await import('{script.as_uri()}'); early(); two('late')(); return [before, log];"
    )
    assert run(code) == [[], ["early", "no early", "late", "no late"]]


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.js")), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_room_imports_itself_and_what_all_share(path: Path) -> None:
    here = path.parent.name
    for other in re.findall(r'^import .* from "([^"]*)";$', path.read_text(encoding="utf-8"), re.M):
        assert (path.parent / other).resolve().parent.name in {here, "live"}, other
    assert re.findall(r"\b(?:globalThis|window)\.\w+ *(?:\?\?)?=[^=]", path.read_text(encoding="utf-8")) == []
