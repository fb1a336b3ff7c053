"""Where the n largest of more numbers end than can be kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

KEPT = 1 << 24
"""so many numbers are kept at most"""


def last_and_next(parts: Callable[[], Iterable[Tensor]], n: int) -> tuple[Tensor, Tensor] | None:
    """Of all positive float32 numbers in the parts [m] the n-th largest and the one after it; None where there are no
    n + 1. `parts` gives them anew each time.

    In one pass in which the n + 1 largest so far are kept or, where those are too many, in two: positive numbers are in
    the order of their bits, so the upper 16 of these are counted, and then the lower 16 of those that have the right
    upper ones.
    """
    return _by_keeping(parts(), n) if n < KEPT else _by_counting(parts, n)


def _by_keeping(parts: Iterable[Tensor], n: int) -> tuple[Tensor, Tensor] | None:
    kept = torch.zeros(0)
    for part in parts:
        positive = part[part > (kept[-1].to(part.device) if len(kept) > n else 0.0)]
        kept = torch.cat([kept.to(part.device), positive])
        if len(kept) > n:
            kept = kept.topk(n + 1).values
    return (kept[-2], kept[-1]) if len(kept) > n else None


def _by_counting(parts: Callable[[], Iterable[Tensor]], n: int) -> tuple[Tensor, Tensor] | None:
    uppers = torch.zeros(1 << 15, dtype=torch.long)
    for part in parts():
        uppers = uppers.to(part.device) + torch.bincount(_bits(part) >> 16, minlength=1 << 15)
    if int(uppers.sum()) <= n:
        return None
    places = [_place(uppers, rank) for rank in (n, n + 1)]
    lowers = [torch.zeros(1 << 16, dtype=torch.long, device=uppers.device) for _ in places]
    for part in parts():
        bits = _bits(part)
        for count, (upper, _) in zip(lowers, places, strict=True):
            count += torch.bincount(bits[bits >> 16 == upper] & 0xFFFF, minlength=1 << 16)
    found = [upper << 16 | _place(count, rank)[0] for count, (upper, rank) in zip(lowers, places, strict=True)]
    last, after = torch.tensor(found, dtype=torch.int32, device=uppers.device).view(torch.float32)
    return last, after


def _bits(part: Tensor) -> Tensor:
    return part[part > 0].float().view(torch.int32)


def _place(counts: Tensor, rank: int) -> tuple[int, int]:
    """In which of the counted values, from the largest on, the rank-th is (from 1), and its rank among those there."""
    reach = counts.flip(0).cumsum(0).flip(0)  # so many have this value or a larger one
    at = int((reach >= rank).sum()) - 1
    return at, rank - int(reach[at] - counts[at])
