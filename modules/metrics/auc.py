"""Area under the ROC curve per class, one against the rest, weighted.

AUC = (sum over positives i and negatives j of w_i w_j ([s_i > s_j] + [s_i = s_j] / 2)) / (W+ W-): the Mann-Whitney
form, equal to the trapezoid under the ROC curve with ties joined.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modules.arrays import Float32Array, Float64Array, FloatArray, Int64Array, IntArray, IntpArray

_CLASSES_AT_ONCE = 64
_BIN_BITS = 17  # of float32's 23 bits of fraction, 6 are kept: bins are at most 1/64 of a score wide
_HALF = int(np.float32(0.5).view(np.int32)) >> _BIN_BITS
_LOWEST = int(np.float32(2.0**-40).view(np.int32)) >> _BIN_BITS
_SIDE = _HALF - _LOWEST
SCORE_BINS = 2 * _SIDE + 1
"""Bins of :class:`ScoreStore`'s histogram per class."""


def auc_exclusive(scores: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Float64Array:
    """Exact AUC per class where each product has one class.

    Args:
      scores: float array of shape (n, n_classes).
      labels: int array of shape (n,), all in range.
      weights: float array of shape (n,), positive; default ones.

    Returns:
      float64 of shape (n_classes,); NaN where a class has no positives or no negatives.
    """
    return auc_multi_label(scores, np.arange(len(np.asarray(labels))), labels, weights)


def auc_multi_label(
    scores: npt.ArrayLike,
    label_rows: npt.ArrayLike,
    label_classes: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
) -> Float64Array:
    """Exact AUC per class where a product may have many classes, given as pairs of row and class.

    Args:
      scores: float array of shape (n, n_classes); NaN where the truth is not known: the pair is left out.
      label_rows, label_classes: int arrays of shape (n_labels,); no pair occurs twice.
      weights: float array of shape (n,), positive; default ones.

    Returns:
      float64 of shape (n_classes,); NaN where a class has no positives or no negatives.
    """
    matrix = np.asarray(scores)
    w = np.ones(len(matrix)) if weights is None else np.asarray(weights, np.float64)
    return _auc([matrix], np.asarray(label_rows, np.intp), np.asarray(label_classes), w)


def _auc(parts: list[FloatArray], rows: IntpArray, classes: IntArray, w: Float64Array) -> Float64Array:
    """AUC over the stacked ``parts``, which are never put together as a whole."""
    n, n_classes = sum(len(part) for part in parts), parts[0].shape[1]
    result = np.full(n_classes, np.nan)
    order = np.argsort(classes, kind="stable")
    positives, bounds = rows[order], np.searchsorted(classes[order], np.arange(n_classes + 1))
    total = float(w.sum())
    # One NaN makes a sum NaN; looked at once, since nearly always there is none.
    gaps = any(np.isnan(part.sum()) for part in parts)
    buffer = np.empty((_CLASSES_AT_ONCE, n), parts[0].dtype)
    for first in range(0, n_classes, _CLASSES_AT_ONCE):
        last = min(first + _CLASSES_AT_ONCE, n_classes)
        wanted = [c for c in range(first, last) if 0 < bounds[c + 1] - bounds[c] < n]
        if not wanted:
            continue
        start = 0
        for part in parts:
            buffer[: last - first, start : start + len(part)] = part[:, first:last].T
            start += len(part)
        for c in wanted:
            column = buffer[c - first]
            there = float(w[~np.isnan(column)].sum()) if gaps else total
            result[c] = _auc_of(column, positives[bounds[c] : bounds[c + 1]], w, there)
    return result


def _auc_of(column: FloatArray, rows: IntpArray, w: Float64Array, total: float) -> float:
    """AUC of one class whose products are ``rows``. All that scores below every one of them has lost to them all;
    only the rest is sorted, which in a model that works is little."""
    own, own_w = column[rows], w[rows]
    weight = float(own_w.sum())
    rest = np.flatnonzero(column >= own.min())
    scores, rest_w = column[rest], w[rest]
    order = np.argsort(scores)
    scores = scores[order]
    below = np.concatenate([[0.0], np.cumsum(rest_w[order])])
    own_order = np.argsort(own)
    own, own_w = own[own_order], own_w[own_order]
    own_below = np.concatenate([[0.0], np.cumsum(own_w)])
    # Twice the weight below each of them and half-way among its equals, less that of its own kind.
    won = below[np.searchsorted(scores, own, "left")] + below[np.searchsorted(scores, own, "right")]
    won -= own_below[np.searchsorted(own, own, "left")] + own_below[np.searchsorted(own, own, "right")]
    others = total - weight
    if others <= 0.0:
        return float("nan")
    lost = total - float(below[-1])
    return float(own_w @ (won + 2.0 * lost)) / (2.0 * weight * others)


def score_bin(scores: Float32Array) -> npt.NDArray[np.int32]:
    """Bin of each probability, ascending; fine near 0 and near 1, where softmax and sigmoid put nearly all scores.

    Below one half a bin holds the scores that share exponent and first 6 bits of the fraction; above, those whose
    complement does. Everything under 2^-40 shares the first bin.
    """
    scores = np.clip(np.asarray(scores, np.float32), 0.0, 1.0)
    upper = scores >= 0.5
    near = np.where(upper, np.float32(1.0) - scores, scores)
    bits = np.maximum((near.view(np.int32) >> _BIN_BITS) - _LOWEST, 0)
    return np.where(upper, 2 * _SIDE - bits, bits).astype(np.int32)


class ScoreStore:
    """Collects scores until :meth:`auc` is asked for: exactly up to ``limit`` bytes of scores, beyond that as two
    histograms per class (SCORE_BINS bins of labelled and of other weight), whose size does not grow any more.

    Pairs that fall into one bin count one half, so the error of a class's AUC is at most half the share of pairs that
    do; :meth:`auc` returns that bound, worked out from the histograms themselves.
    """

    def __init__(self, n_classes: int, limit: int = 256 * 2**20):
        self.n_classes = n_classes
        self.limit = limit
        self._scores: list[FloatArray] = []
        self._weights: list[Float64Array] = []
        self._rows: list[IntpArray] = []  # rows and classes of labels, rows within their batch
        self._classes: list[Int64Array] = []
        self._histogram: Float64Array | None = None  # (2, n_classes, SCORE_BINS): other, labelled

    @property
    def exact(self) -> bool:
        return self._histogram is None

    @property
    def bytes(self) -> int:
        """Memory held in scores."""
        return sum(part.nbytes for part in self._scores)

    def add(
        self, scores: npt.ArrayLike, label_rows: npt.ArrayLike, label_classes: npt.ArrayLike, weights: npt.ArrayLike
    ) -> None:
        """Adds a batch; arguments as of :func:`auc_multi_label`. The arrays are kept, not copied."""
        part = np.asarray(scores, np.float32)
        if part.ndim != 2 or part.shape[1] != self.n_classes:
            raise ValueError(f"scores of shape {part.shape} are not those of {self.n_classes} classes")
        if not len(part):
            return
        self._scores.append(part)
        self._weights.append(np.asarray(weights, np.float64))
        self._rows.append(np.asarray(label_rows, np.intp))
        self._classes.append(np.asarray(label_classes, np.int64))
        # Once there is a histogram, scores wait in small lots: a pass over it costs the same for one and for many.
        if self.bytes > (self.limit if self.exact else min(self.limit, 32 * 2**20)):
            self._to_histogram()

    def merge(self, other: ScoreStore) -> None:
        """Adds what ``other`` holds.

        Raises:
          ValueError: the two have different numbers of classes.
        """
        if self.n_classes != other.n_classes:
            raise ValueError(f"cannot merge scores of {other.n_classes} classes into scores of {self.n_classes}")
        if other._histogram is not None:
            self._to_histogram()
            assert self._histogram is not None
            self._histogram += other._histogram
        self._scores += other._scores
        self._weights += other._weights
        self._rows += other._rows
        self._classes += other._classes
        if self.bytes > self.limit:
            self._to_histogram()

    def _pairs(self) -> tuple[IntpArray, Int64Array, Float64Array]:
        """Rows (of all batches together) and classes of the labels, and the products' weights."""
        starts = np.cumsum([0] + [len(part) for part in self._scores[:-1]])
        rows = np.concatenate([part + start for part, start in zip(self._rows, starts, strict=True)])
        return rows, np.concatenate(self._classes), np.concatenate(self._weights)

    def _to_histogram(self) -> None:
        if self._histogram is None:
            self._histogram = np.zeros((2, self.n_classes, SCORE_BINS))
        for scores, weights, rows, classes in zip(self._scores, self._weights, self._rows, self._classes, strict=True):
            own = score_bin(scores[rows, classes])
            np.add.at(self._histogram[1], (classes, own), weights[rows])
            np.subtract.at(self._histogram[0], (classes, own), weights[rows])
        if self._scores:
            weights = np.concatenate(self._weights)
            for first in range(0, self.n_classes, _CLASSES_AT_ONCE):
                columns = np.concatenate([part[:, first : first + _CLASSES_AT_ONCE].T for part in self._scores], axis=1)
                gaps = np.isnan(columns)
                for offset, row in enumerate(score_bin(np.where(gaps, np.float32(0.0), columns))):
                    there = weights if not gaps[offset].any() else np.where(gaps[offset], 0.0, weights)
                    self._histogram[0, first + offset] += np.bincount(row, weights=there, minlength=SCORE_BINS)
        self._scores, self._weights, self._rows, self._classes = [], [], [], []

    def auc(self) -> tuple[Float64Array, Float64Array]:
        """AUC per class and how far it may be off: float64 of shape (n_classes,), NaN where AUC is not defined."""
        if self._histogram is None:
            if not self._scores:
                return np.full(self.n_classes, np.nan), np.full(self.n_classes, np.nan)
            result = _auc(self._scores, *self._pairs())
            return result, np.where(np.isfinite(result), 0.0, np.nan)
        self._to_histogram()
        other, labelled = np.maximum(self._histogram[0], 0.0), self._histogram[1]
        pairs = labelled.sum(axis=1) * other.sum(axis=1)
        below = np.cumsum(other, axis=1) - other
        same = (labelled * other).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            won = ((labelled * below).sum(axis=1) + 0.5 * same) / pairs
            return np.where(pairs > 0, won, np.nan), np.where(pairs > 0, 0.5 * same / pairs, np.nan)
