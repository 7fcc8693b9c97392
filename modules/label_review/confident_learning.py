"""Labels that a model which has not seen them does not believe (Northcutt, Jiang, Chuang 2021)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modules.arrays import Float32Array, FloatArray, Int64Array, IntpArray
from modules.models.name_prior import softmax_rows
from modules.training.labelled import Labelled
from modules.training.left_out import NOISE, TEMPERATURES, Smoother, equal_rows, log_likelihoods

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


def out_of_sample(vectors: Float32Array, labels: Int64Array, groups: IntpArray) -> tuple[Float32Array, Int64Array]:
    """Probabilities of each labelled product by a regression that has not seen its label.

    One linear regression per class on the targets 1 and 0, each product's answer without its own label and
    without those of its group; their softmax at the temperature, with the noise, that the labels are
    likeliest by.

    Args:
      vectors: float32 (n, d), embeddings of unit length.
      labels: (n,).
      groups: intp (n,), the same number for products with the same vector.

    Returns:
      Probabilities, float32 (n, present), and the classes (present,) that the columns stand for.
    """
    present, codes = np.unique(labels, return_inverse=True)
    rows = Labelled(vectors, codes, groups, np.ones(len(codes)))
    inputs, targets = rows.inputs(np.ones(vectors.shape[1])), rows.targets(len(present)).astype(np.float32)
    best, most = targets, -np.inf
    for errors in Smoother.of(inputs).left_out(targets, NOISE, groups):
        scores = targets - errors
        for temperature, own in zip(TEMPERATURES, log_likelihoods(scores, codes), strict=True):
            if (likelihood := float(own.mean())) > most:
                best, most = scores / np.float32(temperature), likelihood
    return softmax_rows(best), present


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
    """:func:`suspects` of labelled products; a class that only one product shows, or equal ones, cannot be judged.

    Args:
      vectors: (n, d) embeddings.
      labels: (n,) classes.
      seed: draws the labels that are checked, where there are more than :data:`MAX_LABELS`.

    Returns:
      Rows of the arguments, suggested classes by their own numbers.
    """
    rows = np.arange(len(labels))
    if len(rows) > MAX_LABELS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MAX_LABELS, replace=False))
    checked = np.asarray(vectors[rows], np.float32)
    groups = equal_rows(checked, np.arange(len(rows)))
    shown = np.unique(np.column_stack([labels[rows], groups]), axis=0)[:, 0]
    classes, counts = np.unique(shown, return_counts=True)
    kept = np.isin(labels[rows], classes[counts >= 2])
    rows, checked, groups = rows[kept], checked[kept], groups[kept]
    if len(np.unique(labels[rows])) < 2:
        return Suspects(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    probabilities, present = out_of_sample(checked, labels[rows], groups)
    suspected = suspects(probabilities, np.searchsorted(present, labels[rows]))
    return Suspects(rows[suspected.rows], present[suspected.suggested], suspected.score)
