"""Which products to ask people about next: one file per strategy, one contract (``base.QueryStrategy``)."""

from __future__ import annotations

from modules.query_strategies.base import MissingInput, QueryStrategy, ScoreStrategy
from modules.query_strategies.pool import Pool, Selection
from modules.query_strategies.registry import STRATEGIES, Strategy, strategy

__all__ = [
    "STRATEGIES",
    "MissingInput",
    "Pool",
    "QueryStrategy",
    "ScoreStrategy",
    "Selection",
    "Strategy",
    "strategy",
]  # fmt: skip
