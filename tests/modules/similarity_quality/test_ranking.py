"""Neighbours and ranks against a sort in plain NumPy, ties included."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.similarity_quality import ranking

# Small whole numbers: products of them are exact in float32, so that ties are ties.
SHAPES = st.tuples(st.integers(0, 9), st.integers(1, 30), st.integers(1, 4), st.integers(0, 2**32 - 1))


def lists(queries: np.ndarray, products: np.ndarray, leave_out: np.ndarray) -> list[list[int]]:
    """Every query's whole list of neighbours."""
    found = []
    for query, out in zip(queries, leave_out, strict=True):
        cosines = [(-float(query @ product), row) for row, product in enumerate(products) if row != out]
        found.append([row for _, row in sorted(cosines)])
    return found


@settings(deadline=None)
@given(SHAPES, st.integers(1, 12))
def test_nearest_and_ranks_agree_with_a_sort(shape, k):
    count, products, dimension, seed = shape
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, (count, dimension)).astype(np.float32)
    y = rng.integers(-2, 3, (products, dimension)).astype(np.float16)
    out = rng.integers(-1, products, count)
    expected = lists(x, y.astype(np.float32), out)
    found = ranking.nearest(x, y, k, out)
    assert found.shape == (count, k)
    for row, whole in zip(found.tolist(), expected, strict=True):
        assert row == (whole + [-1] * k)[:k]
    pairs = [(q, p) for q in range(count) for p in range(products) if p != out[q]]
    pairs = [pairs[i] for i in rng.permutation(len(pairs))]
    of_query, of_product = np.array(pairs, np.int64).reshape(-1, 2).T
    places, cosines = ranking.ranks(x, y, of_query, of_product, out)
    assert places.tolist() == [expected[q].index(p) + 1 for q, p in pairs]
    assert cosines.tolist() == [float(x[q] @ y[p]) for q, p in pairs]


def test_blocks_make_no_difference(monkeypatch):
    rng = np.random.default_rng(1)
    x, y = rng.integers(-2, 3, (50, 3)).astype(np.float32), rng.integers(-2, 3, (200, 3)).astype(np.float32)
    pairs = rng.integers(50, size=300), rng.integers(200, size=300)
    whole = ranking.nearest(x, y, 20), *ranking.ranks(x, y, *pairs)
    monkeypatch.setattr(ranking, "_QUERIES", 7)
    monkeypatch.setattr(ranking, "_COMPARED", 500)
    parts = ranking.nearest(x, y, 20), *ranking.ranks(x, y, *pairs)
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)
