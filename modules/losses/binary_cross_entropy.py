"""Sigmoid cross-entropy per category; with LIBLINEAR, one logistic regression each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from modules.losses.base import MaskedLoss
from modules.losses.cross_entropy import CrossEntropy


@keras.saving.register_keras_serializable("shelfmark")
class BinaryCrossEntropyLoss(MaskedLoss):
    """Sigmoid cross-entropy over the (product, category) pairs that have a label.

    ``y_true``: (batch, classes): 1 yes, 0 no, -1 unknown. ``y_pred``: logits of the same shape. The sum over
    categories, the mean over products with any known pair.

    Args:
      negative_weight: weight of the pairs that are 0.
      class_weights: weight of each class's positives, or None.
    """

    def __init__(
        self,
        negative_weight: float = 1.0,
        class_weights: Sequence[float] | None = None,
        name: str = "binary_cross_entropy_loss",
    ):
        super().__init__(name)
        self.negative_weight, self.class_weights = negative_weight, class_weights

    def per_example(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        labels, logits = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        positive, negative = ops.cast(labels > 0.5, "float32"), ops.cast(ops.abs(labels) < 0.5, "float32")
        if self.class_weights is not None:
            positive = positive * ops.convert_to_tensor(self.class_weights, dtype="float32")
        # log(1 + e^-z) for a yes, log(1 + e^z) for a no.
        losses = positive * ops.softplus(-logits) + self.negative_weight * negative * ops.softplus(logits)
        return ops.sum(losses, axis=-1), ops.cast(ops.any(labels >= 0, axis=-1), "float32")

    def get_config(self) -> dict[str, Any]:
        return {"negative_weight": self.negative_weight, "class_weights": self.class_weights, "name": self.name}


class BinaryCrossEntropy(CrossEntropy):
    """Of multi-label objectives. Between two classes, a yes and a no, LIBLINEAR's problem is that of cross-entropy."""

    def keras_loss(self, objective: Any, class_weights: Sequence[float] | None = None) -> MaskedLoss:
        return BinaryCrossEntropyLoss(objective.negative_weight, class_weights)


LOSS = BinaryCrossEntropy()
