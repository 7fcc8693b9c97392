"""What a loss answers, and the mask that all of them share: without a label, an example adds nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

import keras
import numpy.typing as npt
from keras import ops
from scipy import sparse

from modules.arrays import Float32Array, Float64Array

Matrix: TypeAlias = Float32Array | sparse.csr_matrix
Coefficients: TypeAlias = tuple[Float64Array, Float64Array]
"""Weights (problems, inputs) and intercepts (problems,)."""


class MaskedLoss(keras.losses.Loss):
    """A Keras loss: the weighted mean over the examples of a batch that have a label; 0 where none has."""

    def __init__(self, name: str):
        super().__init__(name=name, reduction="sum")

    def per_example(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        """Loss of each example and its weight (0: unlabelled), both float32 (batch,)."""
        raise NotImplementedError

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The mean; float32 scalar."""
        losses, weights = self.per_example(y_true, y_pred)
        total = ops.sum(weights)
        return ops.sum(losses * weights) / ops.where(total > 0.0, total, 1.0)


def exclusive_targets(y_true: Any, classes: int, class_weights: Sequence[float] | None) -> tuple[Any, Any]:
    """One-hot targets, float32 (batch, classes), and weights, float32 (batch,); of a label -1 the weight is 0."""
    labels = ops.cast(ops.reshape(y_true, (-1,)), "int32")
    weights = ops.cast(labels >= 0, "float32")
    labels = ops.maximum(labels, 0)
    if class_weights is not None:
        weights = weights * ops.take(ops.convert_to_tensor(class_weights, dtype="float32"), labels)
    return ops.one_hot(labels, classes, dtype="float32"), weights


class LossKind(ABC):
    """One loss, with every solver that can minimise it (``modules.settings.losses`` lists which)."""

    temperature: ClassVar[float] = 1.0
    """What an exclusive head's logits are divided by where no temperature can be fitted."""

    @abstractmethod
    def keras_loss(self, objective: Any, class_weights: Sequence[float] | None = None) -> MaskedLoss:
        """For solvers that go step by step.

        Args:
          objective: the settings of an objective that has this loss.
          class_weights: one number per class; None: all are 1.
        """

    def fit_liblinear(
        self, matrix: Matrix, labels: npt.NDArray[Any], *, balanced: bool, c: float, seed: int,
        weights: Float64Array | None = None,
    ) -> Coefficients:  # fmt: skip
        """The exact optimum of linear scores with an L2 penalty.

        Args:
          matrix: shape (n, inputs).
          labels: shape (n,), of at least two different values.
          balanced: whether each class counts as much as any other.
          c: inverse strength of the penalty.
          weights: of each example, shape (n,).

        Returns:
          One row per binary problem: of two classes the one of the greater, of more each one against all others, in
          ascending order.
        """
        raise NotImplementedError(f"{type(self).__name__} is not for liblinear")
