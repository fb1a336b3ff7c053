"""Each measure of geometry against a slow readable version, or values by hand."""

from __future__ import annotations

import warnings
from itertools import combinations

import numpy as np
import pytest

from sae_core.measure import geometry


def rows(n: int = 12, d: int = 7, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def clusters(n: int = 10, d: int = 16) -> np.ndarray:
    """Three groups of n rows around three directions, far apart."""
    r = np.random.default_rng(1)
    return np.repeat(10 * np.eye(d)[:3], n, axis=0) + r.standard_normal((3 * n, d))


def slow_cosine(a: np.ndarray, b: np.ndarray) -> float:
    lengths = float(np.sqrt((a**2).sum()) * np.sqrt((b**2).sum()))
    return float((a * b).sum()) / lengths if lengths else 0.0


# ---- cosines


def test_cosines_and_distances() -> None:
    given = np.vstack([rows(), np.zeros((2, 7))])
    slow = np.array([[slow_cosine(a, b) for b in given] for a in given])
    assert np.allclose(geometry.cosines(given), slow, atol=1e-6)
    assert np.array_equal(geometry.cosines(given)[-1], np.zeros(14))
    apart = geometry.distances(given)
    assert not np.diag(apart).any() and apart.min() >= 0 and apart.max() <= 2
    off = ~np.eye(14, dtype=bool)
    assert np.allclose(apart[off], 1 - slow[off], atol=1e-6)
    by_hand = geometry.cosines(np.array([[1.0, 0.0], [3.0, 4.0], [-2.0, 0.0]]))
    assert np.allclose(by_hand, [[1, 0.6, -1], [0.6, 1, -0.6], [-1, -0.6, 1]])
    half = np.array([[300, 400], [0, 60_000]], np.float16)  # whose squares float16 does not hold
    assert np.allclose(geometry.cosines(half), [[1, 0.8], [0.8, 1]])


def test_distances_stay_within_0_and_2() -> None:
    given = rows(40, 50)
    apart = geometry.distances(np.vstack([given, given, -given]))  # some cosines are rounded to beyond ±1
    assert apart.min() == 0 and apart.max() == 2


@pytest.mark.parametrize("block", [1, 4, 5, 1024])
def test_redundancy_is_the_loop(block: int) -> None:
    given = rows(15, 3)
    given[7], given[11], given[14] = 2 * given[3], -given[3], 0
    found = geometry.redundancy(given, above=0.8, block=block)
    for f, nearest in enumerate(found.nearest):
        assert nearest == pytest.approx(max(slow_cosine(given[f], given[g]) for g in range(15) if g != f), abs=1e-6)
    assert found.pairs == sum(slow_cosine(a, b) > 0.8 for a, b in combinations(given, 2)) > 1
    assert np.isnan(geometry.redundancy(given[:1]).nearest).all() and geometry.redundancy(given[:1]).pairs == 0


def test_redundancy_by_hand() -> None:
    nearest, pairs = geometry.redundancy(np.array([[1.0, 0.0], [3.0, 4.0]]), above=0.6)
    assert nearest.tolist() == [0.6, 0.6] and pairs == 0, "above the limit, not at it"
    assert geometry.redundancy(np.array([[1.0, 0.0], [12.0, 5.0], [3.0, 4.0]])).pairs == 1  # 0.92, 0.6 and 0.86


# ---- what latents decode to


def code_and_decoder() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """acts [N, d_sae], W_dec [d_sae, d_in], b_dec [d_in]"""
    return np.maximum(rows(50, 9), 0), rows(9, 5, seed=1), rows(1, 5, seed=2)[0]


def test_alone_is_the_mean_of_decoding_one_latent() -> None:
    acts, W_dec, b_dec = code_and_decoder()
    found = geometry.alone(acts.mean(0), W_dec, b_dec)
    for f in range(9):
        only = np.zeros_like(acts)
        only[:, f] = acts[:, f]
        assert np.allclose(found[f], (only @ W_dec + b_dec).mean(0), atol=1e-6)
    with pytest.raises(ValueError, match=r"must be \[9\] and \[5\], not \[8\] and \[5\]"):
        geometry.alone(acts.mean(0)[1:], W_dec, b_dec)


def test_from_only_is_the_mean_of_decoding_some_latents() -> None:
    acts, W_dec, b_dec = code_and_decoder()
    chosen, of_class = np.array([4, 0, 7]), np.arange(50) % 3 == 1
    only = np.zeros_like(acts)
    only[:, chosen] = acts[:, chosen]
    for images in (np.ones(50, dtype=bool), of_class):
        found = geometry.from_only(chosen, acts[images].mean(0), W_dec, b_dec)
        assert np.allclose(found, (only[images] @ W_dec + b_dec).mean(0), atol=1e-6)
    for none in (np.array([], dtype=int), np.array([])):
        assert np.array_equal(geometry.from_only(none, acts.mean(0), W_dec, b_dec), b_dec)
    twice = geometry.from_only(np.array([4, 4]), acts.mean(0), W_dec, b_dec)
    assert np.allclose(twice, geometry.from_only(np.array([4]), acts.mean(0), W_dec, b_dec))
    with pytest.raises(IndexError):
        geometry.from_only(np.array([9]), acts.mean(0), W_dec, b_dec)


def slow_correlation(a: list[float], b: list[float]) -> float:
    x, y = np.array(a) - np.mean(a), np.array(b) - np.mean(b)
    return float((x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum()))


def test_correlations_are_the_loops() -> None:
    hidden, pictures, h_bias, p_bias = rows(8, 5), np.abs(rows(8, 16, seed=1)), rows(1, 5, seed=2)[0], rows(1, 16)[0]

    def pairs(given: np.ndarray) -> list[float]:
        return [1 - slow_cosine(a, b) for a, b in combinations(given, 2)]

    def whole(given: np.ndarray) -> list[float]:
        return [0.0 if i == j else 1 - slow_cosine(a, b) for i, a in enumerate(given) for j, b in enumerate(given)]

    found = geometry.correlations(hidden, pictures, h_bias, p_bias)
    assert found.documented == pytest.approx(slow_correlation(whole(hidden), whole(pictures)), abs=1e-5)
    assert found.off_diagonal == pytest.approx(slow_correlation(pairs(hidden), pairs(pictures)), abs=1e-5)
    without = slow_correlation(pairs(hidden - h_bias), pairs(pictures - p_bias))
    assert found.bias_free == pytest.approx(without, abs=1e-5)
    assert len({round(value, 3) for value in found}) == 3

    same = geometry.correlations(hidden, 3 * hidden, h_bias, 3 * h_bias)
    assert same == pytest.approx((1, 1, 1))


def test_the_zeros_of_the_diagonal_make_a_correlation() -> None:
    """Two geometries that know nothing of each other, whose rows are all about equally far apart."""
    hidden, pictures = rows(20, 200, seed=3), rows(20, 300, seed=4)
    found = geometry.correlations(hidden, pictures, np.zeros(200), np.zeros(300))
    assert found.documented > 0.8 and abs(found.off_diagonal) < 0.2


def test_a_latent_that_was_never_active_has_no_direction() -> None:
    mean_acts, W_dec, b_dec = np.abs(rows(1, 9)[0]), rows(9, 5, seed=1), rows(1, 5, seed=2)[0]
    mean_acts[[2, 6]] = 0
    hidden = geometry.alone(mean_acts, W_dec, b_dec)
    paint = rows(5, 16, seed=3)
    found = geometry.correlations(hidden, hidden @ paint, b_dec, b_dec @ paint)
    living = np.delete(hidden, [2, 6], axis=0)
    assert found.bias_free == pytest.approx(geometry.correlations(living, living @ paint, b_dec, b_dec @ paint)[2])


def test_too_few_pairs_have_no_correlation() -> None:
    zeros = np.zeros(7)
    assert np.isnan(geometry.correlations(rows(2), rows(2), zeros, zeros).off_diagonal)
    assert np.isnan(geometry.correlations(np.eye(7), rows(7), zeros, zeros).off_diagonal), "all equally far"
    turned = np.linalg.qr(rows(7).astype(float))[0]  # equally far but for rounding
    assert np.isnan(geometry.correlations(turned, rows(7), zeros, zeros).off_diagonal)
    assert np.isnan(geometry.correlations(rows(7), turned, zeros, zeros).off_diagonal)
    with pytest.raises(ValueError, match="3 hidden rows but 4 pictures"):
        geometry.correlations(rows(3), rows(4), zeros, zeros)
    with pytest.raises(ValueError, match=r"biases must be \[7\] and \[7\], not \[7\] and \[6\]"):
        geometry.correlations(rows(3), rows(3), zeros, zeros[1:])


def test_pairs_are_of_rows_with_a_direction_in_both() -> None:
    a = np.array([[1.0, 0.0], [0.0, 1.0], [3.0, 4.0], [0.0, 0.0]])
    b = np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [1.0, 1.0]])
    found = geometry.distances_of_pairs(a, b)  # the middle two
    assert [f.tolist() for f in found] == [[pytest.approx(0.2)], [2]]


def test_rank_correlation() -> None:
    a, b = np.array([1.0, 5.0, 2.0, 2.0]), np.array([10.0, 4000.0, 30.0, 20.0])
    ranks_a, ranks_b = [1.0, 4.0, 2.5, 2.5], [1.0, 4.0, 3.0, 2.0]
    assert geometry.rank_correlation(a, b) == pytest.approx(slow_correlation(ranks_a, ranks_b))
    assert geometry.rank_correlation(a, -np.exp(a)) == pytest.approx(-1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(geometry.rank_correlation(a, np.ones(4))) and np.isnan(geometry.rank_correlation(np.ones(4), a))
        assert np.isnan(geometry.rank_correlation(a[:1], b[:1]))
    assert geometry.rank_correlation(np.array([0, 0.5, 1]), np.array([3, 3.2, 4])) == pytest.approx(1)
    assert geometry.rank_correlation(np.array([1.0, 5.0]), np.array([9.0, 2.0])) == pytest.approx(-1)
    with pytest.raises(ValueError, match="one length"):
        geometry.rank_correlation(a, b[1:])


# ---- maps


def kept_together(xy: np.ndarray, n: int = 10) -> float:
    """The share of points whose nearest one is of their own group of n; .31 by chance for three groups of 10."""
    squared = ((xy[:, None] - xy[None]) ** 2).sum(-1)
    np.fill_diagonal(squared, np.inf)
    return float((squared.argmin(1) // n == np.arange(len(xy)) // n).mean())


def test_a_map_keeps_groups_and_is_the_same_each_time() -> None:
    given = clusters()
    before = given.copy()
    for draw in (
        geometry.documented_map,
        geometry.honest_map,
        lambda r: geometry.tsne(r, perplexity=5, iterations=250),
    ):
        first = draw(given)
        assert first.shape == (30, 2) and first.dtype == np.float32 and np.isfinite(first).all()
        # Not all: a map of few points magnifies the last bit, which depends on the processor. Of 75 maps of rows that
        # were moved by 1e-5, the worst kept .73.
        assert kept_together(first) > 0.5 > kept_together(np.random.default_rng(0).permutation(first))
        assert np.array_equal(first, draw(given))
    assert np.array_equal(given, before)
    other = geometry.tsne(given, perplexity=5, seed=1, init="random", iterations=250)
    assert not np.array_equal(other, geometry.tsne(given, perplexity=5, seed=2, init="random", iterations=250))


def test_the_documented_map_takes_distances_for_features() -> None:
    given = clusters()
    assert np.array_equal(
        geometry.documented_map(given), geometry.tsne(geometry.distances(given), perplexity=3, seed=42, init="pca")
    )
    assert not np.allclose(geometry.documented_map(given), geometry.honest_map(given), atol=1)


def test_the_honest_map_keeps_distances_from_random_points() -> None:
    apart = geometry.distances(clusters())
    expected = geometry.tsne(apart, perplexity=3, seed=42, init="random", iterations=1000, metric="precomputed")
    assert np.array_equal(geometry.honest_map(clusters()), expected)
    shorter = geometry.tsne(apart, perplexity=3, init="random", iterations=250, metric="precomputed")
    assert not np.allclose(shorter, expected)
    with pytest.raises(ValueError, match="square"):
        geometry.tsne(rows(9, 4), perplexity=3, init="random", metric="precomputed")


def test_a_standardised_map_does_not_see_the_scale_of_columns() -> None:
    given = clusters()
    given[:, 5] = 1  # a column that is constant
    powers = 2.0 ** (np.arange(16) - 8)

    def draw(r: np.ndarray, standardise: bool) -> np.ndarray:
        return geometry.tsne(r, perplexity=5, iterations=250, standardise=standardise)

    assert np.array_equal(draw(given, True), draw(given * powers, True))
    assert not np.allclose(draw(given, False), draw(given * powers, False), atol=1)


def test_a_map_of_too_few_rows_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="perplexity 30 needs at least 31 rows, not 30"):
        geometry.tsne(clusters(), perplexity=30)
    with pytest.raises(ValueError, match="perplexity 3 needs at least 4 rows, not 3"):
        geometry.documented_map(rows(3))
    assert geometry.documented_map(rows(4)).shape == geometry.honest_map(rows(4)).shape == (4, 2)
    assert geometry.tsne(rows(9, 2), perplexity=3, iterations=250).shape == (9, 2)
    with pytest.raises(ValueError, match="at least 2 columns"):
        geometry.tsne(rows(9, 1), perplexity=3)
    with pytest.raises(ValueError, match="NaN or infinite"):
        geometry.tsne(np.full((9, 2), np.nan), perplexity=3)
    with pytest.raises(ValueError, match=r"rows must be \[n, d\], not \[3\]"):
        geometry.cosines(np.zeros(3))


def test_top_features_by_hand() -> None:
    given = np.array([[3.0, 3.0, 3.0, 3.0], [4.0, -4.0, 0.0, 0.0], [-5.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    # norms 6, √32, 5, 0; variances 0, 8, 25/4 − 25/16 = 4.7, 0; largest 3, 4, 5, 0
    assert geometry.top_features(given, "norm").tolist() == [0, 1, 2, 3]
    assert geometry.top_features(given, "variance").tolist() == [1, 2, 0, 3]
    assert geometry.top_features(given, "largest", n=2).tolist() == [2, 1]
    assert geometry.top_features(given[[3, 1, 0]]).tolist() == [2, 1, 0], "by norm where nothing is said"
    turns = np.tile([[1.0], [2.0]], (251, 1))
    assert geometry.top_features(turns).tolist() == [*range(1, 502, 2), *range(0, 498, 2)], "ties by number, 500 of 502"
    with pytest.raises(ValueError, match="one of norm, variance, largest, not 'size'"):
        geometry.top_features(given, "size")


def test_a_feature_map_shows_the_first_of_its_ranking() -> None:
    given = clusters(15)
    features, xy = geometry.feature_map(given, "variance", n=40)
    assert np.array_equal(features, geometry.top_features(given, "variance", 40))
    expected = geometry.tsne(given[features], perplexity=30, seed=42, iterations=1000, standardise=True)
    assert np.array_equal(xy, expected) and xy.shape == (40, 2)
    with pytest.raises(ValueError, match="at least 31 rows, not 20"):
        geometry.feature_map(given, n=20)


def test_a_feature_map_is_of_500_where_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    def tsne(given: np.ndarray, **how: object) -> np.ndarray:
        asked.append(how)
        return given[:, :2]

    monkeypatch.setattr(geometry, "tsne", tsne)
    given = rows(502, 3)
    features, xy = geometry.feature_map(given)
    assert features.tolist() == np.argsort(-np.linalg.norm(given.astype(float), axis=1))[:500].tolist()
    assert np.array_equal(xy, given[features][:, :2])
    geometry.feature_map(given, seed=7)
    assert asked == [{"perplexity": 30, "seed": seed, "standardise": True} for seed in (42, 7)]


# ---- locality


def slow_locality(row: np.ndarray, side: int, window: int) -> float:
    energy = row.astype(np.float64).reshape(side, side) ** 2
    best = 0.0
    for i in range(side - window + 1):
        for j in range(side - window + 1):
            best = max(best, energy[i : i + window, j : j + window].sum())
    return best / energy.sum() if energy.sum() else 0.0


def test_locality_is_the_loop() -> None:
    given = rows(6, 784)
    given[1] = 0
    given[2] = 0.5
    given[3], given[3, 27 * 28 + 27] = 0, -2.0  # one pixel, in the last corner
    given[4].reshape(28, 28)[10:, :] *= 0.01
    found = geometry.locality(given)
    assert found == pytest.approx([slow_locality(row, 28, 10) for row in given])
    assert found[1] == 0 and found[2] == pytest.approx(100 / 784) and found[3] == 1
    assert geometry.locality(given / 1000) == pytest.approx(found), "whatever its energy is"
    for window in (1, 3, 5):
        given = rows(4, 25)
        expected = [slow_locality(row, 5, window) for row in given]
        assert geometry.locality(given, window) == pytest.approx(expected)
    with pytest.raises(ValueError, match="no square pictures that hold a window of 10×10"):
        geometry.locality(rows(4, 49))
    with pytest.raises(ValueError, match="rows of 780 are no square"):
        geometry.locality(rows(4, 780))
