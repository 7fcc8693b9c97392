"""Labels that a model which has not seen them does not believe (Northcutt, Jiang, Chuang 2021)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from modules.arrays import FloatArray, Int64Array

FOLDS = 5
C = 30.0
MAX_LABELS = 20_000
"""The number of labels that are checked at most; of more, a random sample is drawn."""


@dataclass(frozen=True)
class Suspects:
    """Labels that look wrong, most suspicious first.

    Attributes:
      rows: int64 (m,). suggested: int64 (m,), the class that the label should be.
      score: (m,), how much more probable the suggested class is than the given one, in [0, 1].
    """

    rows: Int64Array
    suggested: Int64Array
    score: FloatArray


def out_of_sample(vectors: FloatArray, labels: Int64Array, seed: int) -> tuple[FloatArray, Int64Array]:
    """Probabilities of each labelled product by logistic regressions that have not seen its label.

    Args:
      vectors: (n, d) embeddings of unit length.
      labels: (n,), each class at least twice.

    Returns:
      Probabilities (n, present) and the classes (present,) that the columns stand for.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    present, codes = np.unique(labels, return_inverse=True)
    # A class with fewer labels than folds is spread over some of them, and so always in the others.
    folds = StratifiedKFold(min(FOLDS, int(np.bincount(codes).max())), shuffle=True, random_state=seed)
    # Few labels and unit vectors: a weak penalty.
    model = LogisticRegression(C=C, max_iter=200)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        return cross_val_predict(model, vectors, codes, cv=folds, method="predict_proba"), present


def suspects(probabilities: FloatArray, labels: Int64Array) -> Suspects:
    """Labels outside the diagonal of the confident joint.

    A class's threshold is the mean probability that products with its label have of it. A label is suspected if the
    most probable of the classes over their thresholds is another one, and more probable than the label itself.

    Args:
      probabilities: (n, classes), out of sample.
      labels: (n,), columns of them; every class may be absent.
    """
    n, classes = probabilities.shape
    counts = np.bincount(labels, minlength=classes)
    own = probabilities[np.arange(n), labels]
    sums = np.bincount(labels, own, classes)
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    best = confident.argmax(axis=1)
    rows = np.flatnonzero((best != labels) & (confident[np.arange(n), best] > own))
    score = probabilities[rows, best[rows]] - own[rows]
    order = np.argsort(-score, kind="stable")
    return Suspects(rows[order], best[rows][order].astype(np.int64), score[order])


def suspected_labels(vectors: FloatArray, labels: Int64Array, seed: int) -> Suspects:
    """:func:`suspects` of labelled products; classes that have only one label cannot be judged.

    Args:
      vectors: (n, d) embeddings.
      labels: (n,) classes.

    Returns:
      Rows of the arguments, suggested classes by their own numbers.
    """
    nothing = Suspects(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    counts = np.bincount(labels) if len(labels) else np.zeros(1, np.int64)
    rows = np.flatnonzero(counts[labels] >= 2) if len(labels) else np.zeros(0, np.int64)
    if len(rows) > MAX_LABELS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MAX_LABELS, replace=False))
        counts = np.bincount(labels[rows], minlength=len(counts))
        rows = rows[counts[labels[rows]] >= 2]
    if len(np.unique(labels[rows])) < 2:
        return nothing
    probabilities, present = out_of_sample(np.asarray(vectors[rows], np.float32), labels[rows], seed)
    suspected = suspects(probabilities, np.searchsorted(present, labels[rows]))
    return Suspects(rows[suspected.rows], present[suspected.suggested], suspected.score)
