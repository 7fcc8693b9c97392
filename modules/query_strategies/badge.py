"""Diverse gradients: BADGE."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from modules.arrays import Float64Array, FloatArray, Int64Array
from modules.query_strategies.base import QueryStrategy
from modules.query_strategies.pool import Pool, Selection, top_k
from modules.query_strategies.uncertainty import Uncertainty, uncertainty_of


class BADGE(QueryStrategy):
    """Picks by k-means++ over the gradients that the predicted labels would cause (Ash et al. 2020).

    A gradient of the last layer is (p - e) h^T. Its inner products are products of inner products, which saves a factor
    of classes x width / (classes + width) over gradients that are written down.
    """

    kind: Literal["badge"] = "badge"
    needs: ClassVar[frozenset[str]] = frozenset({"probabilities", "embeddings"})

    score: Uncertainty = "margin"
    """The uncertainty by which the ``candidates`` are chosen."""
    candidates: Annotated[int, Field(ge=1)] = 20_000
    """The most uncertain products, of which the batch is picked."""
    draws: Annotated[int, Field(ge=1, le=100)] = 4
    """Each time so many are drawn, and the farthest of them is taken; 1: as published. More draws span more volume."""

    def _pick(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        rows = pool.candidates
        if len(rows) > max(n, self.candidates):
            rows = rows[top_k(uncertainty_of(self.score, pool, rows), max(n, self.candidates), rng)]
        residuals = np.array(pool.full(rows), np.float32)
        top = residuals.argmax(axis=1)
        residuals[np.arange(len(rows)), top] -= 1.0
        picked, distances = seeds(residuals, pool.vectors(rows), n, rng, self.draws)
        return Selection(rows[picked], distances, self.kind)


def seeds(
    residuals: FloatArray, vectors: FloatArray, n: int, rng: np.random.Generator, draws: int = 1
) -> tuple[Int64Array, Float64Array]:
    """k-means++ (Arthur, Vassilvitskii 2007) over the outer products of two matrices' rows, which are never formed.

    The first seed is the longest one, each further one is drawn by its squared distance to the nearest seed so far; of
    several draws the farthest.

    Args:
      residuals: (rows, classes).
      vectors: (rows, width).

    Returns:
      ``n`` distinct positions, and each one's squared distance when it was picked.
    """
    lengths = np.einsum("rc,rc->r", residuals, residuals) * np.einsum("rd,rd->r", vectors, vectors)
    nearest = lengths.astype(np.float64)
    picked = [int(lengths.argmax())]
    distances = [float(lengths.max())]
    free = np.ones(len(lengths), bool)
    free[picked[0]] = False
    for step in range(1, n):
        last = picked[-1]
        products = (residuals @ residuals[last]) * (vectors @ vectors[last])
        distance = np.maximum(lengths + lengths[last] - 2.0 * products, 0.0)
        nearest = distance.astype(np.float64) if step == 1 else np.minimum(nearest, distance)
        nearest[last] = 0.0
        cumulated = np.cumsum(nearest * free)
        if cumulated[-1] > 0.0:
            drawn = np.searchsorted(cumulated, rng.random(draws) * cumulated[-1], side="right")
            drawn = np.minimum(drawn, len(nearest) - 1)
            place = int(drawn[nearest[drawn].argmax()])
        else:
            # All that is left equals a seed.
            place = int(rng.choice(np.flatnonzero(free)))
        picked.append(place)
        distances.append(float(nearest[place]))
        free[place] = False
    return np.array(picked, np.int64), np.array(distances)
