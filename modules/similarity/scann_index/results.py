"""Putting answers together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from modules.arrays import BoolArray
from modules.similarity.best import best
from modules.similarity.protocol import Found


def merge(found: Sequence[Found], k: int) -> Found:
    """The best ``k`` of several answers to the same queries."""
    if len(found) == 1:
        return pad(found[0], k)
    # Without what is nothing for every query: equal scores are slow to choose from.
    widths = [int(np.count_nonzero(one.rows >= 0, axis=1).max(initial=0)) for one in found]
    rows = np.concatenate([one.rows[:, :width] for one, width in zip(found, widths, strict=True)], axis=1)
    scores = np.concatenate([one.scores[:, :width] for one, width in zip(found, widths, strict=True)], axis=1)
    return pad(Found(*best(rows, scores, k)), k)


def pad(found: Found, k: int) -> Found:
    """``found`` with -1 and -inf up to ``k`` columns, or cut to them."""
    short = k - found.rows.shape[1]
    if short <= 0:
        return Found(found.rows[:, :k], found.scores[:, :k])
    rows = np.pad(found.rows, ((0, 0), (0, short)), constant_values=-1)
    return Found(rows, np.pad(found.scores, ((0, 0), (0, short)), constant_values=-np.inf))


def without(found: Found, rows: npt.NDArray[Any]) -> Found:
    """Each query's products (q, k) without one that is the query itself, the product of ``rows`` (q,): (q, k - 1).

    Where it is not among them, there are so many equal ones; the last one goes.
    """
    itself = found.rows == rows[:, None]
    itself[~itself.any(1), -1] = True
    shape = (len(rows), found.rows.shape[1] - 1)
    return Found(found.rows[~itself].reshape(shape), found.scores[~itself].reshape(shape))


def nothing(queries: int, k: int) -> Found:
    """No product for any query."""
    return Found(np.full((queries, k), -1, np.int64), np.full((queries, k), -np.inf, np.float32))


def first(found: Found, good: BoolArray, k: int) -> Found:
    """The first ``k`` good ones of each query, in their order."""
    place = np.argsort(~good, axis=1, kind="stable")[:, :k]
    kept = np.take_along_axis(good, place, 1)
    rows = np.where(kept, np.take_along_axis(found.rows, place, 1), -1)
    scores = np.where(kept, np.take_along_axis(found.scores, place, 1), -np.inf).astype(np.float32)
    return pad(Found(rows, scores), k)
