"""Margin between the two most probable classes."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from modules.arrays import FloatArray, Int64Array
from modules.predictions.columns import MARGIN
from modules.query_strategies.base import ScoreStrategy
from modules.query_strategies.pool import Pool, per_row


class Margin(ScoreStrategy):
    """Least margin first (Scheffer, Decomain, Wrobel 2001; "breaking ties", Luo et al. 2005)."""

    kind: Literal["margin"] = "margin"
    needs: ClassVar[frozenset[str]] = frozenset({"probabilities"})

    def utilities(self, pool: Pool, rows: Int64Array) -> FloatArray:
        """1 minus the margin, in [0, 1]."""
        if MARGIN in pool.scores:
            return 1.0 - pool.scores[MARGIN][rows]
        assert pool.probabilities is not None
        if pool.categories is not None:
            return 1.0 - (pool.probabilities[rows, 0] - pool.probabilities[rows, 1]).astype(np.float32)
        return 1.0 - per_row(pool.probabilities, rows, margin_of)


def margin_of(probabilities: FloatArray) -> FloatArray:
    """Largest minus second largest value of each row, (rows, classes) to (rows,)."""
    first = probabilities.argmax(axis=1)[:, None]
    others = probabilities.copy()
    np.put_along_axis(others, first, -np.inf, axis=1)
    return np.take_along_axis(probabilities, first, axis=1)[:, 0] - others.max(axis=1)
