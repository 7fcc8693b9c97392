"""The k highest of many scores."""

from __future__ import annotations

import numpy as np

from modules.arrays import BoolArray, Float32Array, Int64Array


def top_k(rows: Int64Array, scores: Float32Array, k: int) -> tuple[Int64Array, Float32Array]:
    """The ``k`` rows of each query with the highest scores, or all where there are fewer; ties keep their order.

    Args:
      rows, scores: (q, n).
    """
    if scores.shape[1] > 2 * k:
        # A score of -inf marks an empty place. Empty places need no ordering.
        rows, scores = compacted((scores >= kth_highest(scores, k)) & (scores > -np.inf), rows, scores, k)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)


def kth_highest(scores: Float32Array, k: int) -> Float32Array:
    """The ``k``-th highest score of each query, (q, 1); ``scores``: (q, n) with n of at least ``k``."""
    place = scores.shape[1] - k
    return np.partition(scores, place, axis=1)[:, place, None]


def compacted(
    keep: BoolArray, rows: Int64Array, scores: Float32Array, least: int = 0
) -> tuple[Int64Array, Float32Array]:
    """Each query's rows and scores where ``keep`` holds, in their order, padded with -1 and -inf to the widest query.

    Args:
      keep, scores: (q, n).
      rows: (q, n), or (n,) if they are the same for all queries.
      least: the least number of columns to return.
    """
    query, place = np.nonzero(keep)
    counts = np.bincount(query, minlength=len(keep))
    slot = np.arange(len(query)) - (np.cumsum(counts) - counts)[query]
    shape = (len(keep), max(least, int(counts.max(initial=0))))
    some, values = np.full(shape, -1, np.int64), np.full(shape, -np.inf, np.float32)
    some[query, slot] = rows[place] if rows.ndim == 1 else rows[query, place]
    values[query, slot] = scores[query, place]
    return some, values
