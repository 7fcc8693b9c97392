"""Figures, changes, rankings."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from modules.reporting.model import CategoryRow, Estimate, Figure, ObjectiveReport, main_figures

SHARES = st.floats(0.0, 1.0)


def test_figures_come_in_their_order_with_their_intervals() -> None:
    values = {
        "macro_f1": 0.5, "accuracy": 0.7, "accuracy/lower": 0.6, "accuracy/upper": 0.8, "top_5_accuracy": 0.9,
        "top_5_accuracy/lower": 0.8, "example_count": 3.0, "calibration_error": 0.1,
    }  # fmt: skip
    found = main_figures(values, {"macro_f1": 0.4})
    assert [figure.title for figure in found] == ["accuracy", "top-5 accuracy", "macro F1", "calibration error"]
    assert found[0].now == Estimate(0.7, 0.6, 0.8) and found[0].before is None
    assert found[2].difference is not None and abs(found[2].difference - 0.1) < 1e-12


def test_newcombes_interval_by_hand() -> None:
    # Newcombe 1998, table II (a): 56/70 and 48/80; Wilson's intervals; the difference 0.2 is certain.
    now, before = Estimate(0.8, 0.6921, 0.8769), Estimate(0.6, 0.4904, 0.7004)
    assert Figure("accuracy", now, before).certain is True
    # Method 10's lower limit is 0.0524: pushed together by 0.06 the difference is not certain any more.
    nearer = Estimate(0.74, 0.6321, 0.8169)
    assert Figure("accuracy", nearer, before).certain is False


@given(SHARES, SHARES, st.floats(0, 0.3), st.floats(0, 0.3))
def test_a_change_is_as_certain_backwards_as_forwards(a: float, b: float, x: float, y: float) -> None:
    one, other = Estimate(a, a - x, a + x), Estimate(b, b - y, b + y)
    assert Figure("accuracy", one, other).certain == Figure("accuracy", other, one).certain


def test_without_an_interval_certainty_is_unknown() -> None:
    assert Figure("auc", Estimate(0.9), Estimate(0.1)).certain is None
    assert Figure("auc", Estimate(0.9)).difference is None


def test_a_lower_calibration_error_is_better() -> None:
    assert Figure("calibration_error", Estimate(0.1), Estimate(0.2)).better
    assert not Figure("accuracy", Estimate(0.1), Estimate(0.2)).better


@given(st.lists(st.tuples(st.one_of(st.none(), SHARES), st.integers(0, 9)), max_size=30))
def test_the_best_come_first_and_more_products_weigh_more(rows: list[tuple[float | None, int]]) -> None:
    made = [
        CategoryRow(str(i), str(i), None if f1 is None else Estimate(f1), examples=n) for i, (f1, n) in enumerate(rows)
    ]
    ranked = ObjectiveReport("exclusive", "exclusive", categories=made).ranked()
    assert {row.id for row in ranked} == {row.id for row in made if row.f1 is not None and row.examples > 0}
    values = [(row.f1.value, row.examples) for row in ranked if row.f1]
    assert [f1 for f1, _ in values] == sorted((f1 for f1, _ in values), reverse=True)
    for (f1, n), (next_f1, next_n) in itertools.pairwise(values):
        if f1 == next_f1:
            assert n >= next_n if f1 >= 0.5 else n <= next_n
