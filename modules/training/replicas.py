"""Training on all GPUs of the machine: a copy of the model on each, a part of each batch for each."""

from __future__ import annotations

import tensorflow as tf

from modules.settings.workflow import Workflow


def strategy_of(workflow: Workflow) -> tf.distribute.Strategy:
    """How a model of this workflow is trained: mirrored over the GPUs where there are several and Adam is the solver.

    A batch is divided among the GPUs. The loss is the mean of their parts' losses, each a mean over the part's labelled
    products; gradients are summed before they are clipped, so that a step is one of the whole batch
    (``training.batch_size`` is the whole batch's).
    """
    if len(tf.config.list_logical_devices("GPU")) < 2 or workflow.training.solver != "adam":
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy()
