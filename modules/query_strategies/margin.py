"""Margin between the two most probable classes."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from modules.query_strategies.base import ScoreStrategy
from modules.query_strategies.pool import Floats, Integers, Pool, blocks


class Margin(ScoreStrategy):
    """Least margin first (Scheffer, Decomain, Wrobel 2001; "breaking ties", Luo et al. 2005)."""

    kind: Literal["margin"] = "margin"
    needs: ClassVar[frozenset[str]] = frozenset({"probabilities"})

    def utilities(self, pool: Pool, rows: Integers) -> Floats:
        """1 minus the margin, in [0, 1]."""
        if "margin" in pool.scores:
            return 1.0 - pool.scores["margin"][rows]
        assert pool.probabilities is not None
        if pool.categories is not None:
            return 1.0 - (pool.probabilities[rows, 0] - pool.probabilities[rows, 1]).astype(np.float32)
        found = np.empty(len(rows), np.float32)
        at = 0
        for part in blocks(rows, pool.classes):
            found[at : at + len(part)] = 1.0 - margin_of(pool.probabilities[part])
            at += len(part)
        return found


def margin_of(probabilities: Floats) -> Floats:
    """Largest minus second largest value of each row, (rows, classes) to (rows,)."""
    second = np.partition(probabilities, -2, axis=1)[:, -2:]
    return second[:, 1] - second[:, 0]
