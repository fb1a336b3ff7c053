"""How latents lie to each other: cosines, maps, and how local and how redundant they are. NumPy in, NumPy out."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

RANKINGS = ("norm", "variance", "largest")
"""by what `top_features` ranks"""


def cosines(rows: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
    """Cosine of each of rows [n, d] with each of others [m, d] → [n, m] float64; 0 with a row of zeros.

    ⟨u, v⟩ / (‖u‖ ‖v‖). Without others: of the rows with each other. `matching.cosines` is the same on tensors.
    """
    unit = _unit(rows)
    return unit @ (unit if others is None else _unit(others)).T


def distances(rows: np.ndarray) -> np.ndarray:
    """Cosine distance 1 − cosine of every pair of rows [n, d] → [n, n] in [0, 2], with a diagonal of exactly 0."""
    apart = np.clip(1 - cosines(rows), 0, 2)
    np.fill_diagonal(apart, 0)
    return apart


def _unit(rows: np.ndarray) -> np.ndarray:
    """Rows at length 1, in float64; a row of zeros stays."""
    rows = _rows(rows)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)


def _rows(rows: np.ndarray) -> np.ndarray:
    """[n, d] in float64. ValueError in words for another shape or for NaN."""
    rows = np.asarray(rows, dtype=np.float64)
    if rows.ndim != 2:
        raise ValueError(f"rows must be [n, d], not {list(rows.shape)}")
    if not np.isfinite(rows).all():
        raise ValueError("the rows have NaN or infinite values")
    return rows


class Redundancy(NamedTuple):
    """How far latents repeat each other."""

    nearest: np.ndarray
    """[d_sae] cosine to the nearest other latent; NaN for the only one"""
    pairs: int
    """pairs whose cosine is above the limit"""


def redundancy(rows: np.ndarray, above: float = 0.9, block: int = 1024) -> Redundancy:
    """Each latent's nearest other one by the cosine of rows [d_sae, d], and how many pairs are above a limit.

    A block of rows at a time, so that memory does not grow with d_sae².
    """
    unit = _unit(rows)
    nearest, pairs = np.full(len(unit), np.nan), 0
    for start in range(0, len(unit) if len(unit) > 1 else 0, block):
        part = unit[start : start + block] @ unit.T
        own = np.arange(len(part))
        pairs += int((np.triu(part, k=start + 1) > above).sum())  # its own and later latents: each pair once
        part[own, start + own] = -np.inf
        nearest[start : start + block] = part.max(1)
    return Redundancy(nearest, pairs)


def alone(mean_acts: np.ndarray, W_dec: np.ndarray, b_dec: np.ndarray) -> np.ndarray:
    """What each latent alone decodes to, the mean over images: b_dec + mean(a_f) · d_f → [d_sae, d_in] float64.

    mean_acts [d_sae] is over all those images, active or not. Exact, because decoding is linear.
    """
    weights = _rows(W_dec)
    if mean_acts.shape != (len(weights),) or b_dec.shape != (weights.shape[1],):
        wanted = f"[{len(weights)}] and [{weights.shape[1]}]"
        raise ValueError(f"mean_acts and b_dec must be {wanted}, not {list(mean_acts.shape)} and {list(b_dec.shape)}")
    return b_dec + mean_acts.astype(np.float64)[:, None] * weights


def from_only(features: np.ndarray, mean_acts: np.ndarray, W_dec: np.ndarray, b_dec: np.ndarray) -> np.ndarray:
    """The mean reconstruction from some latents only: b_dec + Σ mean(a_f) · d_f over them → [d_in] float64.

    The means decide of which images: all, as document 004 takes them, or those of a class. IndexError for a latent
    that does not exist; one named twice counts once.
    """
    chosen = np.unique(np.asarray(features, dtype=np.int64))
    return b_dec + mean_acts[chosen].astype(np.float64) @ W_dec[chosen].astype(np.float64)


class Correlations(NamedTuple):
    """Whether latents that are near in the hidden layer are near as pictures: Pearson of their cosine distances.

    NaN where there are too few pairs, or all are equally far.
    """

    documented: float
    """over both whole matrices, as document 004 does: each pair twice, and the zeros of the diagonal"""
    off_diagonal: float
    """over each pair once"""
    bias_free: float
    """the same after taking away what all rows share: the decoder's bias, and its picture"""


def correlations(
    hidden_rows: np.ndarray, picture_rows: np.ndarray, hidden_bias: np.ndarray, picture_of_bias: np.ndarray
) -> Correlations:
    """Compare the geometry of rows [n, d_in] in the hidden layer with that of their pictures [n, 784].

    hidden_bias [d_in] is b_dec, picture_of_bias [784] what the generator makes of it. A row of zeros (a latent that
    was never active, once the bias is away) has no direction: its pairs count in `documented` only. ValueError where
    the rows do not belong together.
    """
    hidden, pictures = _rows(hidden_rows), _rows(picture_rows)
    if len(hidden) != len(pictures):
        raise ValueError(f"there are {len(hidden)} hidden rows but {len(pictures)} pictures")
    if hidden_bias.shape != hidden.shape[1:] or picture_of_bias.shape != pictures.shape[1:]:
        got = f"{list(hidden_bias.shape)} and {list(picture_of_bias.shape)}"
        raise ValueError(f"the biases must be {list(hidden.shape[1:])} and {list(pictures.shape[1:])}, not {got}")
    return Correlations(
        documented=_pearson(distances(hidden).ravel(), distances(pictures).ravel()),
        off_diagonal=_pearson(*distances_of_pairs(hidden, pictures)),
        bias_free=_pearson(*distances_of_pairs(hidden - hidden_bias, pictures - picture_of_bias)),
    )


def distances_of_pairs(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosine distance of each two rows of a [n, d] and of the same two of b [n, e]: [pairs] each, each pair once.

    Only of rows that have a direction in both.
    """
    directed = a.any(1) & b.any(1)
    upper = np.triu_indices(int(directed.sum()), k=1)
    return distances(a[directed])[upper], distances(b[directed])[upper]


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    # Equal distances differ by float64's rounding only, which has no correlation.
    if len(a) < 2 or np.ptp(a) < 1e-12 or np.ptp(b) < 1e-12:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's correlation of two series [n] in [−1, 1], ties at their mean rank; NaN where one is constant."""
    from scipy.stats import spearmanr

    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"two series of one length are needed, not {list(a.shape)} and {list(b.shape)}")
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)


def tsne(
    rows: np.ndarray,
    *,
    perplexity: float,
    seed: int = 42,
    init: str = "pca",
    iterations: int = 1000,
    standardise: bool = False,
    metric: str = "euclidean",
) -> np.ndarray:
    """A t-SNE map of rows [n, d] (or of distances [n, n] with metric "precomputed") → [n, 2] float32.

    `standardise` brings each column to mean 0 and deviation 1 first; a constant column becomes 0. The same rows and
    seed give the same map, however many cores there are. ValueError for too few rows for the perplexity.
    """
    rows = _rows(rows)
    needed = int(perplexity) + 1
    if len(rows) < needed:
        raise ValueError(f"a t-SNE with perplexity {perplexity:g} needs at least {needed} rows, not {len(rows)}")
    if init == "pca" and rows.shape[1] < 2:
        raise ValueError("a t-SNE that starts from principal components needs at least 2 columns")
    # Slow to import, and only maps need them.
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    if standardise:
        spread = rows.std(0)
        varies = np.ptp(rows, axis=0) > 0
        rows = np.divide(rows - rows.mean(0), spread, out=np.zeros_like(rows), where=varies)
    model = TSNE(2, perplexity=perplexity, init=init, metric=metric, max_iter=iterations, random_state=seed)
    with threadpool_limits(1):  # the order of sums depends on the threads, and a map magnifies the last bit
        return np.asarray(model.fit_transform(rows.astype(np.float32)), dtype=np.float32)


def documented_map(rows: np.ndarray) -> np.ndarray:
    """Document 004's map of rows [n, d], n ≥ 4 → [n, 2]: t-SNE of their cosine distances taken for features.

    Each row of the distance matrix is a point, and Euclidean distances between those are what the map keeps.
    """
    return tsne(distances(rows), perplexity=3)


def honest_map(rows: np.ndarray) -> np.ndarray:
    """The same with the cosine distances as what they are: a t-SNE that keeps them; it starts at random points."""
    return tsne(distances(rows), perplexity=3, init="random", metric="precomputed")


def top_features(rows: np.ndarray, by: str = "norm", n: int = 500) -> np.ndarray:
    """The n first latents by their encoder rows [d_sae, d_in], the largest first.

    by: "norm" of the row, "variance" of the weights within it, or the "largest" absolute weight.
    """
    if by not in RANKINGS:
        raise ValueError(f"features are ranked by one of {', '.join(RANKINGS)}, not {by!r}")
    rows = _rows(rows)
    ranks: dict[str, Any] = {
        "norm": lambda: np.linalg.norm(rows, axis=1),
        "variance": lambda: rows.var(1),
        "largest": lambda: np.abs(rows).max(1),
    }
    return np.argsort(-ranks[by](), kind="stable")[:n]


class FeatureMap(NamedTuple):
    """A map of some latents."""

    features: np.ndarray
    """[n] which latents, the first by the ranking first"""
    xy: np.ndarray
    """[n, 2] float32"""


def feature_map(rows: np.ndarray, by: str = "norm", n: int = 500, seed: int = 42) -> FeatureMap:
    """t-SNE of the n first latents by their encoder rows [d_sae, d_in]: standardised, perplexity 30, 1000 iterations.

    ValueError for fewer than 31 latents. Source: figure 7 of the program that documents 000–002 describe.
    """
    features = top_features(rows, by, n)
    return FeatureMap(features, tsne(rows[features], perplexity=30, seed=seed, standardise=True))


def locality(rows: np.ndarray, window: int = 10) -> np.ndarray:
    """Largest share of each row's energy in any window of a picture: rows [d_sae, side²] → [d_sae] in [0, 1].

    Energy is the sum of squares; the window is 10×10 pixels of 28×28. An even row has (10 / 28)² = 0.13, a row of
    zeros 0. ValueError for rows that are no square pictures, or smaller than the window.
    """
    energy = _rows(rows) ** 2
    side = round(energy.shape[1] ** 0.5)
    if side**2 != energy.shape[1] or not 1 <= window <= side:
        raise ValueError(f"rows of {energy.shape[1]} are no square pictures that hold a window of {window}×{window}")
    # sums[i, j] is the energy above and left of pixel (i, j): any window is a sum of four of them.
    sums = np.zeros((len(energy), side + 1, side + 1))
    sums[:, 1:, 1:] = energy.reshape(-1, side, side).cumsum(1).cumsum(2)
    w = window
    within = sums[:, w:, w:] - sums[:, :-w, w:] - sums[:, w:, :-w] + sums[:, :-w, :-w]
    total = sums[:, -1, -1]
    share = np.divide(within.max((1, 2)), total, out=np.zeros_like(total), where=total > 0)
    return np.clip(share, 0, 1)
