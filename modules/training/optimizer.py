"""Adam that costs only what a batch touches, and moves only what has a gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("shelfmark")
class LazyAdam(keras.optimizers.Adam):
    """Adam (Kingma & Ba 2015, algorithm 1) that leaves alone what has no gradient.

    An embedding row without a gradient, and a weight matrix or bias whose whole gradient is zero, stays bit for bit as
    it is, moments included: a batch without a label for an objective moves none of that objective's parameters, not
    even by the momentum of earlier batches. Keras' own Adam also densifies an embedding's gradient, so that a step
    costs the whole vocabulary; here it costs the rows that the batch holds. Where every gradient is dense and not
    zero this is plain Adam.

    Args:
      learning_rate: a number or a schedule.
      clip_norm: the largest Euclidean length of all gradients together; a longer one is scaled down to it.
      l2: strength of the penalty ``l2 * sum(w^2)`` on matrices and embedding tables (not on biases and norms). Added to
        the gradient after clipping, only for rows and matrices that have one.
    """

    def __init__(self, learning_rate: Any = 0.001, clip_norm: float | None = None, l2: float = 0.0, **kwargs: Any):
        super().__init__(learning_rate, **kwargs)
        self.clip_norm, self.l2 = clip_norm, l2

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
        grads = [_summed_by_row(grad) for grad in _over_replicas(grads)]
        if self.clip_norm:
            grads = _clipped(grads, self.clip_norm)
        super().apply(grads, trainable_variables)

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
        # Keras would sum over the replicas only now, behind the clipping.
        return list(grads_and_vars)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)
        first, second = self._momentums[index], self._velocities[index]
        step = ops.cast(self.iterations + 1, "float32")
        rate = ops.cast(learning_rate, "float32")
        rate = rate * ops.sqrt(1.0 - ops.power(self.beta_2, step)) / (1.0 - ops.power(self.beta_1, step))
        penalty = 2.0 * self.l2 if len(variable.shape) > 1 else 0.0
        if _is_sparse(gradient):
            _update_rows(gradient, variable, first, second, rate, penalty, self)
            return
        gradient = ops.cast(gradient, variable.dtype)
        # Multiplied, not branched on: cheaper than a conditional, and exactly nothing where it is 0.
        moves = ops.cast(ops.any(ops.not_equal(gradient, 0.0)), variable.dtype)
        if penalty:
            gradient = gradient + penalty * variable
        self.assign_add(first, moves * (1.0 - self.beta_1) * (gradient - first))
        self.assign_add(second, moves * (1.0 - self.beta_2) * (ops.square(gradient) - second))
        self.assign_sub(variable, moves * rate * first / (ops.sqrt(second) + self.epsilon))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "clip_norm": self.clip_norm, "l2": self.l2}


def _is_sparse(gradient: Any) -> bool:
    if keras.backend.backend() != "tensorflow":
        return False

    import tensorflow as tf

    return isinstance(gradient, tf.IndexedSlices)


def _over_replicas(grads: Sequence[Any]) -> list[Any]:
    """Each gradient summed over the devices that a batch is divided among."""
    if keras.backend.backend() != "tensorflow":
        return list(grads)
    import tensorflow as tf

    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return list(grads)
    present = [grad for grad in grads if grad is not None]
    summed = iter(replica.all_reduce(tf.distribute.ReduceOp.SUM, present))
    return [grad if grad is None else _of_width(next(summed), grad) for grad in grads]


def _of_width(summed: Any, grad: Any) -> Any:
    """``summed``, an embedding's rows as wide as ``grad``'s: gathering them from the devices forgets that."""
    if not _is_sparse(summed):
        return summed
    import tensorflow as tf

    values = tf.ensure_shape(summed.values, [None, *grad.values.shape[1:]])
    return tf.IndexedSlices(values, summed.indices, summed.dense_shape)


def _summed_by_row(gradient: Any) -> Any:
    """An embedding's gradient with each row once; others as they are."""
    if not _is_sparse(gradient):
        return gradient
    import tensorflow as tf

    rows, positions = tf.unique(tf.reshape(gradient.indices, [-1]))
    values = tf.reshape(gradient.values, [-1, *gradient.values.shape[-1:]])
    summed = tf.math.unsorted_segment_sum(values, positions, tf.size(rows))
    return tf.IndexedSlices(summed, rows, gradient.dense_shape)


def _clipped(grads: Sequence[Any], limit: float) -> list[Any]:
    """All gradients scaled so that their joint Euclidean length is at most ``limit``; rows must stand only once."""
    present = [grad for grad in grads if grad is not None]
    squares = [ops.sum(ops.square(ops.cast(grad.values if _is_sparse(grad) else grad, "float32"))) for grad in present]
    length = ops.sqrt(ops.sum(ops.stack(squares)))
    scale = limit / ops.maximum(length, limit)
    return [grad if grad is None else _scaled(grad, scale) for grad in grads]


def _scaled(gradient: Any, scale: Any) -> Any:
    if not _is_sparse(gradient):
        return gradient * ops.cast(scale, gradient.dtype)
    import tensorflow as tf

    return tf.IndexedSlices(
        gradient.values * tf.cast(scale, gradient.values.dtype), gradient.indices, gradient.dense_shape
    )


def _update_rows(
    gradient: Any,
    variable: Any,
    first: Any,
    second: Any,
    rate: Any,
    penalty: float,
    adam: LazyAdam,
) -> None:
    """The same step on the rows of an embedding table that the gradient holds."""
    import tensorflow as tf

    table, first, second = (v.value if isinstance(v, keras.Variable) else v for v in (variable, first, second))
    rows, values = gradient.indices, tf.cast(gradient.values, table.dtype)
    # Rows of unlabelled products are in the batch, but their gradient is zero.
    moves = tf.cast(tf.reduce_any(tf.not_equal(values, 0.0), axis=1, keepdims=True), table.dtype)
    if penalty:
        values += penalty * tf.gather(table, rows)
    old_first, old_second = tf.gather(first, rows), tf.gather(second, rows)
    new_first = old_first + moves * (1.0 - adam.beta_1) * (values - old_first)
    new_second = old_second + moves * (1.0 - adam.beta_2) * (tf.square(values) - old_second)
    first.scatter_update(tf.IndexedSlices(new_first, rows))
    second.scatter_update(tf.IndexedSlices(new_second, rows))
    table.scatter_sub(tf.IndexedSlices(moves * rate * new_first / (tf.sqrt(new_second) + adam.epsilon), rows))
