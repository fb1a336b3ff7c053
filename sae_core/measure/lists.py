"""Each class's list of latents, and what the lists share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sae_core.measure.features import FEW, FeatureStats, lift

if TYPE_CHECKING:
    from sae_core.measure.importance import Importance

KEY_SHARE = 0.05
"""a latent active on a smaller share of a class's images is not among its key latents by lift"""


def key_features(stats: FeatureStats, by: str, least: float = KEY_SHARE) -> list[np.ndarray]:
    """Each class's latents in the order of a ranking, the first first; ties by number.

    "lift": see `by_lift`. "mean": the mean activation over the class's images, among those active on any of them.
    That often finds latents that nearly every image activates. "importance": what setting it to 0 adds to the class's
    error, among the same; ValueError where it was not measured.
    """
    if by == "lift":
        return by_lift(stats.class_rates, stats.frequency, stats.class_n, least)
    of = {"mean": stats.class_means, "importance": stats.importance}[by]
    if of is None:
        raise ValueError(f"importance was not measured on {stats.dataset}/{stats.split}")
    return _ranked(of, _images(stats.class_rates, stats.class_n) > 0)


def by_lift(
    class_rates: np.ndarray, frequency: np.ndarray, class_n: np.ndarray | None = None, least: float = KEY_SHARE
) -> list[np.ndarray]:
    """Each class's latents by lift, the highest first; ties by number.

    Among those active on at least the share `least` of the class's images and on at least FEW of them: the lift of a
    latent that few of them activate says little. class_rates [d_sae, classes], frequency [d_sae], class_n [classes];
    where that is not known, the share alone decides.
    """
    if class_n is None:
        often = class_rates >= least
    else:
        often = _images(class_rates, class_n) >= np.maximum(FEW, least * class_n)
    return _ranked(lift(class_rates.astype(np.float64), frequency.astype(np.float64)), often)


def _images(class_rates: np.ndarray, class_n: np.ndarray) -> np.ndarray:
    """How many of each class's images activate each latent: the rates are stored with a few digits."""
    return np.round(class_rates.astype(np.float64) * class_n)


def _ranked(values: np.ndarray, among: np.ndarray) -> list[np.ndarray]:
    """Of each column the rows with the largest values first, where `among` is true."""
    order = np.argsort(-values.astype(np.float64), axis=0, kind="stable")
    return [column[kept[column]] for column, kept in zip(order.T, among.T, strict=True)]


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
    shared = compare(tops, None).shared
    length = shared.diagonal()
    return shared / np.maximum(1, np.minimum.outer(length, length))


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
    found = compare(list(tops), n)
    lists = np.zeros(d_sae, dtype=np.int64)
    lists[found.features] = found.lists
    by_lists = np.argsort(-lists, kind="stable")
    return TopLists(
        tops=tops,
        lists=lists,
        distinctive=tuple(np.array(own, dtype=np.int64) for own in found.own),
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


def compare(lists: Sequence[np.ndarray], top: int | None = LISTED) -> Sharing:
    """Compare the first `top` of each class's list; None: the whole lists."""
    first = [np.asarray(order)[:top].tolist() for order in lists]
    features, counts = np.unique(np.array([f for one in first for f in one], np.int64), return_counts=True)
    several = set(features[counts > 1].tolist())
    both = [[len(set(p) & set(q)) for q in first] for p in first]
    return Sharing(
        features,
        counts,
        np.array(both, np.int64).reshape(len(first), len(first)),
        [[f for f in one if f not in several] for one in first],
    )
