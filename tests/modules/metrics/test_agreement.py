"""Agreement beside scikit-learn, published examples and a count of pairs by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import cohen_kappa_score

from modules.metrics.agreement import cohen_kappa, krippendorff_alpha, one_against_rest

answers = hnp.arrays(np.int64, st.tuples(st.integers(1, 12), st.integers(2, 4)), elements=st.integers(-1, 3))


@given(answers)
def test_cohen_is_scikit_learns(table: np.ndarray) -> None:
    a, b = table[:, 0], table[:, 1]
    both = (a >= 0) & (b >= 0)
    values = set(a[both]) | set(b[both])
    found = cohen_kappa(a, b)
    if len(values) < 2:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(cohen_kappa_score(a[both], b[both]), abs=1e-12)


def test_krippendorff_of_his_own_example() -> None:
    # Krippendorff (2011), example C: 4 observers, 12 units, answers missing; nominal alpha 0.743.
    text = ["1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3", ". 3 3 3 2 3 4 2 2 5 1 .", "1 2 3 3 2 4 4 1 2 5 1 ."]
    table = np.array([[-1 if cell == "." else int(cell) for cell in line.split()] for line in text]).T
    assert krippendorff_alpha(table) == pytest.approx(0.743, abs=5e-4)


@given(answers)
def test_krippendorff_counted_by_hand(table: np.ndarray) -> None:
    units = [[int(v) for v in row if v >= 0] for row in table]
    units = [unit for unit in units if len(unit) > 1]
    everything = [value for unit in units for value in unit]
    if len(set(everything)) < 2:
        assert np.isnan(krippendorff_alpha(table))
        return
    pairs = [(a != b) / (len(unit) - 1) for unit in units for a, b in itertools.permutations(unit, 2)]
    observed = sum(pairs) / len(everything)
    expected = np.mean([a != b for a, b in itertools.permutations(everything, 2)])
    assert krippendorff_alpha(table) == pytest.approx(1 - observed / expected, abs=1e-9)


def test_one_against_rest() -> None:
    assert one_against_rest(np.array([[0, 2, -1]]), 2).tolist() == [[0, 1, -1]]
