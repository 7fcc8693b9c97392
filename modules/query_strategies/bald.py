"""Mutual information of label and model."""

from __future__ import annotations

from typing import ClassVar, Literal

from modules.arrays import FloatArray, Int64Array
from modules.predictions import columns
from modules.query_strategies.base import ScoreStrategy
from modules.query_strategies.committee import bald, disagreement
from modules.query_strategies.pool import Pool


class BALD(ScoreStrategy):
    """Most mutual information first (Houlsby et al. 2011): members are each sure, of different classes."""

    kind: Literal["bald"] = "bald"
    needs: ClassVar[frozenset[str]] = frozenset({"committee"})

    def utilities(self, pool: Pool, rows: Int64Array) -> FloatArray:
        """Nats."""
        return disagreement(pool, rows, columns.BALD, bald)
