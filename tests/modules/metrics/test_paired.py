"""Differences seed by seed, beside SciPy and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from modules.metrics.paired import Difference, holm, mean_height

FIGURES = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)


@given(st.dictionaries(st.integers(0, 99), st.tuples(FIGURES, FIGURES), min_size=3, max_size=8), st.randoms())
def test_is_the_paired_t_test_of_scipy(pairs, random):
    order = list(pairs)
    random.shuffle(order)
    # The order in which the seeds are listed is none of the test's business.
    own, others = {seed: pairs[seed][0] for seed in pairs}, {seed: pairs[seed][1] for seed in order}
    difference = Difference.of(own, {**others, 100: 0.5})
    columns = np.array([pairs[seed] for seed in pairs])
    apart = columns[:, 0] - columns[:, 1]
    assert difference.mean == pytest.approx(apart.mean(), abs=1e-12)
    assert (difference.seeds, difference.ahead) == (len(pairs), (apart > 0).sum())
    if apart.std() > 1e-9:
        test = stats.ttest_rel(columns[:, 0], columns[:, 1])
        interval = test.confidence_interval(0.95)
        assert difference.p == pytest.approx(test.pvalue, rel=1e-6, abs=1e-12)
        assert difference.half == pytest.approx((interval.high - interval.low) / 2, rel=1e-6)


def test_seeds_that_only_one_has_are_left_out():
    assert Difference.of({1: 0.5, 2: 0.7}, {3: 0.1}) is None
    alone = Difference.of({1: 0.5, 2: 0.7}, {2: 0.6, 3: 0.1})
    assert (alone.mean, alone.seeds, alone.half, alone.p) == (pytest.approx(0.1), 1, None, None)


def test_equal_ones_do_not_differ():
    same = Difference.of(dict.fromkeys(range(4), 0.5), dict.fromkeys(range(4), 0.5))
    assert (same.mean, same.half, same.p, same.ahead) == (0.0, 0.0, 1.0, 0)
    rounded = Difference.of(dict.fromkeys(range(4), 0.1 + 0.2), dict.fromkeys(range(4), 0.3))
    assert rounded == same


def test_holm_by_hand():
    # Times 4, 3, 2, 1 from the smallest on; none below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_keeps_the_order_and_makes_no_test_surer(chances):
    adjusted = holm(chances)
    assert all(own <= new <= 1 for own, new in zip(chances, adjusted, strict=True))
    assert [adjusted[i] for i in np.argsort(chances, kind="stable")] == sorted(adjusted)


def test_mean_height_is_the_area_by_its_width():
    labels, values = [0, 50, 100], [0.2, 0.6, 0.8]
    assert mean_height(labels, values, 0, 100) == pytest.approx((0.4 * 50 + 0.7 * 50) / 100)
    assert mean_height(labels, values, 25, 75) == pytest.approx((0.5 * 25 + 0.65 * 25) / 50)
    assert mean_height(labels, values, 50, 50) == pytest.approx(0.6)
