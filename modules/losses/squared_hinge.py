"""One-versus-rest squared hinge, as in a linear SVC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy.typing as npt
from keras import ops

from modules.arrays import Float64Array
from modules.losses.base import Coefficients, LossKind, MaskedLoss, Matrix, exclusive_targets


@keras.saving.register_keras_serializable("shelfmark")
class SquaredHingeLoss(MaskedLoss):
    """Sum over classes of max(0, 1 - s_c z_c)^2, where s_c is 1 for the label and -1 for all others.

    Crammer & Singer's one-versus-rest baseline, as in LIBLINEAR. ``y_true``: int (batch,), -1 unlabelled. ``y_pred``:
    logits (batch, classes).

    Args:
      class_weights: one number per class, or None.
    """

    def __init__(self, class_weights: Sequence[float] | None = None, name: str = "squared_hinge_loss"):
        super().__init__(name)
        self.class_weights = class_weights

    def per_example(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        logits = ops.cast(y_pred, "float32")
        target, weights = exclusive_targets(y_true, logits.shape[-1], self.class_weights)
        return ops.sum(ops.square(ops.relu(1.0 - (2.0 * target - 1.0) * logits)), axis=-1), weights

    def get_config(self) -> dict[str, Any]:
        return {"class_weights": self.class_weights, "name": self.name}


class SquaredHinge(LossKind):
    """Of exclusive objectives; strong with few labels per category."""

    # One-versus-rest scores lie around -1 and 1: over hundreds of classes their plain softmax is nearly flat, though
    # its order is right.
    temperature: ClassVar[float] = 0.25

    def keras_loss(self, objective: Any, class_weights: Sequence[float] | None = None) -> MaskedLoss:
        return SquaredHingeLoss(class_weights)

    def fit_liblinear(
        self, matrix: Matrix, labels: npt.NDArray[Any], *, balanced: bool, c: float, seed: int,
        weights: Float64Array | None = None,
    ) -> Coefficients:  # fmt: skip
        from sklearn.svm import LinearSVC

        solver = LinearSVC(C=c, class_weight="balanced" if balanced else None, random_state=seed)
        fitted = solver.fit(matrix, labels, sample_weight=weights)
        return fitted.coef_, fitted.intercept_


LOSS = SquaredHinge()
