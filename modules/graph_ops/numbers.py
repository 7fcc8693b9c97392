"""Mean and deviation of a column of numbers, by sums that TFX Transform takes over all batches."""

from __future__ import annotations

import tensorflow as tf

_LEAST = 1e-6
"""A smaller deviation is that of a column with one value."""


def moments(values: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
    """Count, sum and sum of squares of the valid ones of float32 (n,): float64 (1, 3).

    The squares of float32 numbers have no more digits than a float64 number.
    """
    known = tf.cast(tf.boolean_mask(values, valid), tf.float64)
    count = tf.cast(tf.size(known), tf.float64)
    return tf.stack([count, tf.reduce_sum(known), tf.reduce_sum(tf.square(known))])[None, :]


def mean_and_deviation(sums: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Of summed :func:`moments`, float32: 0 and 1 of a column without any number; a deviation of nearly 0 becomes 1."""
    count, total, squares = tf.unstack(sums)
    mean = total / tf.maximum(count, 1.0)
    deviation = tf.sqrt(tf.maximum(squares / tf.maximum(count, 1.0) - tf.square(mean), 0.0))
    return tf.cast(mean, tf.float32), tf.cast(tf.where(deviation > _LEAST, deviation, 1.0), tf.float32)
