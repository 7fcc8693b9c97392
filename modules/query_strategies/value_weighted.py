"""Uncertainty where it matters to the shop."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from modules.arrays import FloatArray, Int64Array
from modules.query_strategies.base import MissingInput, ScoreStrategy
from modules.query_strategies.pool import Pool, blocks
from modules.query_strategies.uncertainty import Uncertainty, uncertainty_of


class ValueWeighted(ScoreStrategy):
    """Uncertainty times the expected value of the product's category: u sum_c p_c v_c (Settles 2009, section 6.3)."""

    kind: Literal["value_weighted"] = "value_weighted"
    needs: ClassVar[frozenset[str]] = frozenset({"probabilities"})

    score: Uncertainty = "margin"
    """The uncertainty that is multiplied by the expected value."""
    values: dict[str, Annotated[float, Field(ge=0.0)]] = Field(default_factory=dict)
    """Category (path or id; one with children: all below it) to how much it matters; of all others 1."""

    def utilities(self, pool: Pool, rows: Int64Array) -> FloatArray:
        assert pool.probabilities is not None
        if self.values and pool.classes_under is None:
            raise MissingInput(f"strategy {self.kind} needs the taxonomy's categories")
        value = np.ones(pool.classes, np.float32)
        for name, amount in self.values.items():
            assert pool.classes_under is not None
            value[pool.classes_under(name)] = amount
        width = pool.probabilities.shape[1]
        expected = np.empty(len(rows), np.float32)
        at = 0
        for part in blocks(rows, width):
            p = np.asarray(pool.probabilities[part], np.float32)
            known = p @ value if pool.categories is None else (p * value[pool.categories[part]]).sum(axis=1)
            # What the listed classes leave counts as of value 1.
            expected[at : at + len(part)] = known + np.maximum(1.0 - p.sum(axis=1), 0.0)
            at += len(part)
        return uncertainty_of(self.score, pool, rows) * expected
