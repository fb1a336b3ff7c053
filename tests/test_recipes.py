"""Recipes: there and back in every form, the Python that repeats one, and what is refused."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
import zlib
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sae_core.datasets import load_dataset
from sae_core.steering import recipes
from sae_core.steering.edits import MODES, Edit, Edits, edit_code, steer
from sae_core.steering.recipes import Recipe, from_json, from_text, listed, pack, save, to_code, to_json, unpack
from sae_core.store import catalogue
from sae_core.store.checkpoints import load

ROOT = Path(__file__).parent.parent
MODEL = "topk-1024-k50@0123456789ab"


def px(levels: np.ndarray) -> str:
    """A picture of 8-bit levels as a URL says it."""
    return "px-" + base64.urlsafe_b64encode(zlib.compress(levels.astype(np.uint8).tobytes(), 9)).decode().rstrip("=")


DRAWN = np.arange(784) % 256
RECIPES = [
    Recipe("empty", MODEL, {}),
    Recipe(
        "all-of-it.2",
        "ensemble-tied-topk-1024-k50/0@0123456789ab",
        {3: 1.5, 1023: Edit("scale", -0.25), 0: Edit("clamp", low=0.0, high=0.1)},
        "plain",
        (3, 1023, 7),
        "digits-test-11",
    ),
    Recipe("drawn", MODEL, {7: 0.0}, solo=(), picture=px(DRAWN)),
    Recipe("large", MODEL, {f: 0.1 * f for f in range(1000)}, solo=tuple(range(1000))),
]
each = pytest.mark.parametrize("recipe", RECIPES, ids=lambda r: r.name)


@each
def test_there_and_back(recipe: Recipe, tmp_path: Path) -> None:
    assert from_json(to_json(recipe)) == recipe
    assert from_text(json.dumps(to_json(recipe))) == recipe
    assert unpack(pack(recipe)) == recipe
    path = save(recipe, tmp_path / "and" / "kept")
    assert path == tmp_path / "and" / "kept" / f"{recipe.name}.json"
    assert recipes.load(recipe.name, tmp_path / "and" / "kept") == recipe


def test_what_the_json_says() -> None:
    assert to_json(RECIPES[1]) == {
        "format": "sae_core.recipe",
        "version": 1,
        "name": "all-of-it.2",
        "model": "ensemble-tied-topk-1024-k50/0@0123456789ab",
        "mode": "plain",
        "edits": {"3": 1.5, "1023": {"scale": -0.25}, "0": {"clamp": [0.0, 0.1]}},
        "solo": [3, 1023, 7],
        "picture": "digits-test-11",
    }
    assert (RECIPES[1].sae, RECIPES[1].hash) == ("ensemble-tied-topk-1024-k50/0", "0123456789ab")


@pytest.mark.parametrize("feature", range(150))
def test_a_packed_text_may_end_in_anything(feature: int) -> None:
    recipe = Recipe("r", MODEL, {feature: 1.0})
    assert unpack(pack(recipe)) == recipe


def test_a_short_recipe_is_a_short_text() -> None:
    packed = pack(Recipe("a-4-into-a-9", MODEL, {417: 3.25, 12: 0.0}, picture="mnist-test-11"))
    text = zlib.decompress(base64.urlsafe_b64decode(packed + "==")).decode()
    assert len(packed) < 250 and ": " not in text and ", " not in text
    assert set(packed) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_numbers_are_float32_in_few_digits_and_edit_the_same() -> None:
    values = torch.randn(200, generator=torch.Generator().manual_seed(0)).tolist()
    edits = {f: v if f % 2 else Edit("scale", v) for f, v in enumerate(values)}
    recipe = Recipe("r", MODEL, edits)
    assert Recipe("r", MODEL, {1: 0.1 + 1e-12}).edits == {1: 0.1}
    assert replace(recipe) == recipe
    acts = torch.randn(3, 200)
    assert torch.equal(edit_code(acts, recipe.edits), edit_code(acts, edits))
    assert max(len(str(v)) for v in recipe.edits.values() if isinstance(v, float)) <= 14


def test_numpy_numbers_repeats_and_set_edits_are_plain() -> None:
    edits: Any = {np.int64(3): np.float32(0.1), 4: Edit("set", 2)}
    solo: Any = np.array([5, 3, 5])
    recipe = Recipe("r", MODEL, edits, solo=solo)
    assert (recipe.edits, recipe.solo) == ({3: 0.1, 4: 2.0}, (5, 3))
    assert json.loads(json.dumps(to_json(recipe)))["edits"] == {"3": 0.1, "4": 2.0}


@pytest.mark.parametrize(
    "edit", [float("inf"), Edit("scale", 1), Edit("clamp", low=0, high=1), Edit("clamp", low=-1, high=0)]
)
def test_what_an_edit_cannot_take_names_its_feature(edit: float | Edit) -> None:
    if isinstance(edit, Edit):  # as no `Edit` can be made
        for name in ("value", "low", "high"):
            if getattr(edit, name):
                object.__setattr__(edit, name, float("inf"))
    with pytest.raises(ValueError, match="feature 3 takes a finite number, not inf"):
        Recipe("r", MODEL, {3: edit})


def test_what_is_no_list_and_the_longest_name() -> None:
    wrong: Any = [1]
    with pytest.raises(ValueError, match="a recipe's edits are at most 1000 features"):
        Recipe("r", MODEL, wrong)
    wrong = "12"
    with pytest.raises(ValueError, match="solo is a list of features, not '12'"):
        Recipe("r", MODEL, {}, solo=wrong)
    assert len(Recipe("x" * recipes.NAME_CHARS, MODEL, {}).name) == 60


# ---- the Python


def run(code: str) -> Tensor:
    space: dict[str, Any] = {}
    with redirect_stdout(io.StringIO()) as out:
        exec(code, space)
    picture: Tensor = space["picture"]
    assert [len(line) for line in out.getvalue().splitlines()] == [28] * 28
    return picture


@pytest.mark.slow
def test_the_code_shows_the_picture_by_itself() -> None:
    code = to_code(Recipe("r", MODEL, {7: 2.0}, picture="digits-test-11"))
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    assert [len(line) for line in lines] == [28] * 28
    assert "@" in found.stdout and not lines[0].strip()


def test_the_code_says_where_mnist_is_looked_for() -> None:
    code = to_code(Recipe("r", MODEL, {7: 2.0}, picture="mnist-test-11"))
    assert next(line for line in code.splitlines() if "load_dataset(" in line).endswith("SAE_DATA names, else in data/")
    assert len(code.splitlines()) <= 10 and max(map(len, code.splitlines())) <= 120
    assert "SAE_DATA" not in to_code(Recipe("r", MODEL, {7: 2.0}, picture="digits-test-11"))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["topk-1024-k50", "tied-topk-1024-k50/0", "exp3-kl-98-rho0.1"])
def test_the_code_makes_the_same_picture(name: str, mode: str) -> None:
    sae, x = load(name), torch.tensor(load_dataset("digits", "test").x[[11]])
    acts = sae(sae.read(x)).acts[0]
    first, second, third = acts.abs().topk(3).indices.tolist()
    model = f"{name}@{catalogue.read(name.partition('/')[0]).hash}"
    edits: Edits = {first: 0.0, second: Edit("scale", 1.7), third: Edit("clamp", low=0.0, high=0.5), 5: 2.25}
    recipe = Recipe("r", model, edits, mode, (second, third, 5), "digits-test-11")
    code = to_code(recipe)
    assert len(code.splitlines()) <= 10
    wanted = steer(sae, x, edits, mode, [second, third, 5]).steered
    assert torch.equal(run(code), wanted.clip(0, 1).reshape(28, 28))
    whole = replace(recipe, solo=None, edits={first: 0.0})
    assert "Edit" not in to_code(whole) and "solo" not in to_code(whole)
    assert torch.equal(run(to_code(whole)), steer(sae, x, {first: 0.0}, mode).steered.clip(0, 1).reshape(28, 28))


def test_the_code_of_a_drawing_and_of_no_picture() -> None:
    sae = load("topk-1024-k50")
    x = torch.from_numpy(DRAWN.astype(np.float32) / 255)[None]
    code = to_code(Recipe("r", MODEL, {7: 2.0}, picture=px(DRAWN)))
    assert torch.equal(run(code), steer(sae, x, {7: 2.0}).steered.clip(0, 1).reshape(28, 28))
    assert len(code.splitlines()) <= 13
    blank = steer(sae, torch.zeros(1, 784), {7: 2.0}).steered
    assert torch.equal(run(to_code(Recipe("r", MODEL, {7: 2.0}))), blank.clip(0, 1).reshape(28, 28))


# ---- what is refused

LONG = "9" * 5000


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"format": "other"}, "this is not a recipe"),
        ({"version": 2}, r"of a newer version \(2\)"),
        ({"version": 0}, "a recipe's version is a whole number from 1 on, not 0"),
        ({"version": True}, "a recipe's version is a whole number"),
        ({"name": ""}, "cannot name a recipe"),
        ({"name": "../x"}, "cannot name a recipe"),
        ({"name": "a b"}, "cannot name a recipe"),
        ({"name": "x" * 61}, "cannot name a recipe"),
        ({"name": "x" * 5000}, "cannot name a recipe"),
        ({"name": 3}, "cannot name a recipe"),
        ({"name": None}, "cannot name a recipe"),
        ({"name": "\ud800"}, "cannot name a recipe"),
        ({"model": "topk"}, "a recipe's model is NAME@HASH"),
        ({"model": 'a")\nimport os#@0123456789ab'}, "a recipe's model is NAME@HASH"),
        ({"model": "a..b@0123456789ab"}, "cannot name a model"),
        ({"model": "a/../b@0123456789ab"}, "a recipe's model is NAME@HASH"),
        ({"model": ["a"]}, "a recipe's model is NAME@HASH, not a list"),
        ({"mode": "both"}, "the mode must be one of error-preserving, plain, not 'both'"),
        ({"mode": ["plain"]}, "the mode must be one of"),
        ({"edits": [1]}, "a recipe's edits are"),
        ({"edits": {str(f): 0 for f in range(1001)}}, "at most 1000 features"),
        ({"edits": {"-1": 0}}, "there is no feature '-1'"),
        ({"edits": {"01": 0}}, "there is no feature '01'"),
        ({"edits": {"1.0": 0}}, "there is no feature '1.0'"),
        ({"edits": {"٣": 0}}, "there is no feature"),
        ({"edits": {"1000000": 0}}, "there is no feature 1000000"),
        ({"edits": {LONG: 0}}, "there is no feature"),
        ({"edits": {"1": float("nan")}}, "feature '1' takes a finite number, not nan"),
        ({"edits": {"1": 1e39}}, "feature '1' takes a finite number"),
        ({"edits": {"1": 10**400}}, "feature '1' takes a finite number, not a huge number"),
        ({"edits": {"1": True}}, "feature '1' takes a finite number, not True"),
        ({"edits": {"1": "2"}}, "feature '1' takes a finite number"),
        ({"edits": {"1": None}}, "feature '1' takes a finite number"),
        ({"edits": {"1": {"scale": float("inf")}}}, "feature '1' takes a finite number, not inf"),
        ({"edits": {"1": {"scale": 1, "clamp": [0, 1]}}}, "an edit that is not known"),
        ({"edits": {"1": {"clamp": [0]}}}, "feature '1' has an edit that is not known: a dict"),
        ({"edits": {"1": {"clamp": [0, None]}}}, "feature '1' takes a finite number"),
        ({"edits": {"1": {"clamp": [None, 0]}}}, "feature '1' takes a finite number"),
        ({"edits": {"1": {"clamp": "01"}}}, "an edit that is not known"),
        ({"edits": {"1": {"clamp": [1, 0]}}}, "clamp needs low ≤ high"),
        ({"edits": {"1": {"power": 2}}}, "an edit that is not known"),
        ({"edits": {"1": {}}}, "an edit that is not known"),
        ({"solo": "123"}, "solo is a list of features, not '123'"),
        ({"solo": {"1": 2}}, "solo is a list of features"),
        ({"solo": [1.0]}, "there is no feature 1.0"),
        ({"solo": [True]}, "there is no feature True"),
        ({"solo": [-1]}, "there is no feature -1"),
        ({"solo": [10**400]}, "there is no feature a huge number"),
        ({"solo": list(range(1001))}, "at most 1000 features alone"),
        ({"picture": "mnist"}, "names no picture"),
        ({"picture": 3}, "names no picture"),
        ({"picture": "mnist-test-" + LONG}, "names no picture"),
        ({"picture": px(DRAWN[:783])}, "names no picture"),
        ({"picture": px(np.zeros(10_000_000))}, "names no picture"),  # too long a reference
        ({"picture": px(np.zeros(785))}, "names no picture"),
        ({"picture": px(np.zeros(101**2))}, "this is far too large"),
        ({"picture": px(DRAWN)[:-9]}, "this is damaged"),
        ({"picture": "px-abc"}, "this is damaged"),
        ({"picture": 'px-"+x'}, "names no picture"),
        ({"more": 1}, "a recipe does not know 'more'"),
    ],
)
def test_what_is_no_recipe_is_said(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        from_json(to_json(RECIPES[0]) | changed)
    assert len(str(raised.value)) < 250


@pytest.mark.parametrize("value", [None, 1, "recipe", [], {}, {"format": ["sae_core.recipe"]}])
def test_what_is_not_even_like_one_is_said(value: Any) -> None:
    with pytest.raises(ValueError, match="this is not a recipe"):
        from_json(value)


def test_what_is_missing_is_named() -> None:
    lacking = to_json(RECIPES[0])
    del lacking["solo"], lacking["mode"]
    with pytest.raises(ValueError, match="this recipe lacks mode, solo"):
        from_json(lacking)


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ('{"1": NaN}', "finite numbers only, not NaN"),
        ('{"1": -Infinity}', "finite numbers only, not -Infinity"),
        ('{"1": 1e999}', "takes a finite number, not inf"),
        (f'{{"1": {LONG}}}', "this is not a recipe"),
        ('{"1": 2, "1": 3}', "says everything once"),
        ("{", "this is not a recipe"),
        ("[" * 90_000, "nested too deeply"),
        (" " * 100_000, "far too large for a recipe"),
    ],
)
def test_hostile_text_is_refused(edits: str, words: str) -> None:
    text = json.dumps(to_json(RECIPES[0])).replace('"edits": {}', f'"edits": {edits}')
    with pytest.raises(ValueError, match=words) as raised:
        from_text(text)
    assert len(str(raised.value)) < 300


def packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


GOOD = json.dumps(to_json(RECIPES[0])).encode()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "damaged"),
        ("!", "damaged"),
        ("A", "damaged"),
        ("é", "damaged"),
        (pack(RECIPES[0])[:-4], "damaged"),
        (packed(zlib.compress(GOOD) + b"more"), "damaged"),
        (packed(zlib.compress(b"\xff\xfe")), "not text"),
        (packed(zlib.compress(b"[]")), "this is not a recipe"),
        (packed(zlib.compress(GOOD + b" " * 50_000_000, 9)), "far too large"),
        ("A" * 200_000, "far too large"),
    ],
)
def test_hostile_packed_text_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        unpack(text)


# ---- files


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    save(RECIPES[0], tmp_path)
    other = replace(RECIPES[0], mode="plain")
    with pytest.raises(ValueError, match="there is a recipe called 'empty' already"):
        save(other, tmp_path)
    save(other, tmp_path, replace=True)
    assert recipes.load("empty", tmp_path) == other
    assert [p.name for p in tmp_path.iterdir()] == ["empty.json"]  # nothing aside is left


def test_the_list_says_what_cannot_be_read(tmp_path: Path) -> None:
    assert listed(tmp_path / "none") == ([], [])
    for recipe in RECIPES:
        save(recipe, tmp_path)
    (tmp_path / "damaged.json").write_text('{"format": ')
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "other.json").write_text(GOOD.decode())
    (tmp_path / "no name.json").write_text(GOOD.decode())
    (tmp_path / "folder.json").mkdir()
    (tmp_path / ".empty.json.1.tmp").write_text("left by a crash")
    found, broken = listed(tmp_path)
    assert found == sorted(RECIPES, key=lambda r: r.name)
    assert len(broken) == 5
    assert any("other.json holds a recipe called 'empty'" in sentence for sentence in broken)
    assert not any(str(tmp_path) in sentence for sentence in broken)


@pytest.mark.parametrize("name", ["../empty", "nothing", "", "a/b", ".hidden"])
def test_a_recipe_that_is_not_there(name: str, tmp_path: Path) -> None:
    save(RECIPES[0], tmp_path)
    with pytest.raises(ValueError, match=r"there is no recipe called|cannot name a recipe"):
        recipes.load(name, tmp_path / "in")
