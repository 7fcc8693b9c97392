"""Losses on embeddings of unit length. Each is one number per batch, 0 where the batch has nothing to compare."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from modules.settings.image_training import MetricLearningSettings

_FAR = -1e9


def metric_loss(settings: MetricLearningSettings) -> keras.losses.Loss:
    """The loss that the workflow names."""
    if settings.kind == "triplet":
        return TripletLoss(settings.margin)
    return SupervisedContrastiveLoss(settings.temperature)


@keras.saving.register_keras_serializable("shelfmark")
class ContrastiveLoss(keras.losses.Loss):
    """NT-Xent (Chen et al. 2020, equation 1): two views of one picture are told from all other views of the batch.

    ``y_pred``: (2n, width), rows of unit length; rows i and n + i are views of one picture. ``y_true`` is not read.
    """

    def __init__(self, temperature: float = 0.2, name: str = "contrastive_loss"):
        super().__init__(name=name, reduction="sum")
        self.temperature = temperature

    def call(self, y_true: Any, y_pred: Any) -> Any:
        vectors = ops.cast(y_pred, "float32")
        count = ops.shape(vectors)[0]
        similarity = ops.matmul(vectors, ops.transpose(vectors)) / self.temperature
        similarity = similarity + ops.eye(count) * _FAR
        other = ops.roll(ops.arange(count), -(count // 2))
        at = ops.one_hot(other, count, dtype="float32")
        return ops.mean(ops.logsumexp(similarity, axis=1) - ops.sum(similarity * at, axis=1))

    def get_config(self) -> dict[str, Any]:
        return {"temperature": self.temperature, "name": self.name}


@keras.saving.register_keras_serializable("shelfmark")
class SupervisedContrastiveLoss(keras.losses.Loss):
    """Khosla et al. 2020, equation 2 (sum outside the logarithm), over the labelled products of a batch.

    ``y_true``: int (batch,), -1 unlabelled: no anchor, no positive and no negative. ``y_pred``: (batch, width), rows of
    unit length. The mean over the anchors that have another product of their category in the batch.
    """

    def __init__(self, temperature: float = 0.1, name: str = "supervised_contrastive_loss"):
        super().__init__(name=name, reduction="sum")
        self.temperature = temperature

    def call(self, y_true: Any, y_pred: Any) -> Any:
        same, others, similarity = _pairs(y_true, y_pred)
        scores = similarity / self.temperature
        logs = scores - ops.logsumexp(ops.where(others > 0, scores, _FAR), axis=1, keepdims=True)
        positives = ops.sum(same, axis=1)
        losses = -ops.sum(ops.where(same > 0, logs, 0.0), axis=1) / ops.maximum(positives, 1.0)
        anchors = ops.cast(positives > 0, "float32")
        return ops.sum(losses * anchors) / ops.maximum(ops.sum(anchors), 1.0)

    def get_config(self) -> dict[str, Any]:
        return {"temperature": self.temperature, "name": self.name}


@keras.saving.register_keras_serializable("shelfmark")
class TripletLoss(keras.losses.Loss):
    """max(0, d(a, p) - d(a, n) + margin) with squared distances (Schroff et al. 2015, equation 3).

    The mean over all triplets of the batch's labelled products that break the margin (Hermans et al. 2017, batch all).
    ``y_true`` and ``y_pred`` as of :class:`SupervisedContrastiveLoss`.
    """

    def __init__(self, margin: float = 0.2, name: str = "triplet_loss"):
        super().__init__(name=name, reduction="sum")
        self.margin = margin

    def call(self, y_true: Any, y_pred: Any) -> Any:
        same, others, similarity = _pairs(y_true, y_pred)
        distance = 2.0 - 2.0 * similarity
        # (anchor, positive, negative)
        losses = ops.relu(distance[:, :, None] - distance[:, None, :] + self.margin)
        losses = losses * same[:, :, None] * (others - same)[:, None, :]
        broken = ops.sum(ops.cast(losses > 0.0, "float32"))
        return ops.sum(losses) / ops.maximum(broken, 1.0)

    def get_config(self) -> dict[str, Any]:
        return {"margin": self.margin, "name": self.name}


def _pairs(labels: Any, vectors: Any) -> Any:
    """Pairs of one category, pairs of two labelled products, neither with itself, and cosines; float32 (n, n) each."""
    labels = ops.cast(ops.reshape(labels, (-1,)), "int32")
    vectors = ops.cast(vectors, "float32")
    # A product that has nothing to embed has a row of zeros.
    known = ops.cast((labels >= 0) & (ops.sum(ops.square(vectors), axis=1) > 0.5), "float32")
    others = known[:, None] * known[None, :] * (1.0 - ops.eye(ops.shape(labels)[0]))
    same = others * ops.cast(labels[:, None] == labels[None, :], "float32")
    return same, others, ops.matmul(vectors, ops.transpose(vectors))
