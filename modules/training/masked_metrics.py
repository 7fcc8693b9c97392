"""Metrics over the labelled examples of a whole split."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class MaskedMean(keras.metrics.Metric):
    """A masked loss over a whole split: the exact mean over labelled examples, whatever the batches held."""

    def __init__(self, loss: keras.losses.Loss, name: str = "labelled_loss"):
        super().__init__(name=name)
        self.loss = loss
        self.total = self.add_weight(name="total", initializer="zeros")
        self.weight = self.add_weight(name="weight", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any | None = None) -> None:
        losses, weights = self.loss.per_example(y_true, y_pred)
        self.total.assign_add(ops.sum(losses * weights))
        self.weight.assign_add(ops.sum(weights))

    def result(self) -> Any:
        return self.total / ops.maximum(self.weight, 1e-9)


class MaskedAccuracy(keras.metrics.Metric):
    """Share of labelled examples whose highest logit is their label's."""

    def __init__(self, name: str = "accuracy"):
        super().__init__(name=name)
        self.right = self.add_weight(name="right", initializer="zeros")
        self.labelled = self.add_weight(name="labelled", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any | None = None) -> None:
        labels = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        known = ops.cast(labels >= 0, "float32")
        hit = ops.cast(ops.equal(ops.cast(ops.argmax(y_pred, axis=-1), "int32"), labels), "float32")
        self.right.assign_add(ops.sum(hit * known))
        self.labelled.assign_add(ops.sum(known))

    def result(self) -> Any:
        return self.right / ops.maximum(self.labelled, 1e-9)
