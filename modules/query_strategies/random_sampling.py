"""Random picks: the baseline, and unbiased."""

from __future__ import annotations

from typing import Literal

import numpy as np

from modules.query_strategies.base import QueryStrategy
from modules.query_strategies.pool import Pool, Selection


class Random(QueryStrategy):
    """Each available product with equal probability."""

    kind: Literal["random"] = "random"

    def _pick(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        return Selection(rng.choice(pool.candidates, n, replace=False), np.ones(n), self.kind)
