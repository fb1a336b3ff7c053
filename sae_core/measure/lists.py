"""Each class's list of latents, and what the lists share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sae_core.measure.features import FEW, FeatureStats

if TYPE_CHECKING:
    from sae_core.measure.importance import Importance

KEY_SHARE = 0.05
"""a latent active on a smaller share of a class's images is not among its key latents by lift"""


def key_features(stats: FeatureStats, by: str, least: float = KEY_SHARE) -> list[np.ndarray]:
    """Each class's latents in the order of a ranking, the first first; ties by number.

    "lift": the class rate over the rate on all images, among those active on at least the share `least` of the
    class's images and on at least FEW of them. "mean": the mean activation over the class's images, among those
    active on any of them. The second often finds latents that nearly every image activates. "importance": what
    setting it to 0 adds to the class's error, among the same; ValueError where it was not measured.
    """
    of = {"lift": stats.lift, "mean": stats.class_means, "importance": stats.importance}[by]
    if of is None:
        raise ValueError(f"importance was not measured on {stats.dataset}/{stats.split}")
    values = of.astype(np.float64)
    active = np.round(stats.class_rates.astype(np.float64) * stats.class_n)  # images
    ranked = active >= np.maximum(FEW, least * stats.class_n) if by == "lift" else active > 0
    found = []
    for c in range(values.shape[1]):
        order = np.argsort(-values[:, c], kind="stable")
        found.append(order[ranked[order, c]])
    return found


def by_first_class(lists: Sequence[np.ndarray], n: int) -> tuple[np.ndarray, np.ndarray]:
    """The union of the first n of each class's list, grouped by the class in whose list a latent is earliest.

    Returns the latents and their classes, [m] each, class by class in the order of their places.
    """
    earliest: dict[int, tuple[int, int]] = {}
    for c, order in enumerate(lists):
        for place, f in enumerate(order[:n].tolist()):
            earliest[f] = min(earliest.get(f, (n, c)), (place, c))
    latents = sorted(earliest, key=lambda f: earliest[f][::-1])
    return np.array(latents, dtype=np.int64), np.array([earliest[f][1] for f in latents], dtype=np.int64)


def overlap(tops: Sequence[np.ndarray]) -> np.ndarray:
    """Share of latents that two top lists have in common: [m, m] for m lists, of the shorter of the two."""
    sets = [set(np.asarray(top).tolist()) for top in tops]
    return np.array([[len(a & b) / max(1, min(len(a), len(b))) for b in sets] for a in sets]).reshape(
        len(sets), len(sets)
    )


class TopLists(NamedTuple):
    """The classes' lists of important latents, and what they have in common; without the row of all images."""

    tops: np.ndarray
    """[classes, n] the most important latents of each class, the first first"""
    lists: np.ndarray
    """[d_sae] in how many classes' lists each latent is"""
    distinctive: tuple[np.ndarray, ...]
    """for each class the latents that are in its list only, in its order"""
    shared: np.ndarray
    """latents that are in the lists of at least half of the classes, those in most lists first"""


def shared_and_distinctive(importance: Importance, n: int = 30, notebook: bool = False) -> TopLists:
    """Which of each class's n most important latents are its own, and which half of the classes share.

    Source: the lists of document 004, figure 3, which overlap by half.
    """
    classes, d_sae = len(importance.classes), importance.increase.shape[1]
    tops = np.stack([importance.top(row, n, notebook) for row in range(classes)])
    lists = np.bincount(tops.ravel(), minlength=d_sae)
    by_lists = np.argsort(-lists, kind="stable")
    return TopLists(
        tops=tops,
        lists=lists,
        distinctive=tuple(top[lists[top] == 1] for top in tops),
        shared=by_lists[2 * lists[by_lists] >= max(1, classes)],
    )


LISTED = 30
"""key features of each class that are compared"""


class Sharing(NamedTuple):
    """What the classes' lists of key features have in common."""

    features: np.ndarray
    """[m] those in any list"""
    lists: np.ndarray
    """[m] in how many lists each is"""
    shared: np.ndarray
    """[classes, classes] features that two lists share; the diagonal is a list's length"""
    own: list[list[int]]
    """each class's features that are in no other list, in the order of its list"""


def compare(lists: Sequence[np.ndarray], top: int = LISTED) -> Sharing:
    """Compare the first `top` of each class's list."""
    first = [order[:top].tolist() for order in lists]
    features, counts = np.unique([f for one in first for f in one], return_counts=True)
    several = set(features[counts > 1].tolist())
    return Sharing(
        features,
        counts,
        np.array([[len(set(p) & set(q)) for q in first] for p in first]),
        [[f for f in one if f not in several] for one in first],
    )
