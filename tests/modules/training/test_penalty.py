"""C by cross-validation, against scikit-learn's own on the same folds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.svm import LinearSVC

from modules.objectives.exclusive import ExclusiveObjective
from modules.objectives.multi_label import MultiLabelObjective
from modules.training import penalty
from modules.training.penalty import DEFAULT, LinearHead, cross_validated_penalty

PENALTIES = (1.0, 0.1, 10.0)
HINGE = ExclusiveObjective(loss="squared_hinge")


def noisy(rows: int, noise: float, seed: int = 0) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Three classes, each with a column of its own, and columns of noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, rows)
    signal = np.eye(3)[labels] + rng.normal(0, noise, (rows, 3))
    return sparse.csr_matrix(np.hstack([signal, rng.normal(0, 1, (rows, 60))]), dtype=np.float32), labels


def hits_of(matrix: sparse.csr_matrix, labels: np.ndarray, c: float, seed: int) -> np.ndarray:
    """Which rows scikit-learn is right about on the same folds."""
    folds, right = penalty._folds(labels, seed), np.zeros(len(labels), bool)
    for fold in range(penalty.FOLDS):
        out = folds == fold
        model = LinearSVC(C=c, random_state=seed).fit(matrix[~out], labels[~out])
        right[out] = model.predict(matrix[out]) == labels[out]
    return right


@pytest.mark.parametrize(("noise", "expected"), [(0.3, 0.1), (0.8, 0.1)])
def test_the_penalty_is_the_one_that_scikit_learn_finds_best(noise: float, expected: float) -> None:
    matrix, labels = noisy(200, noise)
    hits = {c: hits_of(matrix, labels, c, 5).sum() for c in PENALTIES}
    assert max(hits, key=hits.get) == expected
    assert cross_validated_penalty(LinearHead(HINGE, 3, 5), matrix, labels, PENALTIES) == expected


def test_a_gain_within_its_standard_error_changes_nothing() -> None:
    matrix, labels = noisy(200, 0.8)
    ahead = 0
    for seed in range(12):
        head, few = LinearHead(HINGE, 3, seed), (0.1, 0.08)
        first, second = (hits_of(matrix, labels, c, seed) for c in few)
        ahead += (gain := int(second.sum()) - int(first.sum())) > 0
        # Of rows that one of the two is right about alone: a gain of one or two has a greater standard error.
        assert abs(gain) <= 3
        expected = few[1] if gain / np.sqrt(max((first != second).sum(), 1)) > 1 else few[0]
        assert cross_validated_penalty(head, matrix, labels, few) == expected
    assert ahead


def test_folds_share_out_every_class() -> None:
    labels = np.repeat([0, 1, 2], [40, 8, 4])
    folds = penalty._folds(labels, 1)
    for label in range(3):
        counts = np.bincount(folds[labels == label], minlength=penalty.FOLDS)
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize(
    ("head", "rows", "wanted"),
    [(LinearHead(HINGE, 3, 0), penalty.LEAST_ROWS - 1, 3.0), (LinearHead(MultiLabelObjective(), 3, 0), 100, DEFAULT)],
)
def test_too_few_labels_and_independent_categories_keep_the_default(head: LinearHead, rows: int, wanted: float) -> None:
    matrix, labels = noisy(rows, 0.8)
    targets = labels if head.objective.single_label else np.eye(3)[labels]
    assert cross_validated_penalty(head, matrix, targets, (3.0, 10.0)) == wanted


def test_of_many_labels_a_share_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix, labels = noisy(500, 0.3)
    monkeypatch.setattr(penalty, "ROWS", 120)
    seen = []
    fit = LinearHead.fit
    monkeypatch.setattr(LinearHead, "fit", lambda self, m, y, c: seen.append(len(y)) or fit(self, m, y, c))
    cross_validated_penalty(LinearHead(HINGE, 3, 0), matrix, labels, PENALTIES)
    assert set(seen) == {90}
