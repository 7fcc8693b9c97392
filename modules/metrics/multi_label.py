"""Metrics of a multi-label objective: any number of classes per product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modules.arrays import BoolArray, Float64Array, Int64Array, IntpArray
from modules.metrics.auc import auc_multi_label
from modules.metrics.exclusive import check_weights
from modules.metrics.intervals import Interval, divide, ratio_interval, z_of
from modules.metrics.per_class import ClassReport, ClassSums


@dataclass(frozen=True)
class MultiLabelFacts:
    """What a batch tells, without the scores: sparse pairs of product and class.

    weight: float64 (n,); label_row, label_class: the labels; predicted_row, predicted_class, right: the predictions
    and whether each is a label too. Rows count within the batch, ascending.
    """

    weight: Float64Array
    label_row: Int64Array
    label_class: Int64Array
    predicted_row: Int64Array
    predicted_class: Int64Array
    right: BoolArray

    @classmethod
    def of(
        cls,
        label_offsets: npt.ArrayLike,
        label_classes: npt.ArrayLike,
        probabilities: npt.ArrayLike,
        weights: npt.ArrayLike | None = None,
        threshold: npt.ArrayLike = 0.5,
        known: npt.ArrayLike | None = None,
    ) -> tuple[MultiLabelFacts, IntpArray]:
        """Facts of the products with a positive weight, and which rows these are.

        Args:
          label_offsets: int array of shape (n + 1,); labels ``offsets[i]`` to ``offsets[i + 1]`` are product i's.
          label_classes: int array of shape (n_labels,); a class below 0 or given twice is dropped.
          probabilities: float array of shape (n, n_classes).
          weights: float array of shape (n,); default ones; 0 leaves a product out.
          threshold: a class is predicted from this probability on; a number, or an array that broadcasts to
            ``probabilities`` (one per class).
          known: bool array of the shape of ``probabilities``: of which pairs of product and class the truth is known;
            a prediction of any other pair counts as none. A label's pair is always known. Default: all.

        Raises:
          ValueError: shapes do not match, a label is no class, a weight is negative or not finite, a probability is
            NaN.
        """
        offsets, classes, scores = np.asarray(label_offsets), np.asarray(label_classes), np.asarray(probabilities)
        n, n_classes = scores.shape
        if offsets.shape != (n + 1,) or offsets[-1] != len(classes):
            raise ValueError(f"label offsets of shape {offsets.shape} do not belong to {n} products")
        if len(classes) and classes.max() >= n_classes:
            raise ValueError(f"label {classes.max()} is no class: there are {n_classes}")
        if np.isnan(scores.sum()):
            raise ValueError("probabilities hold NaN")
        w = check_weights(weights, n)
        label_row = np.repeat(np.arange(n), np.diff(offsets))
        real = classes >= 0
        pairs = np.unique(label_row[real].astype(np.int64) * n_classes + classes[real])
        label_row, label_class = pairs // n_classes, pairs % n_classes
        is_label = np.zeros(scores.shape, bool)
        is_label[label_row, label_class] = True
        predicted = scores >= np.asarray(threshold)
        if known is not None:
            predicted &= np.asarray(known, bool) | is_label
        predicted_row, predicted_class = (part.astype(np.int64, copy=False) for part in np.nonzero(predicted))
        facts = cls(w, label_row, label_class, predicted_row, predicted_class, is_label[predicted_row, predicted_class])
        rows = np.flatnonzero(w > 0)
        return (facts if len(rows) == n else facts.take(rows)), rows

    def __len__(self) -> int:
        return len(self.weight)

    def labels(self) -> tuple[Int64Array, Int64Array]:
        """Rows and classes of the labels."""
        return self.label_row, self.label_class

    def take(self, rows: IntpArray) -> MultiLabelFacts:
        """The products at ``rows`` (ascending), renumbered."""
        place = np.full(len(self), -1, np.int64)
        place[rows] = np.arange(len(rows))
        labels, predictions = place[self.label_row], place[self.predicted_row]
        kept, kept_too = labels >= 0, predictions >= 0
        return MultiLabelFacts(
            self.weight[rows],
            labels[kept],
            self.label_class[kept],
            predictions[kept_too],
            self.predicted_class[kept_too],
            self.right[kept_too],
        )


class MultiLabelCounts:
    """Sums over products from which every figure but AUC follows; mergeable exactly."""

    def __init__(self, n_classes: int):
        self.n_classes = n_classes
        self.sums = ClassSums.zeros(n_classes)
        self.examples = 0
        self.weight = 0.0
        # Squared weights times products of a product's own tp and size = predicted + labels: tp tp, tp size, size size.
        self.moments: Float64Array = np.zeros(3)

    def update(self, facts: MultiLabelFacts) -> None:
        """Adds a batch."""
        w, n = facts.weight, self.n_classes
        tp_row, tp_class = facts.predicted_row[facts.right], facts.predicted_class[facts.right]
        columns: list[Float64Array] = []
        for values in (w, w * w, np.ones_like(w)):
            for rows, classes in (
                (tp_row, tp_class),
                (facts.predicted_row, facts.predicted_class),
                (facts.label_row, facts.label_class),
            ):
                columns.append(_sums(classes, values[rows], n))
        self.sums.add(ClassSums(*columns))
        tp = np.bincount(tp_row, minlength=len(w))
        size = np.bincount(facts.predicted_row, minlength=len(w)) + np.bincount(facts.label_row, minlength=len(w))
        w2 = w * w
        self.moments += (w2 @ (tp * tp), w2 @ (tp * size), w2 @ (size * size))
        self.examples += len(w)
        self.weight += float(w.sum())

    def merge(self, other: MultiLabelCounts) -> None:
        """Adds ``other``; raises ValueError where the numbers of classes differ."""
        self.sums.add(other.sums)
        self.moments += other.moments
        self.examples += other.examples
        self.weight += other.weight

    def report(self, confidence: float = 0.95) -> MultiLabelReport:
        """All figures; NaN where nothing defines one."""
        z = z_of(confidence)
        sums, classes = self.sums, self.sums.report(z)
        tp, size = float(sums.tp.sum()), float((sums.predicted + sums.support).sum())
        micro = float(divide(2.0 * tp, size))
        # A product's labels stand or fall together, so the variance is of products: e = 2 tp - F size.
        variance = 0.0
        if size > 0:
            spread = 4.0 * self.moments[0] - 4.0 * micro * self.moments[1] + micro * micro * self.moments[2]
            variance = float(spread) / (size * size)
        return MultiLabelReport(
            examples=self.examples,
            weight=self.weight,
            micro_precision=float(divide(tp, sums.predicted.sum())),
            micro_recall=float(divide(tp, sums.support.sum())),
            micro_f1=ratio_interval(micro, variance, z),
            macro_f1=classes.macro_f1,
            weighted_f1=classes.weighted_f1,
            classes=classes,
        )


def _sums(classes: Int64Array, values: Float64Array, n_classes: int) -> Float64Array:
    return np.bincount(classes, weights=values, minlength=n_classes).astype(np.float64, copy=False)


@dataclass(frozen=True)
class MultiLabelReport:
    """Figures of one objective; ``classes.auc`` is empty unless scores were looked at."""

    examples: int
    weight: float
    micro_precision: float
    micro_recall: float
    micro_f1: Interval
    macro_f1: float
    weighted_f1: float
    classes: ClassReport

    def figures(self) -> dict[str, float]:
        """The figures of one slice by name; NaN where there is none."""
        return {
            "example_count": float(self.examples),
            "weight": self.weight,
            **self.micro_f1.named("micro_f1"),
            "micro_precision": self.micro_precision,
            "micro_recall": self.micro_recall,
            "macro_f1": self.macro_f1,
            "weighted_f1": self.weighted_f1,
        }


def multi_label_metrics(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    *,
    threshold: npt.ArrayLike = 0.5,
    confidence: float = 0.95,
    known: npt.ArrayLike | None = None,
) -> MultiLabelReport:
    """All metrics of a multi-label objective at once, AUC per class included.

    Args:
      labels: bool array of shape (n, n_classes).
      probabilities: float array of that shape.
      weights: float array of shape (n,); default ones; 0 leaves a product out.
      threshold, known: see :meth:`MultiLabelFacts.of`.
    """
    truth, scores = np.asarray(labels, bool), np.asarray(probabilities)
    offsets = np.concatenate([[0], np.cumsum(truth.sum(axis=1))])
    facts, rows = MultiLabelFacts.of(offsets, np.nonzero(truth)[1], scores, weights, threshold, known)
    if known is not None:
        scores = np.where(np.asarray(known, bool) | truth, scores, np.nan)
    counts = MultiLabelCounts(scores.shape[1])
    counts.update(facts)
    report = counts.report(confidence)
    report.classes.auc = auc_multi_label(scores[rows], facts.label_row, facts.label_class, facts.weight)
    return report
