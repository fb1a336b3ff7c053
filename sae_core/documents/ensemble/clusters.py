"""A number for "digits form distinguishable clusters"."""

from __future__ import annotations

import numpy as np

from sae_core.measure.geometry import cosines


def same_digit_nearest(codes: np.ndarray, labels: np.ndarray, block: int = 1000) -> float:
    """Share of images [N, d] whose nearest other image, by the cosine of their codes, has the same label [N]."""
    right = 0
    for start in range(0, len(codes), block):
        near = cosines(codes[start : start + block], codes)
        own = np.arange(len(near))
        near[own, start + own] = -np.inf
        right += int((labels[near.argmax(1)] == labels[start : start + block]).sum())
    return right / len(codes)


def separation(codes: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Mean cosine of two images of one label, and of two of different labels; codes [N, d], labels [N].

    Every pair counts once: the sum over pairs is that over all, less each image with itself, by sums of unit codes.
    NaN where there is no such pair.
    """
    norms = np.linalg.norm(codes, axis=1, keepdims=True)
    unit = np.divide(codes, norms, out=np.zeros(codes.shape), where=norms > 0)
    lengths = (unit**2).sum()
    within = pairs_within = 0.0
    for label in np.unique(labels):
        of = unit[labels == label]
        within += float((of.sum(0) ** 2).sum())
        pairs_within += len(of) * (len(of) - 1)
    all_pairs = len(codes) * (len(codes) - 1)
    between = float((unit.sum(0) ** 2).sum()) - within
    same = (within - float(lengths)) / pairs_within if pairs_within else float("nan")
    apart = between / (all_pairs - pairs_within) if all_pairs > pairs_within else float("nan")
    return same, apart
