"""Putting answers together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from modules.arrays import BoolArray
from modules.similarity.protocol import SearchResult
from modules.similarity.top_k import top_k


def merge(results: Sequence[SearchResult], k: int) -> SearchResult:
    """The best ``k`` of several answers to the same queries."""
    if len(results) == 1:
        return pad(results[0], k)
    # Without what is nothing for every query: equal scores are slow to choose from.
    widths = [int(np.count_nonzero(result.rows >= 0, axis=1).max(initial=0)) for result in results]
    rows = np.concatenate([result.rows[:, :width] for result, width in zip(results, widths, strict=True)], axis=1)
    scores = np.concatenate([result.scores[:, :width] for result, width in zip(results, widths, strict=True)], axis=1)
    return pad(SearchResult(*top_k(rows, scores, k)), k)


def pad(result: SearchResult, k: int) -> SearchResult:
    """``result`` with -1 and -inf up to ``k`` columns, or cut to them."""
    short = k - result.rows.shape[1]
    if short <= 0:
        return SearchResult(result.rows[:, :k], result.scores[:, :k])
    rows = np.pad(result.rows, ((0, 0), (0, short)), constant_values=-1)
    return SearchResult(rows, np.pad(result.scores, ((0, 0), (0, short)), constant_values=-np.inf))


def without(result: SearchResult, rows: npt.NDArray[Any]) -> SearchResult:
    """Each query's products (q, k) without one that is the query itself, the product of ``rows`` (q,): (q, k - 1).

    Where it is not among them, there are so many equal ones; the last one goes.
    """
    itself = result.rows == rows[:, None]
    itself[~itself.any(1), -1] = True
    shape = (len(rows), result.rows.shape[1] - 1)
    return SearchResult(result.rows[~itself].reshape(shape), result.scores[~itself].reshape(shape))


def nothing(queries: int, k: int) -> SearchResult:
    """No product for any query."""
    return SearchResult(np.full((queries, k), -1, np.int64), np.full((queries, k), -np.inf, np.float32))


def first(result: SearchResult, good: BoolArray, k: int) -> SearchResult:
    """The first ``k`` good ones of each query, in their order."""
    place = np.argsort(~good, axis=1, kind="stable")[:, :k]
    kept = np.take_along_axis(good, place, 1)
    rows = np.where(kept, np.take_along_axis(result.rows, place, 1), -1)
    scores = np.where(kept, np.take_along_axis(result.scores, place, 1), -np.inf).astype(np.float32)
    return pad(SearchResult(rows, scores), k)
