"""What takes long is computed once, also where several threads ask for it at the same time."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from threading import Lock
from typing import Any, ParamSpec, TypeVar, cast
from weakref import WeakValueDictionary

P = ParamSpec("P")
R = TypeVar("R")


def once(most: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Keep the last `most` results of a function of hashable positional arguments, as `lru_cache` does.

    That lets everyone compute who asks before the first is done: here the others wait for it.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        kept = lru_cache(most)(function)
        locks: WeakValueDictionary[object, Lock] = WeakValueDictionary()
        among = Lock()

        @wraps(function)
        def ask(*args: Any) -> R:
            with among:
                lock = locks.setdefault(args, Lock())
            with lock:
                return kept(*args)

        return cast("Callable[P, R]", ask)

    return decorate
