"""Files of a checkpoint: what is found under a name, and that nothing damaged or hostile gets through."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sae_core import files
from sae_core.files import CheckpointError
from sae_core.store import catalogue

CFG: dict[str, Any] = {
    "architecture": "topk",
    "d_in": 4,
    "d_sae": 3,
    "k": 2,
    "metadata": {
        "sae_core": {
            "format_version": 1,
            "variant": "topk",
            "config": {"d_in": 4, "d_sae": 3, "k": 2},
            "options": {"epochs": 1},
            "data": "digits",
            "split": "train",
            "n": 10,
            "fingerprint": "f",
            "hash": "abc",
        }
    },
}


def put(folder: Path, cfg: Any = CFG) -> Path:
    folder.mkdir(parents=True)
    (folder / "cfg.json").write_text(json.dumps(cfg))
    return folder


@pytest.fixture
def two_stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """SAE_CHECKPOINTS with a model `mine`; a working directory with models of its own."""
    monkeypatch.setenv("SAE_CHECKPOINTS", str(tmp_path / "given"))
    put(tmp_path / "given" / "mine")
    put(tmp_path / "here" / "local")
    put(tmp_path / "here" / "mine" / "0")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def test_a_name_is_looked_for_in_the_given_store(two_stores: Path) -> None:
    assert catalogue.find("mine") == (two_stores / "given" / "mine", None)
    assert catalogue.find("mine/0") == (two_stores / "given" / "mine", 0)
    assert catalogue.find("mine/12/") == (two_stores / "given" / "mine", 12)
    assert catalogue.find(Path("mine")) == (two_stores / "given" / "mine", None)
    assert catalogue.read("mine").hash == "abc"


def test_a_name_is_never_looked_for_in_the_working_directory(two_stores: Path) -> None:
    for name in ("local", "local/0"):
        with pytest.raises(CheckpointError, match=r"no model called 'local' in .*given"):
            catalogue.find(name)
    assert catalogue.find("./local") == (Path("local"), None), "a path is a path"


def test_the_given_store_comes_before_the_repositorys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = Path(catalogue.__file__).resolve().parents[2] / "checkpoints"
    monkeypatch.setenv("SAE_CHECKPOINTS", str(tmp_path))
    assert catalogue.stores() == [tmp_path, own]
    monkeypatch.delenv("SAE_CHECKPOINTS")
    assert catalogue.stores() == [own]


def test_paths(tmp_path: Path) -> None:
    model, number = put(tmp_path / "model"), put(tmp_path / "7")
    assert catalogue.find(model) == (model, None)
    assert catalogue.find(f"{model}/") == (model, None)
    assert catalogue.find(f"{model}/3") == (model, 3)
    assert catalogue.find(number) == (number, None), "a model whose own name is a number"
    assert catalogue.find(f"{number}/3") == (number, 3)


@pytest.mark.parametrize("spec", ["../x", "a/b", "/nowhere/x", "x/../y", "mine/zero"])
def test_a_path_to_nothing_names_the_folder(spec: str, two_stores: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint folder "):
        catalogue.find(spec)


BAD_NAMES = ["", ".", "..", "a..b", ".hidden", "-x", "a b", "a\n", "a\0b", "ü", "x.partial", "x.", "a" * 101]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_cannot_be_one_is_refused(name: str, two_stores: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot name a model"):
        catalogue.check_name(name)
    with pytest.raises(CheckpointError):
        catalogue.find(name)


@pytest.mark.parametrize("name", ["../x", "a/b", "a\\b", "NAME/0", "/etc"])
def test_a_path_is_no_name(name: str) -> None:
    with pytest.raises(CheckpointError, match="cannot name a model"):
        catalogue.check_name(name)


def test_good_names() -> None:
    for name in ("topk-1024-k50", "A", "7", "a.b_c-d", "a" * 100):
        assert catalogue.check_name(name) == name


def test_folders_lists_finished_models_once(two_stores: Path) -> None:
    given = two_stores / "given"
    put(given / "half.partial")
    (given / "empty").mkdir()
    (given / "file").write_text("x")
    put(given / "a-model")
    other = put(two_stores / "other" / "mine").parent
    assert list(catalogue.folders([given, other, two_stores / "nowhere"])) == [given / "a-model", given / "mine"]


def changed(where: str, value: Any) -> Any:
    """CFG with the value at "a.b.c" replaced; "" is the whole."""
    cfg = json.loads(json.dumps(CFG))
    if not where:
        return value
    *path, last = where.split(".")
    at = cfg
    for key in path:
        at = at[key]
    if value is KeyError:
        del at[last]
    else:
        at[last] = value
    return cfg


OURS = "metadata.sae_core"


def _a_folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


HOSTILE: list[tuple[Any, ...]] = [
    ("", []),
    ("", "text"),
    ("", None),
    ("metadata", KeyError),
    ("metadata", []),
    (OURS, KeyError),
    (OURS, "x"),
    *((f"{OURS}.{key}", KeyError) for key in CFG["metadata"]["sae_core"]),
    (f"{OURS}.format_version", 2),
    (f"{OURS}.format_version", "1"),
    (f"{OURS}.config", "abc"),
    (f"{OURS}.config", 5),
    (f"{OURS}.config", [[]]),
    (f"{OURS}.config", ["a"]),
    (f"{OURS}.config.k", 1),
    (f"{OURS}.config.k", KeyError),
    (f"{OURS}.passes", 0),
    (f"{OURS}.passes", "3"),
    ("d_in", 5),
    ("d_sae", KeyError),
]


@pytest.mark.parametrize(("where", "value"), HOSTILE)
def test_a_cfg_that_does_not_fit_names_the_file(where: str, value: Any, tmp_path: Path) -> None:
    folder = put(tmp_path / "model", changed(where, value))
    with pytest.raises(CheckpointError, match=r"model.cfg\.json"):
        catalogue.read(folder)
    found, broken = catalogue.list_checkpoints(tmp_path)
    assert found == [] and len(broken) == 1 and "cfg.json" in broken[0], "one bad folder does not end the list"


DAMAGE: list[tuple[str, Callable[[Path], object]]] = [
    ("missing", lambda p: p.unlink(missing_ok=True)),
    ("cannot be read", lambda p: p.write_text("{")),
    ("cannot be read", lambda p: p.write_text("")),
    ("cannot be read", lambda p: p.write_bytes(b"\xff\xfe\0")),
    ("cannot be read", lambda p: p.write_text("[" * 200_000)),
    ("far too large", lambda p: p.write_bytes(b" " * 10_000_001)),
    ("cannot be read", _a_folder),
]


@pytest.mark.parametrize(("says", "damage"), DAMAGE)
def test_json_that_cannot_be_read_names_the_file(says: str, damage: Callable[[Path], object], tmp_path: Path) -> None:
    folder = put(tmp_path / "model")
    damage(folder / "cfg.json")
    with pytest.raises(CheckpointError, match=f"cfg.json .*{says}"):
        catalogue.read(folder)


@pytest.mark.parametrize("text", ["[]", '"x"', '{"mnist/test": 3}', '{"mnist/test": {"fvu": "x"}}', "null", "{"])
def test_metrics_that_do_not_fit_name_the_file(text: str, tmp_path: Path) -> None:
    folder = put(tmp_path / "model")
    (folder / "metrics.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"model.metrics\.json"):
        catalogue.read(folder)
    (folder / "metrics.json").write_text('{"mnist/test": {"fvu": 0.5, "n": 3}}')
    assert catalogue.read(folder).metrics == {"mnist/test": {"fvu": 0.5, "n": 3}}


def test_tensors_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    wanted: dict[str, np.ndarray] = {
        "scalar": np.array(3.5, np.float32),
        "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "half": np.array([1, 2], np.float16),
        "bytes": np.array([[1]], np.uint8),
        "empty": np.zeros((0, 3), np.int32),
    }
    files.write_tensors(path, wanted, {"n": "5"})
    found, header = files.read_tensors(path)
    assert header == {"n": "5"} and found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].shape == array.shape and found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)


@pytest.mark.parametrize("keep", [0, 4, 8, 30, 80, -1])
def test_cut_tensors_name_the_file(keep: int, tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    files.write_tensors(path, {"a": np.ones(10, np.float32)})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"t\.safetensors is damaged"):
        files.read_tensors(path)
    path.unlink()
    with pytest.raises(CheckpointError, match=r"t\.safetensors is missing"):
        files.read_tensors(path)
    path.mkdir()
    with pytest.raises(CheckpointError, match=r"t\.safetensors"):
        files.read_tensors(path)


def test_writing_aside_keeps_the_old_file_when_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    files.write_json(path, {"a": 1})

    def fail(aside: Path) -> None:
        aside.write_text("half")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        files.write_aside(path, fail)
    with pytest.raises(ValueError):
        files.write_json(path, {"a": float("nan")})
    assert files.read_json(path) == {"a": 1}
    assert os.listdir(tmp_path) == ["x.json"]


def test_lines(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    assert files.read_lines(path) == []
    for step in (1, 2, 3):
        files.append_line(path, {"step": step})
    assert files.read_lines(path) == [{"step": 1}, {"step": 2}, {"step": 3}]
    whole = path.read_text()
    path.write_text(whole[:-4])
    assert files.read_lines(path) == [{"step": 1}, {"step": 2}], "the last line may be cut by a crash"
    path.write_text(whole.replace('"step": 2', "oops"))
    with pytest.raises(CheckpointError, match=r"history\.jsonl is damaged in line 2"):
        files.read_lines(path)
