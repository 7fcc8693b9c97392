"""LazyAdam against Keras' Adam, and that nothing without a gradient moves."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from modules.training.optimizer import LazyAdam

RNG = np.random.default_rng(3)
STEPS = [RNG.normal(size=(5, 2)).astype(np.float32) for _ in range(6)]
START = RNG.normal(size=(5, 2)).astype(np.float32)


def run(optimizer, gradients, start=START) -> np.ndarray:
    variable = keras.Variable(start)
    optimizer.build([variable])
    step = tf.function(lambda gradient: optimizer.apply([gradient]), reduce_retracing=True)
    for gradient in gradients:
        step(gradient)
    return variable.numpy()


def slices(dense: np.ndarray, rows: list[int]) -> tf.IndexedSlices:
    return tf.IndexedSlices(tf.constant(dense[rows]), tf.constant(rows, tf.int64), tf.constant(dense.shape, tf.int64))


@pytest.mark.parametrize("clip", [None, 0.5, 100.0])
def test_dense_gradients_are_plain_adam(clip):
    expected = run(keras.optimizers.Adam(0.1, global_clipnorm=clip), [tf.constant(g) for g in STEPS])
    found = run(LazyAdam(0.1, clip_norm=clip), [tf.constant(g) for g in STEPS])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("clip", [None, 0.5])
def test_rows_touched_every_step_are_plain_adam(clip):
    rows = [3, 0, 4]
    masked = [g * np.isin(np.arange(5), rows)[:, None] for g in STEPS]
    expected = run(keras.optimizers.Adam(0.1, global_clipnorm=clip), [tf.constant(g) for g in masked])
    found = run(LazyAdam(0.1, clip_norm=clip), [slices(g, rows) for g in masked])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_array_equal(found[[1, 2]], START[[1, 2]])


def test_a_row_that_stands_twice_has_the_sum_of_its_gradients():
    def twice(gradient):
        halves = np.concatenate([gradient[[2]] - 1.0, gradient[[0]], np.ones((1, 2), np.float32)])
        return tf.IndexedSlices(tf.constant(halves), tf.constant([2, 0, 2], tf.int64), tf.constant([5, 2], tf.int64))

    # With clipping, whose length must count the sum and not the parts.
    found = run(LazyAdam(0.1, clip_norm=0.5), [twice(g) for g in STEPS])
    expected = run(LazyAdam(0.1, clip_norm=0.5), [slices(g, [0, 2]) for g in STEPS])
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_rows_without_a_gradient_stay_bit_for_bit_after_momentum():
    variable = keras.Variable(START)
    optimizer = LazyAdam(0.1, clip_norm=1.0, l2=0.1)
    optimizer.build([variable])
    optimizer.apply([slices(STEPS[0], [0, 1])])
    before, moments = variable.numpy(), [v.numpy() for v in optimizer.variables[2:]]
    zero_row = STEPS[1].copy()
    zero_row[1] = 0.0
    optimizer.apply([slices(zero_row, [1, 2])])
    after = variable.numpy()
    np.testing.assert_array_equal(after[[0, 1, 3, 4]], before[[0, 1, 3, 4]])
    assert (after[2] != before[2]).all()
    for old, new in zip(moments, [v.numpy() for v in optimizer.variables[2:]], strict=True):
        np.testing.assert_array_equal(new[[0, 1]], old[[0, 1]])


def test_a_matrix_without_a_gradient_stays_bit_for_bit_after_momentum():
    first, second = keras.Variable(START), keras.Variable(START)
    optimizer = LazyAdam(0.1, clip_norm=1.0, l2=0.1)
    optimizer.build([first, second])
    optimizer.apply([tf.constant(STEPS[0]), tf.constant(STEPS[0])])
    before = second.numpy()
    optimizer.apply([tf.constant(STEPS[1]), tf.zeros((5, 2))])
    np.testing.assert_array_equal(second.numpy(), before)
    assert (first.numpy() != before).any()


def test_l2_is_kerass_regulariser_on_dense_matrices_and_leaves_biases():
    penalised = [tf.constant(STEPS[0] + 2 * 0.3 * START)]
    expected = run(keras.optimizers.Adam(0.1), penalised)
    np.testing.assert_allclose(run(LazyAdam(0.1, l2=0.3), [tf.constant(STEPS[0])]), expected, rtol=1e-5)
    np.testing.assert_allclose(run(LazyAdam(0.1, l2=0.3), [slices(STEPS[0], [0, 1, 2, 3, 4])]), expected, rtol=1e-5)
    bias = START[:, 0]
    without = run(LazyAdam(0.1), [tf.constant(STEPS[0][:, 0])], bias)
    np.testing.assert_array_equal(run(LazyAdam(0.1, l2=0.3), [tf.constant(STEPS[0][:, 0])], bias), without)


def test_clipping_counts_all_gradients_together():
    optimizer = LazyAdam(1.0, beta_1=0.0, beta_2=0.0, epsilon=1.0, clip_norm=1.0)
    table, bias = keras.Variable(np.zeros((3, 1), np.float32)), keras.Variable(np.zeros(1, np.float32))
    optimizer.build([table, bias])
    gradient = tf.IndexedSlices(tf.constant([[3.0]]), tf.constant([1], tf.int64), tf.constant([3, 1], tf.int64))
    optimizer.apply([gradient, tf.constant([4.0])])
    # Without moments a step is g / (|g| + 1), of the gradient scaled from (3, 4) to (0.6, 0.8).
    np.testing.assert_allclose(table.numpy().ravel(), [0.0, -0.6 / 1.6, 0.0], rtol=1e-5)
    np.testing.assert_allclose(bias.numpy(), [-0.8 / 1.8], rtol=1e-5)


def test_comes_back_from_its_configuration():
    again = keras.optimizers.deserialize(keras.optimizers.serialize(LazyAdam(0.1, clip_norm=0.7, l2=0.2)))
    np.testing.assert_array_equal(
        run(again, [tf.constant(g) for g in STEPS]),
        run(LazyAdam(0.1, clip_norm=0.7, l2=0.2), [tf.constant(g) for g in STEPS]),
    )
