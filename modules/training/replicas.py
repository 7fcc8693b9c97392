"""Training on all GPUs of the machine: a copy of the model on each, a part of each batch for each."""

from __future__ import annotations

import tensorflow as tf

from modules.training.methods.base import TrainingSettings


def strategy_of(training: TrainingSettings) -> tf.distribute.Strategy:
    """How a model is trained: mirrored over the GPUs where there are several, and by gradient descent.

    A batch is divided among the GPUs. The loss is the mean of their parts' losses, each a mean over the part's labelled
    products; gradients are summed before they are clipped, so that a step is one of the whole batch
    (``training.batch_size`` is the whole batch's).
    """
    if len(tf.config.list_logical_devices("GPU")) < 2 or training.exact:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy()
