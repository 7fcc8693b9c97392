"""Multi-label metrics against scikit-learn and numeric derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from modules.metrics import MultiLabelCounts, MultiLabelFacts, multi_label_metrics


def _data(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.random((n, 6)) < [0.0, 0.05, 0.3, 0.5, 0.9, 0.2]
    scores = np.clip(rng.random((n, 6)) * 0.7 + labels * rng.random((n, 6)) * 0.6, 0, 1).astype(np.float32)
    scores[:, 0] = np.minimum(scores[:, 0], 0.4)  # a class that has neither labels nor predictions
    return labels, scores, rng.choice([0.5, 1.0, 4.0], n)


@settings(max_examples=50, deadline=None)
@given(n=st.integers(1, 60), seed=st.integers(0, 10**6), weighted=st.booleans())
def test_figures_are_those_of_scikit_learn(n: int, seed: int, weighted: bool) -> None:
    labels, scores, weights = _data(n, seed)
    w = weights if weighted else None
    report = multi_label_metrics(labels, scores, w)
    predicted = scores >= 0.5
    for average, value in (("micro", report.micro_f1.value), ("macro", report.macro_f1)):
        expected = oracle.f1_score(labels, predicted, average=average, sample_weight=w, zero_division=np.nan)
        assert value == pytest.approx(expected, abs=1e-9, nan_ok=True)
    precision, recall, f1, support = oracle.precision_recall_fscore_support(
        labels, predicted, sample_weight=w, zero_division=np.nan
    )
    np.testing.assert_allclose(report.classes.precision, precision, atol=1e-9)
    np.testing.assert_allclose(report.classes.recall, recall, atol=1e-9)
    np.testing.assert_allclose(report.classes.f1, f1, atol=1e-9)
    np.testing.assert_allclose(report.classes.support, support, atol=1e-9)
    for c in range(6):
        if 0 < labels[:, c].sum() < n:
            expected = oracle.roc_auc_score(labels[:, c], scores[:, c], sample_weight=w)
            assert report.classes.auc[c] == pytest.approx(expected, abs=1e-9)
        else:
            assert np.isnan(report.classes.auc[c])


def test_thresholds_per_class() -> None:
    labels, scores, _ = _data(200, 4)
    thresholds = np.array([0.1, 0.2, 0.3, 0.6, 0.9, 0.5])
    report = multi_label_metrics(labels, scores, threshold=thresholds)
    expected = oracle.f1_score(labels, scores >= thresholds, average="micro")
    assert report.micro_f1.value == pytest.approx(expected)


def test_micro_f1_has_a_linearised_variance_over_products() -> None:
    labels, scores, weights = _data(150, 9)
    slopes = np.zeros(150)
    for i in range(150):
        step = np.zeros(150)
        step[i] = 1e-5
        up, down = (multi_label_metrics(labels, scores, weights + sign * step).micro_f1.value for sign in (1, -1))
        slopes[i] = (up - down) / 2e-5
    half = 1.959964 * np.sqrt(((weights * slopes) ** 2).sum())
    interval = multi_label_metrics(labels, scores, weights).micro_f1
    assert (interval.upper - interval.lower) / 2 == pytest.approx(half, rel=1e-4)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 40), cut=st.integers(0, 40), seed=st.integers(0, 10**6))
def test_parts_and_slices_are_the_whole(n: int, cut: int, seed: int) -> None:
    labels, scores, weights = _data(n, seed)
    cut = min(cut, n)
    offsets = np.concatenate([[0], np.cumsum(labels.sum(axis=1))])
    facts, rows = MultiLabelFacts.of(offsets, np.nonzero(labels)[1], scores, weights)
    assert len(rows) == n
    order = np.random.default_rng(seed).permutation(n)
    merged = MultiLabelCounts(6)
    for part in (np.sort(order[:cut]), np.sort(order[cut:])):
        counts = MultiLabelCounts(6)
        counts.update(facts.take(part))
        merged.merge(counts)
    a, b = merged.report(), multi_label_metrics(labels, scores, weights)
    assert (a.examples, a.weight) == (b.examples, pytest.approx(b.weight))
    assert a.micro_f1.lower == pytest.approx(b.micro_f1.lower, abs=1e-9, nan_ok=True)
    np.testing.assert_allclose(a.classes.f1_upper, b.classes.f1_upper, atol=1e-9)


def test_products_without_weight_and_labels_below_zero_are_left_out() -> None:
    scores = np.array([[0.9, 0.1], [0.9, 0.9], [0.2, 0.8]], np.float32)
    facts, rows = MultiLabelFacts.of([0, 2, 3, 4], [0, -1, 1, 1], scores, [1.0, 0.0, 2.0])
    assert rows.tolist() == [0, 2]
    assert list(zip(facts.label_row, facts.label_class, strict=True)) == [(0, 0), (1, 1)]
    assert facts.right.all() and facts.weight.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("offsets", "classes", "scores", "message"),
    [
        ([0, 1], [7], [[0.5, 0.5]], "label 7 is no class"),
        ([0, 2], [1], [[0.5, 0.5]], "offsets"),
        ([0, 0], [], [[0.5, np.nan]], "NaN"),
    ],
)
def test_bad_input_is_refused(offsets: list, classes: list, scores: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MultiLabelFacts.of(offsets, classes, np.array(scores))


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 60), seed=st.integers(0, 10**6))
def test_pairs_whose_truth_is_not_known_are_left_out(n: int, seed: int) -> None:
    labels, scores, weights = _data(n, seed)
    known = labels | (np.random.default_rng(seed).random(labels.shape) < 0.4)
    report = multi_label_metrics(labels, scores, weights, known=known)
    tp = predicted = support = 0.0
    for c in range(6):
        rows = known[:, c]
        truth, said, w = labels[rows, c], scores[rows, c] >= 0.5, weights[rows]
        expected = float("nan")
        if truth.any() or said.any():
            expected = oracle.f1_score(truth, said, sample_weight=w, zero_division=0.0)
        assert report.classes.f1[c] == pytest.approx(expected, abs=1e-9, nan_ok=True)
        tp, predicted, support = tp + w[truth & said].sum(), predicted + w[said].sum(), support + w[truth].sum()
        area = float("nan")
        if 0 < truth.sum() < len(truth):
            area = oracle.roc_auc_score(truth, scores[rows, c], sample_weight=w)
        assert report.classes.auc[c] == pytest.approx(area, abs=1e-9, nan_ok=True)
    micro = 2.0 * tp / (predicted + support) if predicted + support else float("nan")
    assert report.micro_f1.value == pytest.approx(micro, abs=1e-9, nan_ok=True)
