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


@pytest.mark.parametrize("noise", [0.3, 0.8])
def test_the_penalty_is_the_one_that_scikit_learn_finds_best(noise: float) -> None:
    matrix, labels = noisy(200, noise)
    folds = penalty._folds(labels, 5)
    hits = []
    for c in PENALTIES:
        right = 0
        for fold in range(penalty.FOLDS):
            out = folds == fold
            model = LinearSVC(C=c, random_state=5).fit(matrix[~out], labels[~out])
            right += (model.predict(matrix[out]) == labels[out]).sum()
        hits.append(right)
    assert (
        cross_validated_penalty(LinearHead(HINGE, 3, 5), matrix, labels, PENALTIES) == PENALTIES[int(np.argmax(hits))]
    )


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
