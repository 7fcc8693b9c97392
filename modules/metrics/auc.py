"""Area under the ROC curve per class, one against the rest, weighted.

AUC = (sum over positives i and negatives j of w_i w_j ([s_i > s_j] + [s_i = s_j] / 2)) / (W+ W-): the Mann-Whitney
form, equal to the trapezoid under the ROC curve with ties joined.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modules.metrics.intervals import Floats

_CLASSES_AT_ONCE = 64
_BIN_BITS = 17  # of float32's 23 bits of fraction, 6 are kept: bins are at most 1/64 of a score wide
_HALF = int(np.float32(0.5).view(np.int32)) >> _BIN_BITS
_LOWEST = int(np.float32(2.0**-40).view(np.int32)) >> _BIN_BITS
_SIDE = _HALF - _LOWEST
SCORE_BINS = 2 * _SIDE + 1
"""Bins of :class:`ScoreStore`'s histogram per class."""


def auc_exclusive(scores: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Floats:
    """Exact AUC per class where each product has one class.

    Args:
      scores: float array of shape (n, n_classes). labels: int array of shape (n,), all in range.
      weights: float array of shape (n,), positive; default ones.

    Returns:
      float64 of shape (n_classes,); NaN where a class has no positives or no negatives.
    """
    matrix, y = np.asarray(scores), np.asarray(labels)
    order = np.argsort(y, kind="stable")
    bounds = np.searchsorted(y[order], np.arange(matrix.shape[1] + 1))
    return _auc(matrix, order, bounds, weights)


def auc_multi_label(
    scores: npt.ArrayLike,
    label_rows: npt.ArrayLike,
    label_classes: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
) -> Floats:
    """Exact AUC per class where a product may have many classes, given as pairs of row and class.

    Args:
      scores: float array of shape (n, n_classes).
      label_rows, label_classes: int arrays of shape (n_labels,); no pair occurs twice.
      weights: float array of shape (n,), positive; default ones.

    Returns:
      float64 of shape (n_classes,); NaN where a class has no positives or no negatives.
    """
    matrix, rows, classes = np.asarray(scores), np.asarray(label_rows, np.intp), np.asarray(label_classes)
    order = np.argsort(classes, kind="stable")
    bounds = np.searchsorted(classes[order], np.arange(matrix.shape[1] + 1))
    return _auc(matrix, rows[order], bounds, weights)


def _auc(
    matrix: npt.NDArray[np.floating], positives: npt.NDArray[np.intp], bounds: npt.NDArray[np.intp],
    weights: npt.ArrayLike | None,
) -> Floats:
    """``positives[bounds[c]:bounds[c + 1]]`` are the rows of class c."""
    n, n_classes = matrix.shape
    result = np.full(n_classes, np.nan)
    w = None if weights is None else np.asarray(weights, np.float64)
    if w is not None and n and (w == w[0]).all():
        w = None  # AUC does not change with the scale of the weights
    for first in range(0, n_classes, _CLASSES_AT_ONCE):
        last = min(first + _CLASSES_AT_ONCE, n_classes)
        wanted = [c for c in range(first, last) if 0 < bounds[c + 1] - bounds[c] < n]
        if not wanted:
            continue
        columns = np.ascontiguousarray(matrix[:, first:last].T)
        for c in wanted:
            rows, column = positives[bounds[c] : bounds[c + 1]], columns[c - first]
            result[c] = _unweighted(column, rows) if w is None else _weighted(column, rows, w)
    return result


def _unweighted(column: npt.NDArray[np.floating], rows: npt.NDArray[np.intp]) -> float:
    own = np.sort(column[rows])
    everything = np.sort(column)
    # Twice the number of pairs won, ties once: all products below and up to each positive, less the positives there.
    among_all = np.searchsorted(everything, own, "left") + np.searchsorted(everything, own, "right")
    among_own = np.searchsorted(own, own, "left") + np.searchsorted(own, own, "right")
    return float(among_all.sum() - among_own.sum()) / (2.0 * len(own) * (len(column) - len(own)))


def _weighted(column: npt.NDArray[np.floating], rows: npt.NDArray[np.intp], w: Floats) -> float:
    order = np.argsort(column)
    values, negative = column[order], w.copy()
    negative[rows] = 0.0
    below = np.concatenate([[0.0], np.cumsum(negative[order])])
    own, own_w = column[rows], w[rows]
    won = below[np.searchsorted(values, own, "left")] + below[np.searchsorted(values, own, "right")]
    return float(own_w @ won) / (2.0 * float(own_w.sum()) * float(below[-1]))


def score_bin(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
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
        self._scores: list[npt.NDArray[np.float32]] = []
        self._weights: list[Floats] = []
        self._rows: list[npt.NDArray[np.intp]] = []  # rows and classes of labels, rows within their batch
        self._classes: list[npt.NDArray[np.int64]] = []
        self._histogram: Floats | None = None  # (2, n_classes, SCORE_BINS): other, labelled

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

    def compact(self) -> None:
        """Joins the batches, so that few large arrays travel between workers."""
        if len(self._scores) > 1:
            scores, rows, classes, weights = self._joined()
            self._scores, self._weights, self._rows, self._classes = [scores], [weights], [rows], [classes]

    def _joined(
        self,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.intp], npt.NDArray[np.int64], Floats]:
        if not self._scores:
            nothing = np.zeros(0, np.int64)
            return np.zeros((0, self.n_classes), np.float32), nothing.astype(np.intp), nothing, np.zeros(0)
        if len(self._scores) == 1:
            return self._scores[0], self._rows[0], self._classes[0], self._weights[0]
        starts = np.cumsum([0] + [len(part) for part in self._scores[:-1]])
        rows = np.concatenate([part + start for part, start in zip(self._rows, starts, strict=True)])
        return np.concatenate(self._scores), rows, np.concatenate(self._classes), np.concatenate(self._weights)

    def _to_histogram(self) -> None:
        if self._histogram is None:
            self._histogram = np.zeros((2, self.n_classes, SCORE_BINS))
        for scores, weights, rows, classes in zip(self._scores, self._weights, self._rows, self._classes, strict=True):
            own = score_bin(scores[rows, classes])
            np.add.at(self._histogram[1], (classes, own), weights[rows])
            np.subtract.at(self._histogram[0], (classes, own), weights[rows])
        scores, _, _, weights = self._joined()
        for first in range(0, self.n_classes, _CLASSES_AT_ONCE):
            bins = score_bin(np.ascontiguousarray(scores[:, first : first + _CLASSES_AT_ONCE].T))
            for offset, row in enumerate(bins):
                self._histogram[0, first + offset] += np.bincount(row, weights=weights, minlength=SCORE_BINS)
        self._scores, self._weights, self._rows, self._classes = [], [], [], []

    def auc(self) -> tuple[Floats, Floats]:
        """AUC per class and how far it may be off: float64 of shape (n_classes,), NaN where AUC is not defined."""
        if self._histogram is None:
            scores, rows, classes, weights = self._joined()
            result = auc_multi_label(scores, rows, classes, weights)
            return result, np.where(np.isfinite(result), 0.0, np.nan)
        self._to_histogram()
        other, labelled = np.maximum(self._histogram[0], 0.0), self._histogram[1]
        pairs = labelled.sum(axis=1) * other.sum(axis=1)
        below = np.cumsum(other, axis=1) - other
        same = (labelled * other).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            won = ((labelled * below).sum(axis=1) + 0.5 * same) / pairs
            return np.where(pairs > 0, won, np.nan), np.where(pairs > 0, 0.5 * same / pairs, np.nan)
