"""How wide a picture is."""

from __future__ import annotations

import math

MOST_SIDE = 100
"""pixels of a picture's side at most: what comes from outside cannot ask for more"""


def side_of(pixels: int) -> int:
    """Pixels of a square picture's side: 784 → 28. ValueError for a number that is no square, or too large a one."""
    side = math.isqrt(pixels)
    if side * side != pixels or not 1 <= side <= MOST_SIDE:
        raise ValueError(f"{pixels} pixels are no square picture of at most {MOST_SIDE}×{MOST_SIDE}")
    return side
