"""The best of many scores."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modules.similarity.items import Floats

Rows = npt.NDArray[np.int64]
Keep = npt.NDArray[np.bool_]


def best(rows: Rows, scores: Floats, k: int) -> tuple[Rows, Floats]:
    """The ``k`` rows (or all, where there are fewer) of each query with the highest scores; equal ones as they come.

    Args:
      rows, scores: (q, n).
    """
    if scores.shape[1] > 2 * k:
        # What has no score is nothing: of many such, none needs to be ordered.
        rows, scores = kept((scores >= floor(scores, k)) & (scores > -np.inf), rows, scores, k)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)


def floor(scores: Floats, k: int) -> Floats:
    """The ``k``-th highest score of each query, (q, 1); ``scores``: (q, n) with n of at least ``k``."""
    place = scores.shape[1] - k
    return np.partition(scores, place, axis=1)[:, place, None]


def kept(keep: Keep, rows: Rows, scores: Floats, least: int = 0) -> tuple[Rows, Floats]:
    """Each query's rows and scores that are to be kept, in their order, and -1 and -inf up to the most of any query.

    Args:
      keep, scores: (q, n).
      rows: (q, n), or (n,) if they are the same for all queries.
      least: columns of what is returned.
    """
    query, place = np.nonzero(keep)
    counts = np.bincount(query, minlength=len(keep))
    slot = np.arange(len(query)) - (np.cumsum(counts) - counts)[query]
    shape = (len(keep), max(least, int(counts.max(initial=0))))
    some, values = np.full(shape, -1, np.int64), np.full(shape, -np.inf, np.float32)
    some[query, slot] = rows[place] if rows.ndim == 1 else rows[query, place]
    values[query, slot] = scores[query, place]
    return some, values
