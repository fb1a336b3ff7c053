"""A named edit of a code that can be kept and shared: JSON, a short text for a URL, and the Python that repeats it."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from sae_core import files
from sae_core.files import CheckpointError
from sae_core.options import short
from sae_core.pictures.prepare import SIDE
from sae_core.reference import INDEXED, check_reference, inflate
from sae_core.steering.edits import CLAMP, ERROR_PRESERVING, MODES, SCALE, SET, Edit, finite
from sae_core.store import catalogue

FORMAT, VERSION = "sae_core.recipe", 1
NAME_CHARS = 60
MOST = 1000
"""features that are edited, and features that stay alone, at most"""
_FEATURES = 1_000_000
"""no SAE has more latents"""
_TEXT = 100_000
"""characters of a recipe's JSON at most: `MOST` of everything and a picture fit"""
_MODEL = re.compile(r"([A-Za-z0-9._-]{1,100})(/[0-9]{1,5})?@[0-9a-f]{12}")


@dataclass(frozen=True)
class Recipe:
    """An edit of a code, and what it was made for.

    ValueError in words for anything that is not as the fields say. Numbers are rounded to float32, in which codes are
    computed, and written with as few digits as say them exactly.
    """

    name: str
    """letters, digits, `.`, `_` and `-`, NAME_CHARS at most: it is also a file's name"""
    model: str
    """"NAME@HASH", or "NAME/0@HASH" for a member of an ensemble"""
    edits: Mapping[int, float | Edit]
    """as `steer` takes them; an `Edit` that sets a value becomes that value"""
    mode: str = ERROR_PRESERVING
    """one of `MODES`"""
    solo: tuple[int, ...] | None = None
    """the only features that stay; None: all"""
    picture: str | None = None
    """the picture it was made on: "DATASET-SPLIT-INDEX", or "px-" and its packed 8-bit levels; None: any"""

    def __post_init__(self) -> None:
        _check_name(self.name)
        if not isinstance(self.model, str) or not (match := _MODEL.fullmatch(self.model)):
            raise ValueError(f"a recipe's model is NAME@HASH, not {short(self.model)}")
        try:
            catalogue.check_name(match[1])
        except files.CheckpointError as e:
            raise ValueError(str(e)) from None
        if self.mode not in MODES:
            raise ValueError(f"the mode must be one of {', '.join(MODES)}, not {short(self.mode)}")
        if not isinstance(self.edits, Mapping) or len(self.edits) > MOST:
            raise ValueError(f"a recipe's edits are at most {MOST} features with their values")
        edits = {_feature(f): _edit(f, e) for f, e in self.edits.items()}
        object.__setattr__(self, "edits", edits)
        if self.solo is not None:
            if isinstance(self.solo, str | bytes) or not isinstance(self.solo, Iterable):
                raise ValueError(f"solo is a list of features, not {short(self.solo)}")
            solo = tuple(dict.fromkeys(map(_feature, self.solo)))
            if len(solo) > MOST:
                raise ValueError(f"a recipe keeps at most {MOST} features alone")
            object.__setattr__(self, "solo", solo)
        if self.picture is not None:
            check_reference(self.picture)

    @property
    def sae(self) -> str:
        """The model as `load` takes it: "NAME" or "NAME/0"."""
        return self.model.partition("@")[0]

    @property
    def hash(self) -> str:
        """The hash of the model that it was made for."""
        return self.model.partition("@")[2]


def to_json(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain JSON values; an edit is a number, {"scale": s} or {"clamp": [low, high]}."""
    edits = {str(f): _plain(e) for f, e in recipe.edits.items()}
    solo = None if recipe.solo is None else list(recipe.solo)
    named = {"name": recipe.name, "model": recipe.model, "mode": recipe.mode}
    return {"format": FORMAT, "version": VERSION, **named, "edits": edits, "solo": solo, "picture": recipe.picture}


def from_json(value: Any) -> Recipe:
    """A recipe from what JSON gave. ValueError in words for anything that is none, or of a newer version."""
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise ValueError("this is not a recipe")
    version = value.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ValueError(f"a recipe's version is a whole number from 1 on, not {short(version)}")
    if version > VERSION:
        raise ValueError(f"this recipe is of a newer version ({short(version)}): update this program")
    wanted = {"format", "version", "name", "model", "mode", "edits", "solo", "picture"}
    if missing := wanted - value.keys():
        raise ValueError(f"this recipe lacks {', '.join(sorted(missing))}")
    if unknown := value.keys() - wanted:
        raise ValueError(f"a recipe does not know {short(', '.join(sorted(unknown)))}")
    edits, solo = value["edits"], value["solo"]
    if not isinstance(edits, dict) or len(edits) > MOST:
        raise ValueError(f"a recipe's edits are at most {MOST} features with their values")
    if solo is not None and not isinstance(solo, list):
        raise ValueError(f"solo is a list of features, not {short(solo)}")
    return Recipe(
        name=value["name"],
        model=value["model"],
        mode=value["mode"],
        edits={_number_of(f): _from_plain(f, e) for f, e in edits.items()},
        solo=None if solo is None else tuple(solo),
        picture=value["picture"],
    )


def from_text(text: str) -> Recipe:
    """A recipe from its JSON text, which may come from anywhere. ValueError in words, also for NaN and what is huge."""
    if len(text) > _TEXT:
        raise ValueError(f"this is far too large for a recipe: {len(text):,} characters")
    try:
        value = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("this is not a recipe: it is nested too deeply") from None
    except ValueError as e:  # also a number of thousands of digits
        raise ValueError(f"this is not a recipe: {e}") from None
    return from_json(value)


def pack(recipe: Recipe) -> str:
    """The recipe as a short text of letters, digits, `-` and `_`, for a URL."""
    text = json.dumps(to_json(recipe), separators=(",", ":"), allow_nan=False)
    return base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode().rstrip("=")


def unpack(packed: str) -> Recipe:
    """The recipe that `pack` made a text of. ValueError for any other text; a huge one is not unpacked to its end."""
    if len(packed) > _TEXT:
        raise ValueError("this is far too large for a recipe")
    try:
        text = inflate(packed, _TEXT).decode()
    except UnicodeDecodeError:
        raise ValueError("this recipe is damaged: it is not text") from None
    return from_text(text)


def save(recipe: Recipe, folder: Path, *, replace: bool = False) -> Path:
    """Write FOLDER/NAME.json in one step. ValueError when there is another recipe of that name, unless `replace`."""
    path = folder / f"{recipe.name}.json"
    if not replace and path.exists():
        raise ValueError(f"there is a recipe called {recipe.name!r} already")
    folder.mkdir(parents=True, exist_ok=True)
    files.write_json(path, to_json(recipe))
    return path


def load(name: str, folder: Path) -> Recipe:
    """The recipe of that name in a folder. ValueError names a file that is missing, damaged or not what it says."""
    path = folder / f"{_check_name(name)}.json"
    try:
        with open(path, encoding="utf-8") as f:
            recipe = from_text(f.read(_TEXT + 1))
    except FileNotFoundError:
        raise ValueError(f"there is no recipe called {name!r}") from None
    except OSError as e:
        raise ValueError(f"{path.name} cannot be read: {e.strerror}") from None
    except ValueError as e:
        raise ValueError(f"{path.name} cannot be read: {e}") from None
    if recipe.name != name:
        raise ValueError(f"{path.name} holds a recipe called {recipe.name!r}")
    return recipe


def listed(folder: Path) -> tuple[list[Recipe], list[str]]:
    """All recipes in a folder by name, and a sentence for each file that cannot be read."""
    found, broken = [], []
    for path in sorted(folder.glob("[!.]*.json")):
        try:
            found.append(load(path.stem, folder))
        except ValueError as e:
            broken.append(str(e))
    return found, broken


def to_code(recipe: Recipe) -> str:
    """A few lines of Python that make the recipe's picture with sae_core, `picture` [side, side] as a screen shows it,
    and print it as text."""
    general = any(isinstance(e, Edit) for e in recipe.edits.values())
    side = _side(recipe)
    imports, x = (
        ["import torch"],
        f"torch.zeros(1, {side * side})  # your picture: [1, {side * side}] float32, 0 background to 1 ink",
    )
    names = "load"
    if recipe.picture and (match := INDEXED.fullmatch(recipe.picture)):
        names, x = "load, load_dataset", f'torch.tensor(load_dataset("{match[1]}", "{match[2]}").x[[{int(match[3])}]])'
        if match[1] == "mnist":
            x += "  # its files: in the folder that SAE_DATA names, else in data/"
    elif recipe.picture:
        packed = recipe.picture[3:] + "=" * (-(len(recipe.picture) - 3) % 4)
        imports = ["import base64", "import zlib", "", "import torch"]
        x = f'torch.tensor([*zlib.decompress(base64.urlsafe_b64decode("{packed}"))]).float()[None] / 255'
    edits = ", ".join(f"{f}: {_source(e)}" for f, e in recipe.edits.items())
    solo = "" if recipe.solo is None else f", solo={list(recipe.solo)}"
    return "\n".join(
        [
            *imports,
            f"from sae_core import {names}",
            f"from sae_core.steering import {'Edit, ' * general}steer",
            "",
            f'sae = load("{recipe.sae}")  # hash {recipe.hash}',
            f"x = {x}",
            f"edits = {{{edits}}}",
            f'steered = steer(sae, x, edits, "{recipe.mode}"{solo}).steered',
            f"picture = steered[0].clip(0, 1).reshape({side}, {side})",
            'print("\\n".join("".join(" .:-=+*#%@"[int(9 * v)] for v in row) for row in picture.tolist()))',
            "",
        ]
    )


def _side(recipe: Recipe) -> int:
    """Pixels of the side of the pictures that its model reads; MNIST's where the model is not here."""
    try:
        return catalogue.read(recipe.sae).side
    except CheckpointError:
        return SIDE


def _source(edit: float | Edit) -> str:
    if not isinstance(edit, Edit):
        return repr(edit)
    numbers = f"low={edit.low!r}, high={edit.high!r}" if edit.mode == CLAMP else repr(edit.value)
    return f'Edit("{edit.mode}", {numbers})'


def _check_name(name: Any) -> str:
    try:
        if isinstance(name, str) and len(name) <= NAME_CHARS:
            return catalogue.check_name(name)
    except files.CheckpointError:
        pass
    raise ValueError(
        f"{short(name)} cannot name a recipe: use letters, digits, '.', '_', '-', at most {NAME_CHARS} of them, "
        "and a letter or digit first"
    )


def _feature(feature: Any) -> int:
    whole = isinstance(feature, int | np.integer) and not isinstance(feature, bool)
    if not whole or not 0 <= feature < _FEATURES:
        raise ValueError(f"there is no feature {short(feature)}")
    return int(feature)


def _number(feature: Any, number: Any) -> float:
    """The shortest number that is the same as float32."""
    if not finite(number):
        raise ValueError(f"feature {short(feature)} takes a finite number, not {short(number)}")
    return float(str(np.float32(number)))


def _edit(feature: Any, edit: Any) -> float | Edit:
    if not isinstance(edit, Edit):
        return _number(feature, edit)
    if edit.mode == CLAMP:
        return Edit(CLAMP, low=_number(feature, edit.low), high=_number(feature, edit.high))
    value = _number(feature, edit.value)
    return value if edit.mode == SET else Edit(SCALE, value)


def _plain(edit: float | Edit) -> Any:
    if not isinstance(edit, Edit):
        return edit
    return {CLAMP: [edit.low, edit.high]} if edit.mode == CLAMP else {SCALE: edit.value}


def _from_plain(feature: str, value: Any) -> float | Edit:
    if not isinstance(value, dict):
        return _number(feature, value)
    match list(value.items()):
        case [("scale", s)]:
            return Edit(SCALE, _number(feature, s))
        case [("clamp", [low, high])]:
            return Edit(CLAMP, low=_number(feature, low), high=_number(feature, high))
    raise ValueError(f"feature {short(feature)} has an edit that is not known: {short(value)}")


def _number_of(feature: str) -> int:
    """A feature as JSON writes it, in one way only: "3", not "03"."""
    if not re.fullmatch(r"0|[1-9][0-9]{0,6}", feature):
        raise ValueError(f"there is no feature {short(feature)}")
    return int(feature)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"a recipe has finite numbers only, not {name}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a recipe says everything once")
    return found
