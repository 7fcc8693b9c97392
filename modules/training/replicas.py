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
    gpus = tf.config.list_logical_devices("GPU")
    if len(gpus) < 2 or workflow.training.solver != "adam":
        return tf.distribute.get_strategy()
    return mirrored([gpu.name for gpu in gpus])


def mirrored(devices: list[str]) -> tf.distribute.MirroredStrategy:
    """Over these devices; NCCL where it is there, which only GPUs have."""
    if all("GPU" in device for device in devices):
        return tf.distribute.MirroredStrategy(devices)
    return tf.distribute.MirroredStrategy(devices, tf.distribute.ReductionToOneDevice())
