"""Masked losses: an example without a label for an objective adds nothing to that objective's loss."""

from __future__ import annotations

import keras
from keras import ops

UNLABELLED = -1


def _mean(losses, weights):
    """The weighted mean; 0 where nothing has weight."""
    total = ops.sum(weights)
    return ops.sum(losses * weights) / ops.where(total > 0.0, total, 1.0)


@keras.saving.register_keras_serializable("shelfmark")
class ExclusiveLoss(keras.losses.Loss):
    """Softmax cross-entropy or one-versus-rest squared hinge over the labelled examples of a batch.

    ``y_true``: int (batch,), -1 unlabelled. ``y_pred``: logits (batch, classes). The mean over the labelled ones,
    weighted by their class.

    Args:
      loss: ``cross_entropy`` or ``squared_hinge``: sum over classes of max(0, 1 - s_c z_c)^2, s_c = 1 for the label
        and -1 for all others (Crammer & Singer's one-versus-rest baseline, as in LIBLINEAR).
      class_weights: one number per class, or None.
      label_smoothing: share of the target spread over all classes (cross-entropy only).
    """

    def __init__(self, loss="cross_entropy", class_weights=None, label_smoothing=0.0, name="exclusive_loss"):
        super().__init__(name=name, reduction="sum")
        self.loss, self.class_weights, self.label_smoothing = loss, class_weights, label_smoothing

    def per_example(self, y_true, y_pred):
        """Loss of each example and its weight (0: unlabelled), both float32 (batch,)."""
        labels = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        logits = ops.cast(y_pred, "float32")
        known = labels >= 0
        labels = ops.maximum(labels, 0)
        classes = logits.shape[-1]
        target = ops.one_hot(labels, classes, dtype="float32")
        if self.loss == "squared_hinge":
            losses = ops.sum(ops.square(ops.relu(1.0 - (2.0 * target - 1.0) * logits)), axis=-1)
        else:
            smoothed = target * (1.0 - self.label_smoothing) + self.label_smoothing / classes
            losses = ops.categorical_crossentropy(smoothed, logits, from_logits=True)
        weights = ops.cast(known, "float32")
        if self.class_weights is not None:
            weights = weights * ops.take(ops.convert_to_tensor(self.class_weights, dtype="float32"), labels)
        return losses, weights

    def call(self, y_true, y_pred):
        return _mean(*self.per_example(y_true, y_pred))

    def get_config(self):
        return {
            "loss": self.loss,
            "class_weights": self.class_weights,
            "label_smoothing": self.label_smoothing,
            "name": self.name,
        }


@keras.saving.register_keras_serializable("shelfmark")
class MultiLabelLoss(keras.losses.Loss):
    """Sigmoid cross-entropy over the (product, category) pairs that have a label.

    ``y_true``: (batch, classes): 1 yes, 0 no, -1 unknown. ``y_pred``: logits of the same shape. The sum over
    categories, the mean over products with any known pair.

    Args:
      negative_weight: weight of the pairs that are 0.
      class_weights: weight of each class's positives, or None.
    """

    def __init__(self, negative_weight=1.0, class_weights=None, name="multi_label_loss"):
        super().__init__(name=name, reduction="sum")
        self.negative_weight, self.class_weights = negative_weight, class_weights

    def per_example(self, y_true, y_pred):
        """Loss of each example and its weight (0: unlabelled), both float32 (batch,)."""
        labels, logits = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        positive, negative = ops.cast(labels > 0.5, "float32"), ops.cast(ops.abs(labels) < 0.5, "float32")
        if self.class_weights is not None:
            positive = positive * ops.convert_to_tensor(self.class_weights, dtype="float32")
        # log(1 + e^-z) for a yes, log(1 + e^z) for a no.
        losses = positive * ops.softplus(-logits) + self.negative_weight * negative * ops.softplus(logits)
        return ops.sum(losses, axis=-1), ops.cast(ops.any(labels >= 0, axis=-1), "float32")

    def call(self, y_true, y_pred):
        return _mean(*self.per_example(y_true, y_pred))

    def get_config(self):
        return {"negative_weight": self.negative_weight, "class_weights": self.class_weights, "name": self.name}


class MaskedMean(keras.metrics.Metric):
    """A masked loss over a whole split: the exact mean over labelled examples, whatever the batches held."""

    def __init__(self, loss, name="labelled_loss"):
        super().__init__(name=name)
        self.loss = loss
        self.total = self.add_weight(name="total", initializer="zeros")
        self.weight = self.add_weight(name="weight", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        losses, weights = self.loss.per_example(y_true, y_pred)
        self.total.assign_add(ops.sum(losses * weights))
        self.weight.assign_add(ops.sum(weights))

    def result(self):
        return self.total / ops.maximum(self.weight, 1e-9)


class MaskedAccuracy(keras.metrics.Metric):
    """Share of labelled examples whose highest logit is their label's."""

    def __init__(self, name="accuracy"):
        super().__init__(name=name)
        self.right = self.add_weight(name="right", initializer="zeros")
        self.labelled = self.add_weight(name="labelled", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        labels = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        known = ops.cast(labels >= 0, "float32")
        hit = ops.cast(ops.equal(ops.cast(ops.argmax(y_pred, axis=-1), "int32"), labels), "float32")
        self.right.assign_add(ops.sum(hit * known))
        self.labelled.assign_add(ops.sum(known))

    def result(self):
        return self.right / ops.maximum(self.labelled, 1e-9)
