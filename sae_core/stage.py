"""Who hears how far something is."""

from __future__ import annotations

from collections.abc import Callable

Stage = Callable[[str, int, int], None]
"""stage(what, done, of): what is being done, and how much of how much; of = 0 where that is not known"""
