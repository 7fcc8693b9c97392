"""From which probability on a class of a multi-label objective is predicted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modules.arrays import BoolArray, Float64Array, FloatArray
from modules.metrics.exclusive import check_weights


def fit_thresholds(
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    mask: npt.ArrayLike | None = None,
    minimum: int = 10,
    weights: npt.ArrayLike | None = None,
    default: float = 0.5,
) -> Float64Array:
    """The threshold per class with the best F1 on these products (which must not be the test split's).

    Classes with fewer than ``minimum`` labels (or without a product that lacks the label) cannot tell: they share the
    threshold that is best for them together (micro-F1). A threshold lies halfway between the last score taken and the
    first left out; of several that are equally good the highest is taken.

    Args:
      scores: probabilities, float array of shape (n, n_classes).
      labels: bool array of that shape.
      mask: bool array of shape (n,) or (n, n_classes): what counts; default all.
      minimum: labels a class needs for a threshold of its own.
      weights: float array of shape (n,); default ones.
      default: threshold where there is nothing to learn from.

    Returns:
      float64 array of shape (n_classes,), within [0, 1]; predict where score >= threshold.

    Raises:
      ValueError: shapes do not match.
    """
    matrix, truth = np.asarray(scores), np.asarray(labels, bool)
    if matrix.ndim != 2 or truth.shape != matrix.shape:
        raise ValueError(f"scores of shape {matrix.shape} do not belong to labels of shape {truth.shape}")
    n, n_classes = matrix.shape
    w = check_weights(weights, n)
    counts = np.ones(matrix.shape, bool) if mask is None else np.asarray(mask, bool)
    counts = np.broadcast_to(counts[:, None] if counts.ndim == 1 else counts, matrix.shape)
    result = np.full(n_classes, float(default))
    n_labels = (truth & counts).sum(axis=0)
    own = (n_labels >= max(minimum, 1)) & (n_labels < counts.sum(axis=0))
    for c in np.flatnonzero(own):
        rows = np.flatnonzero(counts[:, c])
        result[c] = best_threshold(matrix[rows, c], truth[rows, c], w[rows], default)
    pooled = np.flatnonzero(~own)
    if len(pooled):
        rows, columns = np.nonzero(counts[:, pooled])
        columns = pooled[columns]
        result[pooled] = best_threshold(matrix[rows, columns], truth[rows, columns], w[rows], default)
    return result


def best_threshold(scores: FloatArray, labels: BoolArray, weights: Float64Array, default: float = 0.5) -> float:
    """Threshold with the best weighted F1 of one class; ``default`` without labels, or where none is lacking."""
    positive = float(weights[labels].sum())
    if positive == 0.0 or float(weights[~labels].sum()) == 0.0:
        return default
    order = np.argsort(-scores, kind="stable")
    values, w, hit = np.asarray(scores[order], np.float64), weights[order], labels[order]
    tp, taken = np.cumsum(w * hit), np.cumsum(w)
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True))  # equal scores are taken together
    f1 = 2.0 * tp[ends] / (taken[ends] + positive)
    best = ends[int(np.argmax(f1))]
    following = values[best + 1] if best + 1 < len(values) else 0.0
    middle = 0.5 * (values[best] + following)
    # Scores may be neighbouring floats with nothing between them.
    return float(middle if following < middle <= values[best] else values[best])
