"""Entropy of the committee's votes."""

from __future__ import annotations

from typing import ClassVar, Literal

from modules.arrays import FloatArray, Int64Array
from modules.predictions.columns import VOTE_ENTROPY
from modules.query_strategies.base import ScoreStrategy
from modules.query_strategies.committee import disagreement, vote_entropy
from modules.query_strategies.pool import Pool


class VoteEntropy(ScoreStrategy):
    """Most vote entropy first (Dagan, Engelson 1995; the thesis's 2.6): members vote for different classes."""

    kind: Literal["vote_entropy"] = "vote_entropy"
    needs: ClassVar[frozenset[str]] = frozenset({"committee"})

    def utilities(self, pool: Pool, rows: Int64Array) -> FloatArray:
        """Nats."""
        return disagreement(pool, rows, VOTE_ENTROPY, vote_entropy)
