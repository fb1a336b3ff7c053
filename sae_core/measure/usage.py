"""Which latents are dead, rare and in use on n images: the one place that says so. No torch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

PER_1000 = 3
"""a latent that is active on fewer of 1,000 images is rare"""
RARE = f"{PER_1000 / 10:g} %"
"""the same for people"""
WORDS = ("dead", "rare", "in use")


class Usage(NamedTuple):
    """Each latent is in exactly one of the three; [d_sae] bool each."""

    dead: np.ndarray
    """active on none of the n images"""
    rare: np.ndarray
    """active on at least one of them, but on under 0.3 %"""
    in_use: np.ndarray
    """active on 0.3 % of them or more"""

    @property
    def words(self) -> np.ndarray:
        """[d_sae] "dead", "rare" or "in use"."""
        return np.select(list(self), WORDS, "")

    def said(self) -> str:
        """How many are which, for people: "439 in use, 458 rare, 127 dead"."""
        parts = zip(reversed(self), reversed(WORDS), strict=True)
        return ", ".join(f"{int(which.sum()):,} {word}" for which, word in parts)


def usage(count: np.ndarray, n: int) -> Usage:
    """What each latent is that `count` [d_sae] of n images activate.

    In whole numbers, so that 3 of 1,000 images are 0.3 % exactly. ValueError where a count is not in 0 … n.
    """
    count = np.asarray(count, dtype=np.int64)
    if count.size and not (count.min() >= 0 and count.max() <= n):
        raise ValueError(f"{count.max()} or {count.min()} of {n} images cannot activate a latent")
    dead, enough = count == 0, 1000 * count >= PER_1000 * n
    return Usage(dead, ~dead & ~enough, ~dead & enough)
