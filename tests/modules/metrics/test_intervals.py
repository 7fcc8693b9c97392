"""Intervals: Wilson's own where nothing is weighted, coverage where it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.metrics import exclusive_metrics, proportion_interval, z_of
from modules.metrics.intervals import one_interval


def test_equal_weights_give_wilsons_interval() -> None:
    # 15 of 20; Newcombe 1998 (Table I's method 3) by hand: centre 0.7099, half-width 0.1778.
    for scale in (1.0, 7.5):
        found = one_interval(15 * scale, 20 * scale, 15 * scale**2, 20 * scale**2, 20, z_of(0.95))
        assert found.value == 0.75
        assert (found.lower, found.upper) == (pytest.approx(0.5313, abs=1e-4), pytest.approx(0.8881, abs=1e-4))


def test_no_mistake_is_not_taken_for_certainty() -> None:
    found = one_interval(20, 20, 20, 20, 20, z_of(0.95))
    assert found.value == found.upper == 1.0
    assert found.lower == pytest.approx(0.8389, abs=1e-4)


def test_an_empty_domain_has_no_share() -> None:
    assert np.isnan(one_interval(0, 0, 0, 0, 0, 1.96).value)
    assert not one_interval(0, 0, 0, 0, 0, 1.96).defined


@given(
    weights=st.lists(st.floats(0.01, 1000), min_size=1, max_size=30),
    hits=st.lists(st.booleans(), min_size=30, max_size=30),
    confidence=st.sampled_from([0.8, 0.95, 0.999]),
)
def test_the_value_lies_in_its_interval_and_the_interval_in_zero_to_one(
    weights: list[float], hits: list[bool], confidence: float
) -> None:
    w, x = np.array(weights), np.array(hits[: len(weights)])
    found = [
        float(part)
        for part in proportion_interval(w[x].sum(), w.sum(), (w[x] ** 2).sum(), (w**2).sum(), len(w), z_of(confidence))
    ]
    value, lower, upper = found
    assert 0.0 <= lower <= value <= upper <= 1.0
    assert lower < upper


def test_weighted_intervals_cover_the_truth() -> None:
    """Labels drawn with unequal inclusion probabilities from a population whose accuracy is known."""
    rng = np.random.default_rng(11)
    population = 4000
    right = rng.random(population) < np.where(np.arange(population) < 3000, 0.95, 0.6)
    inclusion = np.where(np.arange(population) < 3000, 0.02, 0.1)
    truth, covered, narrow = right.mean(), 0, 0
    for _ in range(600):
        drawn = rng.random(population) < inclusion
        scores = np.where(right[drawn, None], [0.9, 0.1], [0.1, 0.9])
        report = exclusive_metrics(np.zeros(drawn.sum(), int), scores, 1 / inclusion[drawn])
        covered += report.accuracy.lower <= truth <= report.accuracy.upper
        # The same without weights is about another population: it must miss, or the test shows nothing.
        plain = exclusive_metrics(np.zeros(drawn.sum(), int), scores).accuracy
        narrow += plain.lower <= truth <= plain.upper
    assert 0.93 <= covered / 600 <= 0.99
    assert narrow / 600 < 0.5


@pytest.mark.parametrize("confidence", [0.0, 1.0, -1.0, 95.0])
def test_a_confidence_lies_between_zero_and_one(confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        z_of(confidence)
