"""Score, prefilter, diversify."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from modules.query_strategies.base import QueryStrategy
from modules.query_strategies.k_center import KCenter
from modules.query_strategies.kinds import Diverse, Score
from modules.query_strategies.margin import Margin
from modules.query_strategies.pool import Pool, Selection, top_k


class Combined(QueryStrategy):
    """One strategy scores all products, another picks a diverse batch of the best ones."""

    kind: Literal["combined"] = "combined"
    needs: ClassVar[frozenset[str]] = frozenset()

    score: Score = Margin()
    """The strategy that scores all products."""
    prefilter: Annotated[int, Field(ge=1)] = 1500
    """So many of the highest score are left to the second one."""
    diversify: Diverse = KCenter()
    """The strategy that picks the batch among those of the highest score."""

    def all_needs(self) -> frozenset[str]:
        """Of both."""
        return self.score.all_needs() | self.diversify.all_needs()

    def _pick(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        for part in (self.score, self.diversify):
            part.check_pool(pool)
        rows = pool.candidates
        utility = self.score.utilities(pool.listed(), rows)
        kept = np.sort(top_k(utility, max(n, self.prefilter), rng))
        selection = self.diversify.query(pool.only(rows[kept]), n, rng)
        place = np.searchsorted(rows[kept], selection.rows)
        parts = {**selection.parts, self.score.kind: utility[kept][place]}
        return replace(selection, strategy=f"{self.score.kind}+{selection.strategy}", parts=parts)
