"""Calibration, temperature, thresholds, and the checks of single categories."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from modules.metrics import (
    CategoryChecks,
    check_categories,
    check_change,
    expected_calibration_error,
    fit_temperature,
    fit_thresholds,
    log_loss,
)
from modules.metrics.checks import REST, pooled_f1
from modules.metrics.thresholds import best_threshold


def test_calibration_error_by_hand() -> None:
    # Bins of 1/15: 0.9 and 0.92 share (13/15, 14/15], 0.5 is alone.
    confidence, right = [0.9, 0.92, 0.5], [True, False, True]
    expected = (2 * abs(0.5 - 0.91) + 1 * abs(1.0 - 0.5)) / 3
    assert expected_calibration_error(confidence, right) == pytest.approx(expected)
    weighted = (4 * abs(3 / 4 - (3 * 0.9 + 0.92) / 4) + 2 * 0.5) / 6
    assert expected_calibration_error(confidence, right, [3, 1, 2]) == pytest.approx(weighted)
    assert expected_calibration_error([1.0, 0.0], [True, False]) == 0.0
    assert np.isnan(expected_calibration_error([], []))


@pytest.mark.parametrize("true_temperature", [0.4, 1.0, 3.0])
def test_temperature_minimises_the_loss(true_temperature: float) -> None:
    rng = np.random.default_rng(2)
    clean = rng.standard_normal((800, 6)) * 2
    p = np.exp(clean) / np.exp(clean).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(6, p=row) for row in p])
    logits, weights = clean * true_temperature, rng.uniform(0.2, 3, 800)
    found = fit_temperature(logits, labels, weights)
    # The same, of doubled rows: the label, and with the rest of its weight the likeliest other class.
    others = np.where(np.arange(6) == labels[:, None], -np.inf, logits).argmax(axis=1)
    both, share = np.concatenate([labels, others]), 801 / 802
    shares = np.concatenate([share * weights, (1 - share) * weights])
    oracle = minimize_scalar(
        lambda t: log_loss(np.tile(logits / t, (2, 1)), both, shares), bounds=(0.05, 20), method="bounded",
        options={"xatol": 1e-9},
    ).x  # fmt: skip
    assert found == pytest.approx(oracle, rel=1e-4)
    assert found == pytest.approx(true_temperature, rel=0.15)
    masked = np.concatenate([labels, np.full(50, -1)])
    more = np.concatenate([logits, rng.standard_normal((50, 6)) * 50])
    assert fit_temperature(more, masked, np.append(weights, np.ones(50))) == pytest.approx(found, rel=1e-9)


@pytest.mark.parametrize("count", [1, 10, 300])
def test_products_that_are_all_predicted_right_leave_a_doubt(count: int) -> None:
    logits = np.repeat([[7.0, 0.0]], count, axis=0)
    wrong = 1 / (1 + np.exp(7.0 / fit_temperature(logits, [0] * count)))
    assert wrong == pytest.approx(1 / (count + 2))
    # Of one class alone there is no doubt to spread.
    assert fit_temperature(np.zeros((count, 1)), [0] * count) > 0


def test_temperature_stays_within_its_bounds() -> None:
    right = np.eye(3) * 5
    assert fit_temperature(right * 0.01, [0, 1, 2]) == pytest.approx(0.05)
    assert fit_temperature(right, [1, 2, 0]) == pytest.approx(20.0)
    assert fit_temperature(right, [-1, -1, -1]) == 1.0
    with pytest.raises(ValueError, match="belong together"):
        fit_temperature(right, [0, 1])


def test_loss_by_hand() -> None:
    assert log_loss([[0.0, 0.0], [np.log(3.0), 0.0]], [0, 0]) == pytest.approx((np.log(2) + np.log(4 / 3)) / 2)
    assert np.isnan(log_loss([[0.0, 0.0]], [-1]))


def _f1(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray, threshold: float) -> float:
    predicted = scores >= threshold
    tp = weights[predicted & labels].sum()
    return 2 * tp / (weights[predicted].sum() + weights[labels].sum())


@settings(max_examples=80, deadline=None)
@given(n=st.integers(2, 40), levels=st.integers(2, 30), seed=st.integers(0, 10**6))
def test_no_threshold_is_better(n: int, levels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = (rng.integers(0, levels + 1, n) / levels).astype(np.float32)
    labels, weights = rng.random(n) < 0.4, rng.uniform(0.1, 3, n)
    found = best_threshold(scores, labels, weights)
    if not labels.any() or labels.all():
        assert found == 0.5
        return
    best = max(_f1(scores, labels, weights, t) for t in scores)
    assert _f1(scores, labels, weights, found) == pytest.approx(best)
    assert 0.0 <= found <= 1.0


def test_classes_with_few_labels_share_a_threshold() -> None:
    rng = np.random.default_rng(3)
    labels = rng.random((400, 4)) < [0.3, 0.3, 0.01, 0.01]
    scores = np.clip(rng.normal([0.2, 0.5, 0.1, 0.1], 0.1, (400, 4)) + labels * [0.3, 0.3, 0.5, 0.5], 0, 1)
    found = fit_thresholds(scores, labels, minimum=20)
    assert found[2] == found[3]
    assert len({found[0], found[1], found[2]}) == 3
    pooled = best_threshold(scores[:, 2:].ravel(), labels[:, 2:].ravel(), np.ones(800))
    assert found[2] == pytest.approx(pooled)
    for c in (0, 1):
        assert found[c] == pytest.approx(best_threshold(scores[:, c], labels[:, c], np.ones(400)))


def test_masked_products_and_pairs_do_not_count() -> None:
    rng = np.random.default_rng(4)
    labels, scores = rng.random((200, 3)) < 0.4, rng.random((200, 3))
    kept = rng.random(200) < 0.5
    np.testing.assert_array_equal(
        fit_thresholds(scores, labels, kept, 5), fit_thresholds(scores[kept], labels[kept], None, 5)
    )
    pairs = rng.random((200, 3)) < 0.5
    found = fit_thresholds(scores, labels, pairs, 5)
    rows = pairs[:, 1]
    assert found[1] == pytest.approx(best_threshold(scores[rows, 1], labels[rows, 1], np.ones(rows.sum())))
    assert fit_thresholds(scores, np.zeros((200, 3), bool), None, 5).tolist() == [0.5] * 3
    with pytest.raises(ValueError, match="do not belong"):
        fit_thresholds(scores, labels[:, :2])


def test_categories_with_few_labels_are_judged_together() -> None:
    tp, predicted, support = np.array([9.0, 1.0, 0.0, 5.0]), np.array([10.0, 2.0, 1.0, 0.0]), np.array([10.0, 2, 3, 0])
    examples = np.array([30.0, 2.0, 3.0, 0.0])
    assert pooled_f1(tp, predicted, support, examples, 20) == pytest.approx(2 * 1 / (2 + 1 + 2 + 3))
    assert np.isnan(pooled_f1(tp, predicted, support, examples, 1))
    f1 = np.array([0.9, 0.5, 0.0, np.nan])
    checks = CategoryChecks(f1={0: 0.95, 1: 0.99}, rest_f1=0.5, minimum=20)
    failed = check_categories(checks, f1, examples, 0.25)
    assert [(f.category, f.bound) for f in failed] == [(REST, 0.5), (0, 0.95)]
    assert not check_categories(CategoryChecks(f1={0: 0.9}, rest_f1=0.2), f1, examples, 0.25)
    assert [f.category for f in check_categories(CategoryChecks(every_f1=0.91), f1, examples, 0.25)] == [0]
    assert not CategoryChecks() and CategoryChecks(max_drop=0.1)


def test_a_drop_below_the_model_before_is_found() -> None:
    checks = CategoryChecks(max_drop=0.1, minimum=10)
    f1, before, examples = np.array([0.5, 0.75, 0.2]), np.array([0.65, 0.8, 0.9]), np.array([50.0, 50.0, 3.0])
    assert [f.category for f in check_change(checks, f1, 0.5, before, 0.55, examples)] == [0]
    assert [f.category for f in check_change(checks, f1, 0.3, before, 0.55, examples)] == [REST, 0]
    assert not check_change(CategoryChecks(every_f1=1.0), f1, 0.0, before, 1.0, examples)
