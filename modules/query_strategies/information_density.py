"""Uncertainty times how much of the pool is like the product."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from modules.arrays import FloatArray, Int64Array
from modules.query_strategies.base import ScoreStrategy
from modules.query_strategies.pool import Pool, blocks
from modules.query_strategies.uncertainty import Uncertainty, uncertainty_of


class InformationDensity(ScoreStrategy):
    """Uncertainty times (mean similarity to the pool)^beta (Settles, Craven 2008; the thesis's 2.10)."""

    kind: Literal["information_density"] = "information_density"
    needs: ClassVar[frozenset[str]] = frozenset({"probabilities", "embeddings"})

    score: Uncertainty = "entropy"
    """The uncertainty that is multiplied by the density."""
    beta: Annotated[float, Field(ge=0.0, le=100.0)] = 1.0
    """The power of the density; the higher, the fewer outliers are picked. 0 leaves the uncertainty alone."""
    similarity: Literal["cosine", "euclidean", "gaussian"] = "cosine"
    """Of unit vectors at distance d: (1 + cosine) / 2; 1 / (1 + d); exp(-d^2 / 2)."""
    sample: Annotated[int, Field(ge=100)] = 20_000
    """Random products that stand for the pool (for all but cosine, whose mean is exact)."""

    def utilities(self, pool: Pool, rows: Int64Array) -> FloatArray:
        return uncertainty_of(self.score, pool, rows) * self.density(pool, rows) ** self.beta

    def density(self, pool: Pool, rows: Int64Array) -> FloatArray:
        """Mean similarity to the pool's products, (rows,), in [0, 1]."""
        everything = np.arange(len(pool))
        assert pool.embeddings is not None
        width = pool.embeddings.shape[1]
        densities = np.empty(len(rows), np.float32)
        at = 0
        if self.similarity == "cosine":
            # The mean of inner products is the inner product with the mean.
            total = np.zeros(width)
            for part in blocks(everything, width):
                total += pool.vectors(part).sum(axis=0)
            mean = (total / len(pool)).astype(np.float32)
            for part in blocks(rows, width):
                densities[at : at + len(part)] = (1.0 + pool.vectors(part) @ mean) / 2.0
                at += len(part)
            return np.clip(densities, 0.0, 1.0)
        if len(everything) > self.sample:
            # Of fixed seed: a product's density is no matter of chance.
            everything = np.random.default_rng(0).choice(len(pool), self.sample, replace=False)
        others = pool.vectors(everything)
        for part in blocks(rows, len(everything)):
            squares = np.maximum(2.0 - 2.0 * (pool.vectors(part) @ others.T), 0.0)
            like = np.exp(-squares / 2.0) if self.similarity == "gaussian" else 1.0 / (1.0 + np.sqrt(squares))
            densities[at : at + len(part)] = like.mean(axis=1)
            at += len(part)
        return densities
