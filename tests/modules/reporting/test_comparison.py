"""What an experiment says of its arms."""

import numpy as np
import pytest

from modules.metrics.paired import holm
from modules.reporting.comparison import compare, markdown
from modules.reporting.learning_curves import Curve, LearningCurves, render_learning_curves


def curves(arm, shift, seeds=range(1, 6), labels=(50, 100, 150)):
    """Accuracies that differ between seeds by much more than ``shift``, which differs between them by little."""
    rows = []
    for seed in seeds:
        height = 0.3 + 0.1 * np.sin(seed) + shift + 0.001 * np.cos(3 * seed) * bool(shift)
        values = [float(height + 0.1 * i) for i in range(len(labels))]
        rows.append(Curve(arm, seed, labels, {"accuracy": values, "macro_f1": values}))
    return rows


def test_what_seeds_have_in_common_hides_no_gain():
    rows = compare([*curves("random", 0.0), *curves("better", 0.02), *curves("worse", -0.02)], "random")
    better, worse = rows
    assert better.area.mean == pytest.approx(0.02, abs=1e-3) == better.accuracy.mean
    assert better.p < 0.05 and "better: better than random (+0.02" in better.verdict
    assert worse.p < 0.05 and "worse: worse than random (-0.0" in worse.verdict
    assert "ahead in 5 of 5 seeds" in better.verdict and "ahead in 0 of 5 seeds" in worse.verdict
    # Corrected for two arms.
    assert [row.p for row in rows] == holm([row.area.p for row in rows]) and better.p > better.area.p


def test_the_same_is_neither_better_nor_worse():
    (row,) = compare([*curves("random", 0.0), *curves("same", 0.0)], "random")
    assert row.p == 1.0 and "neither better nor worse than random" in row.verdict


def test_two_seeds_tell_nothing():
    (row,) = compare([*curves("random", 0.0, (1, 2)), *curves("other", 0.1, (1, 2))], "random")
    assert row.p is None and "too few to tell it from chance" in row.verdict
    assert "±" not in markdown([row])


def test_a_curve_that_ended_early_is_compared_as_far_as_it_goes():
    (row,) = compare([*curves("random", 0.0), *curves("short", 0.02, labels=(0, 50, 100))], "random")
    # From 50 labels on "short" has the height that "random" has a round earlier.
    assert row.area.mean == pytest.approx(0.12, abs=2e-3) == row.accuracy.mean


def test_the_page_shows_it_and_no_baseline_shows_none():
    rows = [*curves("<b>", 0.0), *curves("other", 0.02)]
    page = render_learning_curves(LearningCurves("x", rows, baseline="<b>"))
    (row,) = compare(rows, "<b>")
    assert 'id="compared"' in page and "Beside &lt;b&gt;" in page and "other: better than &lt;b&gt;" in page
    assert f"| other | <b> | {row.area.mean:+.3f} ± {row.area.half:.3f} |" in markdown([row])
    assert 'id="compared"' not in render_learning_curves(LearningCurves("x", rows))
