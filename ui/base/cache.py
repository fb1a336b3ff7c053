"""What is computed once for everyone on this server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
import streamlit as st

P = ParamSpec("P")
R = TypeVar("R")


def shared(most: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Keep the last `most` results of a function, the same objects for everyone: `st.cache_resource` as we use it.

    However many ask for a result at once, one computes it and the others wait. An error is not kept. Nobody may change
    what they are given: arrays in it are read-only. The arguments are told apart by their `repr`: names, numbers,
    paths, and dataclasses of these. The function draws nothing, for that would be drawn again with each use.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        # One string is the key: Streamlit takes 0.1 ms to look into a dataclass, at each of some dozen uses in a run.
        def compute(key: str, _call: Callable[[], R]) -> R:
            return read_only(_call())

        compute.__module__, compute.__qualname__ = function.__module__, function.__qualname__
        cached = st.cache_resource(max_entries=most, show_spinner=False)(compute)

        @wraps(function)
        def ask(*args: P.args, **kwargs: P.kwargs) -> R:
            return cached(repr((args, kwargs)), partial(function, *args, **kwargs))

        return ask

    return decorate


def read_only(value: R) -> R:
    """The same, with every array in it made read-only."""
    inside: Any = ()
    if isinstance(value, np.ndarray):
        value.setflags(write=False)
    elif isinstance(value, Mapping):
        inside = value.values()
    elif isinstance(value, list | tuple):
        inside = value
    elif is_dataclass(value):
        inside = (getattr(value, f.name) for f in fields(value))
    for part in inside:
        read_only(part)
    return value
