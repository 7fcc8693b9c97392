"""The uncertainties that other strategies start from, by name."""

from __future__ import annotations

from typing import Literal

from modules.arrays import FloatArray, Int64Array
from modules.query_strategies.entropy import Entropy
from modules.query_strategies.least_confidence import LeastConfidence
from modules.query_strategies.margin import Margin
from modules.query_strategies.pool import Pool

Uncertainty = Literal["margin", "entropy", "least_confidence"]

_BY_NAME = {strategy.kind: strategy for strategy in (Margin(), Entropy(), LeastConfidence())}


def uncertainty_of(name: Uncertainty, pool: Pool, rows: Int64Array) -> FloatArray:
    """The utilities of the strategy with this name; the higher, the less certain."""
    return _BY_NAME[name].utilities(pool, rows)
