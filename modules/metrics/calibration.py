"""How far probabilities can be believed, and one number that mends them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modules.arrays import Float64Array, Int64Array, IntpArray

BINS = 15


def bin_of(confidence: npt.ArrayLike) -> Int64Array:
    """Index of the equal-width bin (lower, upper] of each confidence in [0, 1]; 0 belongs to the first."""
    return np.clip(np.ceil(np.asarray(confidence, np.float64) * BINS).astype(np.int64) - 1, 0, BINS - 1)


def calibration_error_of(bins: Float64Array) -> float:
    """Expected calibration error from sums per bin: rows weight, weighted confidence, weighted hits."""
    total = float(bins[0].sum())
    return float(np.abs(bins[2] - bins[1]).sum() / total) if total > 0 else float("nan")


def expected_calibration_error(
    confidence: npt.ArrayLike, correct: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> float:
    """Mean gap between confidence and accuracy over 15 equal-width bins (Guo et al. 2017, eq. 3), weighted.

    Args:
      confidence: probability of the predicted class, shape (n,).
      correct: bool, shape (n,).
      weights: shape (n,).
    """
    p, hit = np.asarray(confidence, np.float64), np.asarray(correct, np.float64)
    w = np.ones_like(p) if weights is None else np.asarray(weights, np.float64)
    bins = bin_of(p)
    return calibration_error_of(np.stack([np.bincount(bins, v, BINS) for v in (w, w * p, w * hit)]))


def log_loss(logits: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> float:
    """Weighted mean cross-entropy of softmax(logits); rows with a label below 0 add nothing; NaN if none is left."""
    rows, z, y, w = _labelled(logits, labels, weights)
    if not len(rows):
        return float("nan")
    return float(np.average(_log_sum_exp(z) - z[np.arange(len(y)), y], weights=w))


def fit_temperature(
    logits: npt.ArrayLike,
    labels: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    *,
    bounds: tuple[float, float] = (0.05, 20.0),
) -> float:
    """The temperature T that minimises the cross-entropy of softmax(logits / T) (Guo et al. 2017, section 4.2).

    Of n labels each counts (n + 1) / (n + 2), and the rest is the likeliest other class's (Platt, Probabilistic outputs
    for support vector machines, 1999, section 2.2): n products that are all predicted right do not show that no other
    one is wrong. The loss is convex in 1 / T, so its derivative has one root: safeguarded Newton steps on 1 / T.

    Args:
      logits: float array of shape (n, n_classes).
      labels: int, shape (n,), below 0 unlabelled.
      weights: shape (n,).
      bounds: where T is looked for.

    Returns:
      T within ``bounds``; 1.0 without a labelled row.
    """
    rows, z, y, w = _labelled(logits, labels, weights)
    if not len(rows):
        return 1.0
    z = z - z.max(axis=1, keepdims=True)
    others = z.copy()
    others[np.arange(len(y)), y] = -np.inf
    doubt = 1.0 / (len(rows) + 2.0) if z.shape[1] > 1 else 0.0
    of_label = (1.0 - doubt) * z[np.arange(len(y)), y]
    if doubt:
        of_label += doubt * others.max(axis=1)
    low, high = 1.0 / bounds[1], 1.0 / bounds[0]

    def slopes(beta: float) -> tuple[float, float]:
        p = np.exp(beta * z)
        p /= p.sum(axis=1, keepdims=True)
        mean = (p * z).sum(axis=1)
        square = (p * z * z).sum(axis=1)
        return float(w @ (mean - of_label)), float(w @ (square - mean * mean))

    if slopes(low)[0] >= 0:
        return 1.0 / low
    if slopes(high)[0] <= 0:
        return 1.0 / high
    beta = min(max(1.0, low), high)
    for _ in range(100):
        first, second = slopes(beta)
        if first > 0:
            high = beta
        else:
            low = beta
        step = beta - first / second if second > 0 else low
        following = step if low < step < high else 0.5 * (low + high)
        if abs(following - beta) < 1e-10 * beta:
            break
        beta = following
    return 1.0 / beta


def _labelled(
    logits: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None
) -> tuple[IntpArray, Float64Array, Int64Array, Float64Array]:
    z, y = np.asarray(logits), np.asarray(labels)
    w = np.ones(len(y)) if weights is None else np.asarray(weights, np.float64)
    if z.ndim != 2 or y.shape != (len(z),) or w.shape != y.shape:
        raise ValueError(f"logits {z.shape}, labels {y.shape} and weights {w.shape} do not belong together")
    rows = np.flatnonzero((y >= 0) & (w > 0))
    return rows, z[rows].astype(np.float64), y[rows].astype(np.int64), w[rows]


def _log_sum_exp(z: Float64Array) -> Float64Array:
    top = z.max(axis=1)
    return top + np.log(np.exp(z - top[:, None]).sum(axis=1))
