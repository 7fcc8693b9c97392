"""Metrics of an exclusive objective: one class per product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modules.arrays import BoolArray, Float64Array, Int64Array, IntpArray
from modules.metrics.auc import auc_exclusive
from modules.metrics.calibration import BINS, bin_of, calibration_error_of
from modules.metrics.hierarchy import Hierarchy
from modules.metrics.intervals import Interval, one_interval, ratio_interval, z_of
from modules.metrics.per_class import ClassReport, ClassSums


@dataclass(frozen=True)
class ExclusiveFacts:
    """What a batch of labelled products tells, without the probabilities; arrays of shape (n,).

    label, predicted: int64 class indices; confidence: float64, the predicted class's probability; hit: bool, the
    label is among the top k; weight: float64, positive.
    """

    label: Int64Array
    predicted: Int64Array
    confidence: Float64Array
    hit: BoolArray
    weight: Float64Array

    @classmethod
    def of(
        cls, labels: npt.ArrayLike, probabilities: npt.ArrayLike, weights: npt.ArrayLike | None = None, top_k: int = 5
    ) -> tuple[ExclusiveFacts, IntpArray]:
        """Facts of the labelled products, and which rows these are.

        Args:
          labels: int array of shape (n,); below 0: unlabelled, adds nothing.
          probabilities: float array of shape (n, n_classes).
          weights: float array of shape (n,), default ones; products that weigh 0 add nothing.

        Raises:
          ValueError: shapes do not match, a label is no class, a weight is negative or not finite, a probability of a
            labelled product is NaN.
        """
        labels, scores = np.asarray(labels), np.asarray(probabilities)
        if labels.ndim != 1 or scores.ndim != 2 or len(labels) != len(scores):
            raise ValueError(f"labels of shape {labels.shape} do not belong to probabilities of shape {scores.shape}")
        w = check_weights(weights, len(labels))
        rows = np.flatnonzero((labels >= 0) & (w > 0))
        if len(rows) != len(labels):
            labels, scores, w = labels[rows], scores[rows], w[rows]
        labels = labels.astype(np.int64, copy=False)
        if len(labels) and labels.max() >= scores.shape[1]:
            raise ValueError(f"label {labels.max()} is no class: there are {scores.shape[1]}")
        if not len(labels):
            empty = np.zeros(0)
            return cls(labels, labels, empty, np.zeros(0, bool), empty), rows
        predicted = scores.argmax(axis=1)
        index = np.arange(len(labels))
        confidence, of_label = scores[index, predicted], scores[index, labels][:, None]
        if np.isnan(confidence).any():  # argmax stops at the first NaN
            raise ValueError("probabilities hold NaN")
        # A product's label ranks behind equal scores of earlier classes, as argmax has it.
        rank = (scores > of_label).sum(axis=1)
        tied = np.flatnonzero((rank < top_k) & ((scores == of_label).sum(axis=1) > 1))
        if len(tied):
            before = np.arange(scores.shape[1])[None, :] < labels[tied, None]
            rank[tied] += ((scores[tied] == of_label[tied]) & before).sum(axis=1)
        return cls(labels, predicted, confidence.astype(np.float64), rank < top_k, w), rows

    def __len__(self) -> int:
        return len(self.label)

    def labels(self) -> tuple[IntpArray, Int64Array]:
        """Rows and classes of the labels."""
        return np.arange(len(self)), self.label

    def take(self, rows: IntpArray) -> ExclusiveFacts:
        return ExclusiveFacts(
            self.label[rows], self.predicted[rows], self.confidence[rows], self.hit[rows], self.weight[rows]
        )


class ExclusiveCounts:
    """Sums over labelled products from which every figure but AUC follows; small, and mergeable exactly.

    The core is the sparse confusion matrix: for every pair of true and predicted class that occurs its weight, squared
    weight and number. It holds at most as many entries as there were products.
    """

    def __init__(self, n_classes: int):
        self.n_classes = n_classes
        self.pairs: Int64Array = np.zeros(0, np.int64)  # label * n_classes + predicted, sorted
        self.sums: Float64Array = np.zeros((3, 0))  # weight, squared weight, number
        self.top: Float64Array = np.zeros(2)  # weight and squared weight of top-k hits
        self.bins: Float64Array = np.zeros((3, BINS))  # weight, weighted confidence, weighted hits

    def update(self, facts: ExclusiveFacts) -> None:
        """Adds a batch."""
        if not len(facts):
            return
        w = facts.weight
        pairs = facts.label * self.n_classes + facts.predicted
        self._add_pairs(pairs, np.stack([w, w * w, np.ones_like(w)]))
        self.top += (w[facts.hit].sum(), (w[facts.hit] ** 2).sum())
        bins = bin_of(facts.confidence)
        right = w * (facts.label == facts.predicted)
        for row, values in enumerate((w, w * facts.confidence, right)):
            self.bins[row] += np.bincount(bins, weights=values, minlength=BINS)

    def merge(self, other: ExclusiveCounts) -> None:
        """Adds ``other``.

        Raises:
          ValueError: the two have different numbers of classes.
        """
        if self.n_classes != other.n_classes:
            raise ValueError(f"cannot merge counts of {other.n_classes} classes into counts of {self.n_classes}")
        self._add_pairs(other.pairs, other.sums)
        self.top += other.top
        self.bins += other.bins

    def _add_pairs(self, pairs: Int64Array, sums: Float64Array) -> None:
        pairs, sums = np.concatenate([self.pairs, pairs]), np.concatenate([self.sums, sums], axis=1)
        self.pairs, where = np.unique(pairs, return_inverse=True)
        self.sums = np.stack([np.bincount(where, weights=row, minlength=len(self.pairs)) for row in sums])

    @property
    def label(self) -> Int64Array:
        """True class of each pair."""
        return self.pairs // self.n_classes

    @property
    def predicted(self) -> Int64Array:
        """Predicted class of each pair."""
        return self.pairs % self.n_classes

    @property
    def examples(self) -> int:
        """Number of labelled products."""
        return int(self.sums[2].sum())

    def class_sums(self) -> ClassSums:
        right = self.label == self.predicted
        columns: list[Float64Array] = []
        for row in self.sums:
            for classes, values in ((self.label[right], row[right]), (self.predicted, row), (self.label, row)):
                columns.append(np.bincount(classes, weights=values, minlength=self.n_classes).astype(np.float64))
        return ClassSums(*columns)

    def report(self, hierarchy: Hierarchy | None = None, confidence: float = 0.95) -> ExclusiveReport:
        """All figures; NaN where no labelled product defines one. Without a hierarchy every class stands alone."""
        z = z_of(confidence)
        w, w2, n = self.sums
        total, total2, right = float(w.sum()), float(w2.sum()), self.label == self.predicted
        classes = self.class_sums().report(z)
        hierarchy = hierarchy or Hierarchy([(i,) for i in range(self.n_classes)])
        h_precision, h_recall, h_f1 = hierarchy.f1(self.label, self.predicted, w, w2, z)
        macro, weighted = self._f1_intervals(classes, z)

        def share(of: BoolArray) -> Interval:
            return one_interval(float(w[of].sum()), total, float(w2[of].sum()), total2, float(n.sum()), z)

        def right_at(level: int) -> BoolArray:
            return hierarchy.cut(self.label, level) == hierarchy.cut(self.predicted, level)

        return ExclusiveReport(
            examples=self.examples,
            weight=total,
            accuracy=share(right),
            # Without a tree there is nothing but the classes themselves.
            levels=[share(right_at(level)) for level in range(1, hierarchy.levels + 1)] if hierarchy.levels > 1 else [],
            top_k=one_interval(float(self.top[0]), total, float(self.top[1]), total2, float(n.sum()), z),
            macro_f1=macro,
            weighted_f1=weighted,
            hierarchical_precision=h_precision,
            hierarchical_recall=h_recall,
            hierarchical_f1=h_f1,
            calibration_error=calibration_error_of(self.bins),
            classes=classes,
        )

    def _f1_intervals(self, classes: ClassReport, z: float) -> tuple[Interval, Interval]:
        """Macro and weighted F1, linearised: a product moves the F1 of its true and of its predicted class, by
        (2 tp - F (predicted + labelled)) / D each, and (weighted) the share of its true class."""
        w2, label, predicted = self.sums[1], self.label, self.predicted
        total, present = float(classes.support.sum()), np.isfinite(classes.f1)
        if not len(self.pairs):
            nothing = ratio_interval(float("nan"), 0.0, z)
            return nothing, nothing
        f1 = np.where(present, classes.f1, 0.0)
        size = np.where(present, classes.predicted + classes.support, 1.0)
        right = label == predicted

        def influence(share: Float64Array) -> Float64Array:
            wrong = -share[label] * f1[label] / size[label] - share[predicted] * f1[predicted] / size[predicted]
            return np.where(right, share[label] * (2.0 - 2.0 * f1[label]) / size[label], wrong)

        macro = influence(np.full(self.n_classes, 1.0 / present.sum()))
        weighted_f1 = classes.weighted_f1
        weighted = influence(classes.support / total) + (f1[label] - weighted_f1) / total
        return (
            ratio_interval(classes.macro_f1, float(w2 @ macro**2), z),
            ratio_interval(weighted_f1, float(w2 @ weighted**2), z),
        )


@dataclass(frozen=True)
class ExclusiveReport:
    """Figures of one objective; ``classes.auc`` is empty unless scores were looked at.

    Attributes:
      levels: per level of the tree, the top one first, the accuracy where all paths are cut to that many names; the
        last one is ``accuracy``. Empty without a tree.
    """

    examples: int
    weight: float
    accuracy: Interval
    levels: Sequence[Interval]
    top_k: Interval
    macro_f1: Interval
    weighted_f1: Interval
    hierarchical_precision: float
    hierarchical_recall: float
    hierarchical_f1: Interval
    calibration_error: float
    classes: ClassReport

    def figures(self, top_k: int) -> dict[str, float]:
        """The figures of one slice by name; NaN where there is none."""
        return {
            "example_count": float(self.examples),
            "weight": self.weight,
            **self.accuracy.named("accuracy"),
            **{
                name: value
                for level, interval in enumerate(self.levels, start=1)
                for name, value in interval.named(f"level_{level}_accuracy").items()
            },
            **self.top_k.named(f"top_{top_k}_accuracy"),
            **self.macro_f1.named("macro_f1"),
            **self.weighted_f1.named("weighted_f1"),
            **self.hierarchical_f1.named("hierarchical_f1"),
            "hierarchical_precision": self.hierarchical_precision,
            "hierarchical_recall": self.hierarchical_recall,
            "calibration_error": self.calibration_error,
        }


def exclusive_metrics(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    *,
    branches: Sequence[Sequence[object]] | None = None,
    top_k: int = 5,
    confidence: float = 0.95,
) -> ExclusiveReport:
    """All metrics of an exclusive objective at once, AUC per class included.

    Args:
      labels: int array of shape (n,); below 0: unlabelled, adds nothing.
      probabilities: float array of shape (n, n_classes).
      weights: float array of shape (n,), 1 / inclusion probability; default ones.
      branches: see :class:`~modules.metrics.hierarchy.Hierarchy`.

    Raises:
      ValueError: see :meth:`ExclusiveFacts.of`.
    """
    scores = np.asarray(probabilities)
    facts, rows = ExclusiveFacts.of(labels, scores, weights, top_k)
    counts = ExclusiveCounts(scores.shape[1])
    counts.update(facts)
    report = counts.report(Hierarchy(branches) if branches is not None else None, confidence)
    report.classes.auc = auc_exclusive(scores[rows], facts.label, facts.weight)
    return report


def check_weights(weights: npt.ArrayLike | None, n: int) -> Float64Array:
    """``weights`` as float64 of shape (n,), ones if None; raises ValueError for a wrong shape, NaN or below 0."""
    if weights is None:
        return np.ones(n)
    w = np.asarray(weights, np.float64)
    if w.shape != (n,):
        raise ValueError(f"weights of shape {w.shape} do not belong to {n} products")
    if not (np.isfinite(w).all() and (w >= 0).all()):
        raise ValueError("weights must be finite and not negative")
    return w
