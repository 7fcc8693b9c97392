"""Least confidence in the most probable class."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from modules.arrays import FloatArray, Int64Array
from modules.predictions.columns import LEAST_CONFIDENCE
from modules.query_strategies.base import ScoreStrategy
from modules.query_strategies.pool import Pool, largest, per_row


class LeastConfidence(ScoreStrategy):
    """Least probable top class first (Lewis, Gale 1994; Culotta, McCallum 2005)."""

    kind: Literal["least_confidence"] = "least_confidence"
    needs: ClassVar[frozenset[str]] = frozenset({"probabilities"})

    def utilities(self, pool: Pool, rows: Int64Array) -> FloatArray:
        """1 minus the largest probability, in [0, 1]."""
        if LEAST_CONFIDENCE in pool.scores:
            return pool.scores[LEAST_CONFIDENCE][rows]
        assert pool.probabilities is not None
        if pool.categories is not None:
            return 1.0 - pool.probabilities[rows, 0].astype(np.float32)
        return 1.0 - per_row(pool.probabilities, rows, largest)
