"""Exact neighbours and ranks, block by block: what every figure here is computed from."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from modules.arrays import Float32Array, Int64Array

Vectors = npt.NDArray[Any]

NOBODY = -1
_QUERIES = 256
_COMPARED = 1 << 24
"""Scores that are compared at a time: 64 MiB."""


def nearest(queries: Vectors, products: Vectors, k: int, leave_out: Int64Array | None = None) -> Int64Array:
    """The ``k`` products of the largest cosine; of equal ones, the lower rows.

    Args:
      queries: floats (q, d), rows of unit length.
      products: floats (n, d), the same.
      leave_out: int64 (q,), a product that does not count (the query itself), or -1.

    Returns:
      int64 (q, k), best first; -1 where there are fewer.
    """
    neighbours = np.full((len(queries), k), NOBODY, np.int64)
    width = min(k, len(products))
    for block in _blocks(queries):
        scores = _scores(queries, products, block, leave_out)
        if width < scores.shape[1]:
            floor = np.partition(scores, -width, axis=1)[:, -width][:, None]
            keep = scores >= floor
            # More than k where several stand at the k-th score: of those, the lower rows.
            for row in np.flatnonzero(np.count_nonzero(keep, axis=1) > width):
                at_floor = np.flatnonzero(scores[row] == floor[row])
                keep[row, at_floor[width - np.count_nonzero(scores[row] > floor[row]) :]] = False
            rows = np.nonzero(keep)[1].reshape(len(scores), width)
        else:
            rows = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
        own = np.take_along_axis(scores, rows, 1)
        order = np.argsort(-own, axis=1, kind="stable")
        best = np.take_along_axis(rows, order, 1)
        neighbours[block, :width] = np.where(np.isneginf(np.take_along_axis(own, order, 1)), NOBODY, best)
    return neighbours


def ranks(
    queries: Vectors,
    products: Vectors,
    of_query: Int64Array,
    of_product: Int64Array,
    leave_out: Int64Array | None = None,
) -> tuple[Int64Array, Float32Array]:
    """At which place a query's list of all products has certain ones.

    Args:
      queries, products, leave_out: as :func:`nearest` takes them.
      of_query, of_product: int64 (p,), pairs of rows; those of one query need not stand together.

    Returns:
      int64 (p,), 1 for the nearest product; of equal cosines the lower row comes first. float32 (p,), the cosines.
    """
    place, cosine = np.zeros(len(of_query), np.int64), np.zeros(len(of_query), np.float32)
    order = np.argsort(of_query, kind="stable")
    sorted_queries = of_query[order]
    step = max(1, _COMPARED // max(1, len(products)))
    columns = np.arange(len(products))
    for block in _blocks(queries):
        start, end = np.searchsorted(sorted_queries, (block.start, block.stop))
        if start == end:
            continue
        scores = _scores(queries, products, block, leave_out)
        for first in range(start, end, step):
            pairs = order[first : min(first + step, end)]
            compared = scores[of_query[pairs] - block.start]
            own = compared[np.arange(len(pairs)), of_product[pairs]]
            before = np.count_nonzero(compared > own[:, None], axis=1)
            equal = (compared == own[:, None]) & (columns < of_product[pairs][:, None])
            place[pairs], cosine[pairs] = 1 + before + np.count_nonzero(equal, axis=1), own
    return place, cosine


def _blocks(queries: Vectors) -> list[slice]:
    return [slice(start, min(start + _QUERIES, len(queries))) for start in range(0, len(queries), _QUERIES)]


def _scores(queries: Vectors, products: Vectors, block: slice, leave_out: Int64Array | None) -> Float32Array:
    """(queries of the block, products), -inf where the product is left out."""
    scores = np.asarray(queries[block], np.float32) @ np.asarray(products, np.float32).T
    if leave_out is not None:
        out = leave_out[block]
        has = out >= 0
        scores[np.flatnonzero(has), out[has]] = -np.inf
    return scores
