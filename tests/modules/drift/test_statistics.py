"""Distances and p-values against SciPy's, and properties of both."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from modules.drift.comparing import distances, histogram_test, share_tests

COUNTS = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=2, max_size=8).filter(
    lambda pairs: all(sum(side) for side in zip(*pairs, strict=True))
)


@given(COUNTS)
def test_the_distance_is_scipys_and_symmetric(pairs: list[tuple[int, int]]) -> None:
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    expected = jensenshannon(first, second, base=2)
    assert float(distances(first, second)) == pytest.approx(float(np.nan_to_num(expected)) ** 2, abs=1e-7)
    assert float(distances(first, second)) == pytest.approx(float(distances(second, first)), abs=1e-12)
    assert float(distances(first, first)) == pytest.approx(0.0, abs=1e-12)


@given(COUNTS)
def test_a_test_takes_off_what_chance_adds(pairs: list[tuple[int, int]]) -> None:
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    distance, p_value = histogram_test(first, second)
    assert 0 <= distance <= math.sqrt(float(distances(first, second))) + 1e-9 and 0 <= p_value <= 1
    assert histogram_test(first, first)[0] == 0.0


def test_p_values_of_histograms_are_even_where_nothing_changed() -> None:
    random = np.random.default_rng(0)
    shares = random.dirichlet(np.ones(12))
    values = [histogram_test(random.multinomial(3000, shares), random.multinomial(300, shares))[1] for _ in range(300)]
    assert stats.kstest(values, "uniform").pvalue > 0.001
    assert min(values) > 1e-4


@given(st.integers(1, 400), st.integers(1, 400), st.data())
def test_p_values_of_shares_are_no_smaller_than_fishers(of_first: int, of_second: int, data: st.DataObject) -> None:
    first, second = data.draw(st.integers(0, of_first)), data.draw(st.integers(0, of_second))
    p_value = float(share_tests(np.array([first]), np.array([second]), of_first, of_second)[0])
    total, pooled = of_first + of_second, first + second
    exact = stats.hypergeom(total, pooled, of_second)
    doubled = min(1.0, 2 * min(exact.cdf(second), exact.sf(second - 1)))
    assert 0 <= p_value <= 1
    if doubled < 0.01:
        assert p_value >= doubled * (1 - 1e-6)


def test_a_lost_column_of_fifty_products_is_sure() -> None:
    assert share_tests(np.array([990]), np.array([0]), 1000, 50)[0] < 1e-12
    assert share_tests(np.array([990]), np.array([49]), 1000, 50)[0] > 0.05
