"""Precision, recall and F1 per class from a handful of sums."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np

from modules.arrays import Float64Array
from modules.metrics.intervals import divide, proportion_interval


@dataclass
class ClassSums:
    """Sums over products, per class; every array is float64 of shape (n_classes,).

    ``tp``, ``predicted``, ``support`` are sums of weights of products that are rightly predicted, predicted, and
    labelled as the class; ``*_squared`` of squared weights; ``*_n`` are numbers of products.
    """

    tp: Float64Array
    predicted: Float64Array
    support: Float64Array
    tp_squared: Float64Array
    predicted_squared: Float64Array
    support_squared: Float64Array
    tp_n: Float64Array
    predicted_n: Float64Array
    support_n: Float64Array

    @classmethod
    def zeros(cls, n_classes: int) -> ClassSums:
        return cls(*(np.zeros(n_classes) for _ in fields(cls)))

    def add(self, other: ClassSums) -> None:
        """Adds ``other`` in place.

        Raises:
          ValueError: the two have different numbers of classes.
        """
        if len(self.tp) != len(other.tp):
            raise ValueError(f"cannot add sums of {len(other.tp)} classes to sums of {len(self.tp)}")
        for part in fields(self):
            getattr(self, part.name).__iadd__(getattr(other, part.name))

    def report(self, z: float) -> ClassReport:
        """The figures per class. F1 is a share too: F = 2J / (1 + J) with J = tp / (predicted or labelled), so its
        interval is J's, mapped."""
        precision = proportion_interval(
            self.tp, self.predicted, self.tp_squared, self.predicted_squared, self.predicted_n, z
        )
        recall = proportion_interval(self.tp, self.support, self.tp_squared, self.support_squared, self.support_n, z)
        jaccard = proportion_interval(
            self.tp,
            self.predicted + self.support - self.tp,
            self.tp_squared,
            self.predicted_squared + self.support_squared - self.tp_squared,
            self.predicted_n + self.support_n - self.tp_n,
            z,
        )
        f1 = divide(2.0 * self.tp, self.predicted + self.support)
        return ClassReport(
            precision=precision[0],
            precision_lower=precision[1],
            precision_upper=precision[2],
            recall=recall[0],
            recall_lower=recall[1],
            recall_upper=recall[2],
            f1=f1,
            f1_lower=np.minimum(2.0 * jaccard[1] / (1.0 + jaccard[1]), f1),
            f1_upper=np.maximum(2.0 * jaccard[2] / (1.0 + jaccard[2]), f1),
            support=self.support.copy(),
            predicted=self.predicted.copy(),
            examples=self.support_n.copy(),
        )


@dataclass
class ClassReport:
    """Figures per class; every array is float64 of shape (n_classes,).

    Precision is NaN for a class that was never predicted, recall for one without labels, F1 for one with neither; AUC
    is NaN where there are no labels of the class or none of the others. ``support`` and ``predicted`` are sums of
    weights, ``examples`` is the number of labelled products.
    """

    precision: Float64Array
    precision_lower: Float64Array
    precision_upper: Float64Array
    recall: Float64Array
    recall_lower: Float64Array
    recall_upper: Float64Array
    f1: Float64Array
    f1_lower: Float64Array
    f1_upper: Float64Array
    support: Float64Array
    predicted: Float64Array
    examples: Float64Array
    auc: Float64Array = field(default_factory=lambda: np.zeros(0))

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes that have a label or a prediction (as scikit-learn takes it); NaN if none has."""
        present = self.f1[np.isfinite(self.f1)]
        return float(present.mean()) if len(present) else float("nan")

    @property
    def weighted_f1(self) -> float:
        """Mean F1, weighted by support; NaN without labels."""
        present = self.support > 0
        if not present.any():
            return float("nan")
        return float(np.average(self.f1[present], weights=self.support[present]))

    @property
    def macro_auc(self) -> float:
        present = self.auc[np.isfinite(self.auc)]
        return float(present.mean()) if len(present) else float("nan")
