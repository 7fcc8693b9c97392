"""Divergence of the committee's members from their mean."""

from __future__ import annotations

from typing import ClassVar, Literal

from modules.arrays import FloatArray, Int64Array
from modules.predictions.columns import KL_TO_CONSENSUS
from modules.query_strategies.base import ScoreStrategy
from modules.query_strategies.committee import disagreement, kl_to_consensus
from modules.query_strategies.pool import Pool


class KLToConsensus(ScoreStrategy):
    """Largest mean KL divergence from the consensus first (McCallum, Nigam 1998; the thesis's 2.7-2.9)."""

    kind: Literal["kl_to_consensus"] = "kl_to_consensus"
    needs: ClassVar[frozenset[str]] = frozenset({"committee"})

    def utilities(self, pool: Pool, rows: Int64Array) -> FloatArray:
        """Nats."""
        return disagreement(pool, rows, KL_TO_CONSENSUS, kl_to_consensus)
