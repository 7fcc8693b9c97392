"""The embedding bag against a dense product, and the table of pretrained vectors."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.graph_ops.layers import EmbeddingBag, UnitLength

VOCABULARY, WIDTH = 6, 3


def bag(**changes) -> tuple[EmbeddingBag, np.ndarray]:
    table = np.random.default_rng(0).normal(size=(VOCABULARY, WIDTH)).astype(np.float32)
    layer = EmbeddingBag(VOCABULARY, WIDTH, **changes)
    layer.build()
    layer.table.assign(table)
    return layer, table


def padded(rows: list[list[tuple[int, float]]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids and weights padded, and the same as a dense (rows, VOCABULARY) matrix."""
    longest = max((len(row) for row in rows), default=0)
    ids = np.full((len(rows), longest), -1, np.int64)
    weights, matrix = np.zeros(ids.shape, np.float32), np.zeros((len(rows), VOCABULARY), np.float32)
    for at, row in enumerate(rows):
        for place, (token, weight) in enumerate(row):
            ids[at, place], weights[at, place] = token, weight
            matrix[at, token] += weight
    return ids, weights, matrix


ROWS = st.lists(st.lists(st.tuples(st.integers(0, VOCABULARY - 1), st.floats(-2, 2, width=32)), max_size=5), max_size=6)


class TestEmbeddingBag:
    @given(ROWS)
    @settings(deadline=None, max_examples=60)
    def test_is_the_product_of_a_sparse_and_a_dense_matrix(self, rows):
        layer, table = bag()
        ids, weights, matrix = padded(rows)
        found = layer(ids, weights).numpy()
        assert found.shape == (len(rows), WIDTH) and found.dtype == np.float32
        np.testing.assert_allclose(found, matrix @ table, atol=1e-5)

    @pytest.mark.parametrize(
        "rows",
        [[[], []], [[], [(1, 2.0)]], [[(1, 2.0)], []], [[(1, 2.0)], [], [], [(0, 1.0), (0, 1.0)], []]],
        ids=["all empty", "empty first", "empty last", "empty within and last"],
    )
    def test_empty_rows_are_zeros_in_their_place(self, rows):
        layer, table = bag()
        ids, weights, matrix = padded(rows)
        found = layer(ids, weights).numpy()
        np.testing.assert_allclose(found, matrix @ table, atol=1e-6)
        assert (found[[not row for row in rows]] == 0).all()

    def test_weights_at_padding_count_nothing(self):
        layer, table = bag()
        found = layer(np.array([[2, -1, -1]]), np.array([[1.0, 99.0, np.nan]], np.float32)).numpy()
        np.testing.assert_allclose(found, table[[2]], atol=1e-6)

    def test_gradient_is_that_of_the_dense_product(self):
        layer, _table = bag()
        ids, weights, matrix = padded([[(1, 2.0), (4, -1.0)], [], [(1, 0.5)]])
        upstream = np.arange(9, dtype=np.float32).reshape(3, 3)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(ids, weights) * upstream)
        gradient = tape.gradient(loss, layer.table.value)
        assert isinstance(gradient, tf.IndexedSlices)
        assert set(gradient.indices.numpy()) == {1, 4}
        np.testing.assert_allclose(tf.convert_to_tensor(gradient), matrix.T @ upstream, atol=1e-5)

    def test_dropout_leaves_out_tokens_in_training_only(self):
        layer, table = bag(dropout=0.5, seed=3)
        ids, weights, matrix = padded([[(0, 1.0)]] * 400)
        np.testing.assert_allclose(layer(ids, weights).numpy(), matrix @ table, atol=1e-6)
        share = layer(ids, weights, training=True).numpy()[:, 0] / table[0, 0]
        assert set(np.round(share, 4)) == {0.0, 2.0}
        assert 0.35 < (share == 0).mean() < 0.65

    def test_half_precision_reads_the_table_and_weights_in_full(self):
        layer, _ = bag(dtype="mixed_bfloat16")
        layer.table.assign(np.full((VOCABULARY, WIDTH), 1.001, np.float32))
        # 1,000 * 1.001 - 1,001 * 1.0 is 0: lost if either factor had only 8 bits.
        ids, weights, _ = padded([[(0, 1000.0), (1, -1001.0)]])
        layer.table.assign(np.vstack([np.full((1, WIDTH), 1.001), np.ones((VOCABULARY - 1, WIDTH))]))
        found = layer(ids, weights)
        assert found.dtype == tf.bfloat16
        np.testing.assert_allclose(found.numpy().astype(np.float32), 0.0, atol=1e-3)

    def test_comes_back_from_its_configuration(self):
        layer, _ = bag(initializer=keras.initializers.RandomNormal(stddev=0.5, seed=1), dropout=0.25, seed=9)
        again = EmbeddingBag.from_config(layer.get_config())
        assert again.get_config() == layer.get_config()


def test_unit_length_and_rows_of_zeros():
    found = UnitLength()(np.array([[3.0, 4.0], [0.0, 0.0], [1e-30, 0.0]], np.float32)).numpy()
    np.testing.assert_allclose(found[:2], [[0.6, 0.8], [0.0, 0.0]], atol=1e-6)
    assert np.isfinite(found).all()
