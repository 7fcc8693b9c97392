"""Thresholds of accepted predictions: the bound, the search, the pools, and the guarantee on simulated catalogues."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from modules.metrics.acceptance import WHOLE, fit_threshold, lower_bound, needed, pools_of, steps_of

LINEAGES = [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("b", "b2"), ("b",), ("c",)]


@given(st.integers(1, 3000), st.floats(0.0, 1.0), st.sampled_from([0.05, 0.01, 0.00625]))
def test_the_bound_is_clopper_and_pearsons(n: int, share: float, level: float) -> None:
    right = int(share * n)
    exact = stats.binomtest(right, n, alternative="greater").proportion_ci(1.0 - level, method="exact")
    assert float(lower_bound(right, n, level)) == pytest.approx(exact.low, abs=1e-12)


@pytest.mark.parametrize("precision", [0.5, 0.8, 0.9, 0.98, 0.995])
def test_so_many_right_products_are_needed_and_one_fewer_do_not_show_it(precision: float) -> None:
    n = needed(precision, 0.95)

    def shown(number: int) -> bool:
        fit = fit_threshold(np.full(number, 0.9, np.float32), np.ones(number, bool), np.ones(number), precision, 0.95)
        return fit.threshold is not None

    assert shown(n) and not shown(n - 1)


def searched(probability: np.ndarray, right: np.ndarray, precision: float, confidence: float) -> int:
    """How many products are accepted, by loops and scipy's own interval."""
    order = sorted(range(len(right)), key=lambda i: -probability[i])
    n, best = len(right), 0
    steps = steps_of(n)
    ends = [i for i in range(n) if i + 1 == n or probability[order[i + 1]] != probability[order[i]]]

    def passes(end: int) -> bool:
        hits = sum(bool(right[i]) for i in order[: end + 1])
        test = stats.binomtest(hits, end + 1, alternative="greater")
        return test.proportion_ci(1.0 - (1.0 - confidence) / steps, method="exact").low >= precision

    for start in range(1, steps + 1):
        for end in ends:
            if end + 1 >= int(np.ceil(start * n / steps)):
                if not passes(end):
                    break
                best = max(best, end + 1)
    return best


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 120), st.integers(0, 2**32 - 1), st.floats(0.5, 0.95), st.sampled_from([8, 1000]))
def test_the_search_is_that_of_plain_loops(n: int, seed: int, precision: float, values: int) -> None:
    rng = np.random.default_rng(seed)
    probability = (rng.integers(1, values + 1, n) / values).astype(np.float32)
    right = rng.random(n) < probability**0.3
    fit = fit_threshold(probability, right, np.full(n, 3.7), precision, 0.9)
    expected = searched(probability, right, precision, 0.9)
    assert fit.accepted == expected and fit.audited == n
    assert (fit.threshold is None) == (expected == 0)
    if fit.threshold is not None:
        assert int((probability >= fit.threshold).sum()) == expected and fit.lower >= precision


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 400), st.integers(0, 2**32 - 1), st.floats(0.5, 0.99), st.floats(0.5, 0.99), st.booleans())
def test_a_higher_precision_accepts_a_subset(n: int, seed: int, one: float, other: float, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    probability = rng.random(n).astype(np.float32)
    right = rng.random(n) < probability**0.1
    weight = rng.uniform(1.0, 5.0, n) if weighted else np.ones(n)
    low, high = (fit_threshold(probability, right, weight, p, 0.95) for p in sorted((one, other)))
    assert high.threshold is None or (low.threshold is not None and low.threshold <= high.threshold)


def test_unequal_weights_count_as_their_effective_number() -> None:
    """Half of 400 products weigh nine times as much: they are worth 244, by (sum w)^2 / sum w^2."""
    weight = np.array([1.0, 9.0] * 200)
    fit = fit_threshold(np.full(400, 0.9, np.float32), np.ones(400, bool), weight, 0.9, 0.95)
    assert fit.lower == pytest.approx((0.05 / steps_of(400)) ** (1.0 / (2000.0**2 / 16400.0)))
    light = fit_threshold(np.full(400, 0.9, np.float32), weight < 5.0, weight, 0.05, 0.95)
    heavy = fit_threshold(np.full(400, 0.9, np.float32), weight > 5.0, weight, 0.05, 0.95)
    # The same number is wrong, but a tenth of the catalogue is right in the one, and nine tenths in the other.
    assert 0.05 <= light.lower < 0.1 and 0.8 < heavy.lower < 0.9


def test_categories_with_few_audited_products_share_with_their_siblings_up_to_the_whole() -> None:
    audited = np.array([100, 30, 25, 10, 5, 3, 7])
    pools = {pool.node: pool.classes for pool in pools_of(audited, LINEAGES, 50)}
    # a1 has enough; a2 and a3 have it together, without a1, which would hide what they are; b and c have it nowhere.
    assert pools == {"a1": (0,), "a": (1, 2), WHOLE: (3, 4, 5, 6)}
    assert [pool.node for pool in pools_of(audited, LINEAGES, 10**6)] == [WHOLE]
    assert {pool.node for pool in pools_of(audited, LINEAGES, 1)} == {"a1", "a2", "a3", "b1", "b2", "b", "c"}


@given(st.lists(st.integers(0, 200), min_size=7, max_size=7), st.integers(1, 300))
def test_each_category_is_in_one_pool_that_lies_above_it(counts: list[int], least: int) -> None:
    audited = np.array(counts)
    pools = pools_of(audited, LINEAGES, least)
    assert sorted(index for pool in pools for index in pool.classes) == list(range(7))
    for pool in pools:
        assert pool.node == WHOLE or audited[list(pool.classes)].sum() >= least
        assert pool.node == WHOLE or all(pool.node in LINEAGES[index] for index in pool.classes)


@pytest.mark.parametrize(("n", "precision"), [(250, 0.9), (800, 0.95), (1500, 0.98)])
def test_of_500_catalogues_no_more_break_the_precision_than_the_confidence_lets(n: int, precision: float) -> None:
    """The truth is known: a prediction of probability p is right with probability q(p), the same in every catalogue."""
    rng = np.random.default_rng(n)
    grid = (np.arange(200_000) + 0.5) / 200_000
    truth = 1.0 / (1.0 + np.exp(-(9.0 * grid - 2.0)))
    # What a threshold accepts is right so often: the mean of q above it.
    above = np.cumsum(truth[::-1])[::-1] / np.arange(len(grid), 0, -1)
    broken = accepting = 0
    for _ in range(500):
        probability = rng.random(n).astype(np.float32)
        right = rng.random(n) < 1.0 / (1.0 + np.exp(-(9.0 * probability - 2.0)))
        fit = fit_threshold(probability, right, np.ones(n), precision, 0.95)
        if fit.threshold is not None:
            accepting += 1
            broken += above[min(int(fit.threshold * len(grid)), len(grid) - 1)] < precision
    # The 99.9th percentile of 500 draws at 5%.
    assert broken <= stats.binom.ppf(0.999, 500, 0.05)
    assert accepting > 250


def test_without_audited_products_nothing_is_accepted() -> None:
    empty = np.zeros(0)
    fit = fit_threshold(empty.astype(np.float32), empty.astype(bool), empty, 0.9, 0.95)
    assert fit.threshold is None and fit.audited == 0 and np.isnan(fit.lower)


def test_where_everything_is_right_everything_is_accepted_whatever_its_probability() -> None:
    probability = np.linspace(0.3, 0.9, 600, dtype=np.float32)
    assert fit_threshold(probability, np.ones(600, bool), np.ones(600), 0.98, 0.95).threshold == 0.0


def test_the_first_product_that_is_left_out_lies_just_below_the_threshold() -> None:
    probability = np.concatenate([np.full(300, 0.8), np.full(300, 0.5)]).astype(np.float32)
    fit = fit_threshold(probability, probability > 0.6, np.ones(600), 0.9, 0.95)
    assert fit.accepted == 300 and fit.threshold == float(np.nextafter(np.float32(0.5), np.float32(1.0)))
