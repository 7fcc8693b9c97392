"""Trainings over two devices, in a process of its own: devices can be made only before TensorFlow starts.

Writes OUTPUT, an .npz: the catalogue's model fitted on one and on two devices, and one variable after steps of LazyAdam
with its gradients as a whole and as two halves.
"""

from __future__ import annotations

import sys

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from modules.training import member
from modules.training.fit import losses_of
from modules.training.member import TrainingData
from modules.training.optimizer import LazyAdam
from modules.training.run import input_sizes
from tests.modules.training.catalogue import TREE
from tests.modules.training.shared import TRAINING, class_counts, tiny

DEVICES = ["CPU:0", "CPU:1"]
START = np.arange(12, dtype=np.float32).reshape(6, 2) / 10
STEPS = np.random.default_rng(0).normal(size=(5, 2, 6, 2)).astype(np.float32)
"""(step, replica, row, column)."""
ROWS = [[0, 3, 3], [3, 5, 1]]
"""Rows that each replica's gradient holds, one of them in both and twice in one."""


def steps(strategy: tf.distribute.Strategy, sparse: bool) -> np.ndarray:
    """The variable after all steps; one replica gets the sum of the halves."""
    with strategy.scope():
        variable = keras.Variable(START)
        optimizer = LazyAdam(0.1, clip_norm=0.5, l2=0.01)
        optimizer.build([variable])

    @tf.function
    def step(halves: tf.Tensor) -> None:
        def one(halves: tf.Tensor) -> None:
            number = tf.distribute.get_replica_context().replica_id_in_sync_group
            alone = strategy.num_replicas_in_sync == 1
            if not sparse:
                optimizer.apply([tf.reduce_sum(halves, 0) if alone else tf.gather(halves, number)])
                return
            rows = tf.constant(ROWS)
            if alone:
                rows, values = tf.reshape(rows, [-1]), tf.concat([tf.gather(halves[i], ROWS[i]) for i in (0, 1)], 0)
            else:
                rows = tf.gather(rows, number)
                values = tf.gather(tf.gather(halves, number), rows)
            optimizer.apply([tf.IndexedSlices(values, rows, tf.constant([6, 2]))])

        strategy.run(one, args=(halves,))

    for halves in STEPS:
        step(tf.constant(halves))
    return variable.numpy()


def fitted(strategy: tf.distribute.Strategy, transform: str, train: str, evaluation: str) -> dict[str, np.ndarray]:
    """The model's weights and the loss of each epoch."""
    settings = {**TRAINING, "epochs": 4}
    workflow = tiny(("title", "brand", "price"), model={"kind": "deep", "hidden": [8]}, training=settings)
    sizes = input_sizes(workflow, tft.TFTransformOutput(transform), class_counts())
    data = TrainingData([train], [evaluation], 240, 80, True, sizes, losses_of(workflow.objectives, {}))
    keras.utils.set_random_seed(7)
    member.strategy_of = lambda workflow: strategy
    model, result = member.fit_member(workflow, TREE, data)
    assert model.distribute_strategy.num_replicas_in_sync == 1, "what is exported is on one device"
    losses = result.history["val_exclusive_labelled_loss"]
    return {"losses": np.array(losses), **{f"weight/{i}": w for i, w in enumerate(model.get_weights())}}


def main(transform: str, train: str, evaluation: str, output: str) -> None:
    """Writes both."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    found = {}
    for name, strategy in (("one", tf.distribute.get_strategy()), ("two", tf.distribute.MirroredStrategy(DEVICES))):
        found |= {f"{name}/dense": steps(strategy, False), f"{name}/sparse": steps(strategy, True)}
        found |= {f"{name}/{key}": value for key, value in fitted(strategy, transform, train, evaluation).items()}
    np.savez(output, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
