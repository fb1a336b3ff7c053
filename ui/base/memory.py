"""The memory of the server's process."""

from __future__ import annotations

import ctypes
import sys

_MMAP_THRESHOLD = -3
"""glibc's M_MMAP_THRESHOLD"""
_LARGE = 1 << 20


def give_back() -> None:
    """Have blocks of a megabyte and more go back to the system as soon as they are free; only where glibc is.

    From the first data set that is loaded glibc otherwise keeps such blocks, for each thread its own: after 30 visitors
    at once, each of whom was sent a model, 150 MB.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_MMAP_THRESHOLD, _LARGE)
