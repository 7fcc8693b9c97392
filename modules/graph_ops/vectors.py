"""Vectors of a product in TensorFlow ops, between the sparse columns of examples and dense rows."""

from __future__ import annotations

import tensorflow as tf


def rows_of_length(column: tf.SparseTensor, length: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Sparse float32 values, a vector or nothing in each row, as dense rows.

    Returns:
      The vectors, float32 (n, ``length``), and which rows have one, bool (n,). A row whose vector is missing, of
      another length or not finite has zeros.
    """
    lengths = tf.math.bincount(
        tf.cast(column.indices[:, 0], tf.int32), minlength=tf.cast(column.dense_shape[0], tf.int32)
    )
    present = tf.equal(lengths[: column.dense_shape[0]], length)
    vectors = tf.RaggedTensor.from_sparse(column).to_tensor(0.0, shape=[None, length])
    present = present & tf.reduce_all(tf.math.is_finite(vectors), axis=1)
    return tf.where(present[:, None], vectors, 0.0), present


def sparse_rows(vectors: tf.Tensor, present: tf.Tensor) -> tf.SparseTensor:
    """The inverse of :func:`rows_of_length`: a row that is not ``present`` has no value."""
    length = tf.shape(vectors, tf.int64)[1]
    rows = tf.where(present)
    indices = tf.stack(
        [tf.repeat(rows[:, 0], length), tf.tile(tf.range(length), [tf.shape(rows, tf.int64)[0]])], axis=1
    )
    return tf.SparseTensor(indices, tf.reshape(tf.gather(vectors, rows[:, 0]), [-1]), tf.shape(vectors, tf.int64))
