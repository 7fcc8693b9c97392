"""Softmax cross-entropy; with LIBLINEAR, one logistic regression per class against all others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from modules.arrays import Float64Array
from modules.losses.base import Coefficients, LossKind, MaskedLoss, Matrix, exclusive_targets


@keras.saving.register_keras_serializable("shelfmark")
class CrossEntropyLoss(MaskedLoss):
    """Softmax cross-entropy over the labelled examples of a batch.

    ``y_true``: int (batch,), -1 unlabelled. ``y_pred``: logits (batch, classes).

    Args:
      class_weights: one number per class, or None.
      label_smoothing: share of the target that is spread over all classes.
    """

    def __init__(
        self,
        class_weights: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        name: str = "cross_entropy_loss",
    ):
        super().__init__(name)
        self.class_weights, self.label_smoothing = class_weights, label_smoothing

    def per_example(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        logits = ops.cast(y_pred, "float32")
        classes = logits.shape[-1]
        target, weights = exclusive_targets(y_true, classes, self.class_weights)
        smoothed = target * (1.0 - self.label_smoothing) + self.label_smoothing / classes
        return ops.categorical_crossentropy(smoothed, logits, from_logits=True), weights

    def get_config(self) -> dict[str, Any]:
        return {"class_weights": self.class_weights, "label_smoothing": self.label_smoothing, "name": self.name}


class CrossEntropy(LossKind):
    """Of exclusive objectives."""

    def keras_loss(self, objective: Any, class_weights: Sequence[float] | None = None) -> MaskedLoss:
        return CrossEntropyLoss(class_weights, objective.label_smoothing)

    def fit_liblinear(
        self, matrix: Matrix, labels: npt.NDArray[Any], *, balanced: bool, c: float, seed: int,
        weights: Float64Array | None = None,
    ) -> Coefficients:  # fmt: skip
        from sklearn.linear_model import LogisticRegression
        from sklearn.multiclass import OneVsRestClassifier

        kept = "balanced" if balanced else None
        logistic = LogisticRegression(C=c, class_weight=kept, solver="liblinear", random_state=seed)
        if len(np.unique(labels)) == 2:
            fitted = logistic.fit(matrix, labels, sample_weight=weights)
            return fitted.coef_, fitted.intercept_
        # One binary problem per class, like the SVC of squared_hinge.
        several = OneVsRestClassifier(logistic).fit(matrix, labels)
        return (
            np.vstack([estimator.coef_ for estimator in several.estimators_]),
            np.concatenate([estimator.intercept_ for estimator in several.estimators_]),
        )


LOSS = CrossEntropy()
