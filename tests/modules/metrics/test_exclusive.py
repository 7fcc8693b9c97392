"""Exclusive metrics against scikit-learn, a brute-force hierarchy, and numeric derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from modules.metrics import ExclusiveCounts, ExclusiveFacts, Hierarchy, exclusive_metrics


def _data(n: int, n_classes: int, seed: int, ties: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n)
    scores = rng.random((n, n_classes)).astype(np.float32)
    scores[np.arange(n), labels] += rng.normal(0.2, 0.4, n).astype(np.float32)
    scores = np.clip(scores, 0, 1)
    if ties:
        scores = np.round(scores * 3).astype(np.float32) / 3
    return labels, scores, rng.choice([0.5, 1.0, 3.0, 10.0], n)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 60), n_classes=st.integers(2, 9), seed=st.integers(0, 10**6), ties=st.booleans(),
    weighted=st.booleans(),
)  # fmt: skip
def test_figures_are_those_of_scikit_learn(n: int, n_classes: int, seed: int, ties: bool, weighted: bool) -> None:
    labels, scores, weights = _data(n, n_classes, seed, ties)
    w = weights if weighted else None
    report = exclusive_metrics(labels, scores, w, top_k=2)
    predicted = scores.argmax(axis=1)
    assert report.accuracy.value == pytest.approx(oracle.accuracy_score(labels, predicted, sample_weight=w), abs=1e-9)
    for average, value in (("macro", report.macro_f1.value), ("weighted", report.weighted_f1.value)):
        expected = oracle.f1_score(labels, predicted, sample_weight=w, average=average, zero_division=0)
        assert value == pytest.approx(expected, abs=1e-9)
    precision, recall, f1, support = oracle.precision_recall_fscore_support(
        labels, predicted, labels=range(n_classes), sample_weight=w, zero_division=np.nan
    )
    np.testing.assert_allclose(report.classes.precision, precision, atol=1e-9)
    np.testing.assert_allclose(report.classes.recall, recall, atol=1e-9)
    np.testing.assert_allclose(report.classes.f1, f1, atol=1e-9)
    np.testing.assert_allclose(report.classes.support, support, atol=1e-9)
    np.testing.assert_array_equal(report.classes.examples, np.bincount(labels, minlength=n_classes))
    for c in range(n_classes):
        if 0 < (labels == c).sum() < n:
            expected = oracle.roc_auc_score(labels == c, scores[:, c], sample_weight=w)
            assert report.classes.auc[c] == pytest.approx(expected, abs=1e-9)
        else:
            assert np.isnan(report.classes.auc[c])


def test_top_k_is_that_of_scikit_learn_and_ties_go_to_earlier_classes() -> None:
    labels, scores, weights = _data(500, 8, 3)
    report = exclusive_metrics(labels, scores, weights, top_k=3)
    expected = oracle.top_k_accuracy_score(labels, scores, k=3, labels=range(8), sample_weight=weights)
    # Clipped scores tie at 0 and 1, which scikit-learn resolves the other way round: compare without ties.
    distinct = scores + np.linspace(0, 1e-4, 8, dtype=np.float32)
    untied = exclusive_metrics(labels, distinct, weights, top_k=3).top_k.value
    assert untied == pytest.approx(
        oracle.top_k_accuracy_score(labels, distinct, k=3, labels=range(8), sample_weight=weights), abs=1e-9
    )
    assert abs(report.top_k.value - expected) < 0.05
    level = np.full((3, 4), 0.25, np.float32)
    facts, _ = ExclusiveFacts.of([0, 1, 2], level, top_k=2)
    assert facts.hit.tolist() == [True, True, False]
    assert facts.predicted.tolist() == [0, 0, 0]


def test_unlabelled_products_and_products_without_weight_add_nothing() -> None:
    labels, scores, weights = _data(300, 5, 1)
    out = np.random.default_rng(0).random(300) < 0.4
    zeros = np.where(out, 0.0, weights)
    for masked, w in ((np.where(out, -1, labels), weights), (labels, zeros)):
        whole, kept = (
            exclusive_metrics(masked, scores, w), exclusive_metrics(labels[~out], scores[~out], weights[~out])
        )  # fmt: skip
        assert whole.examples == kept.examples == (~out).sum()
        assert whole.accuracy == kept.accuracy
        np.testing.assert_array_equal(whole.classes.auc, kept.classes.auc)


def test_without_labels_nothing_is_defined() -> None:
    report = exclusive_metrics([-1, -1], np.full((2, 3), 1 / 3), None)
    assert report.examples == 0
    values = [report.accuracy.value, report.accuracy.lower, report.top_k.value, report.macro_f1.value]
    values += [report.weighted_f1.upper, report.hierarchical_f1.value, report.calibration_error]
    assert np.isnan(values).all()
    assert np.isnan(report.classes.f1).all() and np.isnan(report.classes.auc).all()
    assert exclusive_metrics(np.zeros(0, int), np.zeros((0, 3))).examples == 0


@pytest.mark.parametrize(
    ("labels", "scores", "weights", "message"),
    [
        ([3], [[0.2, 0.8]], None, "label 3 is no class"),
        ([0, 1], [[0.2, 0.8]], None, "do not belong"),
        ([0], [[0.2, 0.8]], [-1.0], "not negative"),
        ([0], [[0.2, 0.8]], [np.nan], "finite"),
        ([0], [[0.2, 0.8]], [1.0, 1.0], "weights of shape"),
        ([0], [[0.2, np.nan]], None, "NaN"),
    ],
)
def test_bad_input_is_refused(labels: list, scores: list, weights: list | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        exclusive_metrics(np.array(labels), np.array(scores), weights)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(0, 50), cuts=st.lists(st.integers(0, 50), max_size=4), seed=st.integers(0, 10**6))
def test_merged_parts_are_the_whole(n: int, cuts: list[int], seed: int) -> None:
    labels, scores, weights = _data(n, 6, seed)
    whole, parts = ExclusiveCounts(6), ExclusiveCounts(6)
    whole.update(ExclusiveFacts.of(labels, scores, weights)[0])
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), n], strict=True):
        part = ExclusiveCounts(6)
        part.update(ExclusiveFacts.of(labels[start:end], scores[start:end], weights[start:end])[0])
        parts.merge(part)
    a, b = whole.report(), parts.report()
    np.testing.assert_allclose(a.classes.f1_lower, b.classes.f1_lower, atol=1e-12)
    assert a.examples == b.examples
    for name in ("accuracy", "top_k", "macro_f1", "weighted_f1", "hierarchical_f1"):
        one, other = getattr(a, name), getattr(b, name)
        for end in ("value", "lower", "upper"):
            assert getattr(one, end) == pytest.approx(getattr(other, end), abs=1e-12, nan_ok=True)
    assert a.calibration_error == pytest.approx(b.calibration_error, abs=1e-12, nan_ok=True)


def test_counts_of_other_classes_cannot_be_merged() -> None:
    with pytest.raises(ValueError, match="4 classes"):
        ExclusiveCounts(3).merge(ExclusiveCounts(4))


BRANCHES = [("a",), ("a", "a/b"), ("a", "a/c"), ("d", "d/e", "d/e/f"), ("d",)]


def test_hierarchical_f1_is_the_one_of_sets_of_ancestors() -> None:
    labels, scores, weights = _data(200, 5, 5)
    report = exclusive_metrics(labels, scores, weights, branches=BRANCHES)
    shared = true = predicted = 0.0
    for label, guess, w in zip(labels, scores.argmax(axis=1), weights, strict=True):
        shared += w * len(set(BRANCHES[label]) & set(BRANCHES[guess]))
        true, predicted = true + w * len(BRANCHES[label]), predicted + w * len(BRANCHES[guess])
    assert report.hierarchical_precision == pytest.approx(shared / predicted)
    assert report.hierarchical_recall == pytest.approx(shared / true)
    assert report.hierarchical_f1.value == pytest.approx(2 * shared / (true + predicted))
    assert report.hierarchical_f1.value > report.accuracy.value


def test_without_a_hierarchy_hierarchical_f1_is_accuracy() -> None:
    labels, scores, weights = _data(100, 4, 6)
    report = exclusive_metrics(labels, scores, weights)
    assert report.hierarchical_f1.value == pytest.approx(report.accuracy.value)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 60))
def test_accuracy_per_level_is_that_of_cut_paths(seed: int, n: int) -> None:
    labels, scores, weights = _data(n, len(BRANCHES), seed)
    figures = exclusive_metrics(labels, scores, weights, branches=BRANCHES).figures(5)
    for level in (1, 2, 3):
        cut = [branch[:level][-1] for branch in BRANCHES]
        true, guess = [cut[i] for i in labels], [cut[i] for i in scores.argmax(axis=1)]
        expected = oracle.accuracy_score(true, guess, sample_weight=weights)
        assert figures[f"level_{level}_accuracy"] == pytest.approx(expected)
        assert figures[f"level_{level}_accuracy/lower"] <= expected + 1e-9
    assert figures["level_3_accuracy"] == figures["accuracy"] <= figures["level_2_accuracy"]
    assert "level_4_accuracy" not in figures


def test_without_a_tree_there_are_no_levels() -> None:
    labels, scores, _ = _data(50, 4, 6)
    for branches in (None, [("a",), ("b",), ("c",), ("d",)]):
        assert not [n for n in exclusive_metrics(labels, scores, branches=branches).figures(5) if "level" in n]


def test_a_class_without_branch_is_refused() -> None:
    with pytest.raises(ValueError, match="itself"):
        Hierarchy([("a",), ()])


@pytest.mark.parametrize("name", ["macro_f1", "weighted_f1", "hierarchical_f1", "accuracy"])
def test_variances_are_linearised(name: str) -> None:
    """Oracle: the figure's numeric derivative by each product's weight."""
    labels, scores, weights = _data(120, 4, 8)
    branches = BRANCHES[:4]

    def value(w: np.ndarray) -> float:
        return getattr(exclusive_metrics(labels, scores, w, branches=branches), name).value

    slopes = np.zeros(len(labels))
    for i in range(len(labels)):
        step = np.zeros(len(labels))
        step[i] = 1e-5
        slopes[i] = (value(weights + step) - value(weights - step)) / 2e-5
    half = 1.959964 * np.sqrt(((weights * slopes) ** 2).sum())
    interval = getattr(exclusive_metrics(labels, scores, weights, branches=branches), name)
    # Accuracy's is Wilson's with the effective sample size: nearly as wide.
    tolerance = 0.05 if name == "accuracy" else 1e-4
    assert (interval.upper - interval.lower) / 2 == pytest.approx(half, rel=tolerance)
