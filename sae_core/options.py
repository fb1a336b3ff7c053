"""One declaration of an option: a dataclass field with its help text and bounds.

The same field checks a value, fills the JSON of a checkpoint, becomes a flag of the command line and a
control of a form.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def option(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] | None = None,
) -> Any:
    """A dataclass field with a help text and, where there are any, inclusive bounds or the allowed words."""
    return dataclasses.field(default=default, metadata={"help": help, "low": low, "high": high, "choices": choices})


def check(config: Any) -> None:
    """Hold every field of a dataclass instance against its type, bounds and choices.

    Raises ValueError naming the field, the value and what is allowed.
    """
    for f in dataclasses.fields(config):
        value: Any = getattr(config, f.name)
        meta, wanted = f.metadata, type(f.default)
        if wanted is float and type(value) is int:
            value = float(value)
            object.__setattr__(config, f.name, value)
        if type(value) is not wanted:
            raise ValueError(f"{f.name} must be {wanted.__name__}, not {value!r}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{f.name} must be a finite number, not {value!r}")
        low, high, choices = meta.get("low"), meta.get("high"), meta.get("choices")
        if low is not None and value < low:
            raise ValueError(f"{f.name} must be at least {low}, not {value!r}")
        if high is not None and value > high:
            raise ValueError(f"{f.name} must be at most {high}, not {value!r}")
        if choices is not None and value not in choices:
            raise ValueError(f"{f.name} must be one of {', '.join(choices)}, not {value!r}")


def from_dict(cls: type[T], values: Mapping[str, Any]) -> T:
    """An options dataclass from plain values. ValueError names every key that the class does not know."""
    known = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    if unknown := set(values) - known:
        raise ValueError(f"{cls.__name__} does not know {', '.join(sorted(unknown))}")
    return cls(**values)


def add_arguments(parser: argparse._ActionsContainer, cls: type, defaults: Mapping[str, Any] | None = None) -> None:
    """Give the parser one --flag for every field of an options dataclass (None when it is not used)."""
    for f in dataclasses.fields(cls):
        meta = f.metadata
        default = (defaults or {}).get(f.name, f.default)
        kind: dict[str, Any] = {"type": type(f.default)}
        if isinstance(f.default, bool):
            kind = {"action": argparse.BooleanOptionalAction}
        elif meta.get("choices"):
            kind["choices"] = meta["choices"]
        parser.add_argument(
            f"--{f.name.replace('_', '-')}",
            dest=f.name,
            default=None,
            help=f"{meta['help']} (default: {default})",
            **kind,
        )


def short(value: Any) -> str:
    """A value in a sentence, however long it is."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**20:
        return "a huge number"
    text = repr(value) if isinstance(value, str | int | float | bool | None) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:60]}…"
