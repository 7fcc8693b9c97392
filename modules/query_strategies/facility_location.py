"""Weighted facility location: uncertain products that many other uncertain ones are like."""

from __future__ import annotations

import heapq
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from modules.arrays import Float32Array, Float64Array, FloatArray, Int64Array
from modules.query_strategies.base import QueryStrategy
from modules.query_strategies.pool import Pool, Selection, blocks, top_k
from modules.query_strategies.uncertainty import Uncertainty, uncertainty_of


class FacilityLocation(QueryStrategy):
    """Greedily raises sum_i w_i max_{j picked or labelled} s(i, j)^p, w the uncertainty, s the cosine.

    Submodular, so that greedy picks reach 1 - 1/e of the best batch's value (Nemhauser, Wolsey, Fisher 1978); as active
    learning: Wei, Iyer, Bilmes, Submodularity in Data Subset Selection and Active Learning, 2015. Without a model every
    product weighs the same, which makes it a cold start, too.
    """

    kind: Literal["facility_location"] = "facility_location"
    needs: ClassVar[frozenset[str]] = frozenset({"embeddings"})

    score: Uncertainty = "margin"
    """What weighs the products and filters the candidates."""
    weight_power: Annotated[float, Field(ge=0.0, le=10.0)] = 1.0
    """The power of the uncertainty by which a product weighs; 0 lets all products weigh the same."""
    similarity_power: Annotated[float, Field(gt=0.0, le=20.0)] = 3.0
    """The higher, the nearer a product must be to a labelled one to count as covered."""
    candidates: Annotated[int, Field(ge=1, le=20_000)] = 1500
    """The most uncertain products, of which the batch is picked."""
    cold_candidates: Annotated[int, Field(ge=1, le=20_000)] = 3000
    """Random products, of which the batch is picked before there is a model."""
    targets: Annotated[int, Field(ge=100, le=100_000)] = 20_000
    """Random products that are to be covered, in a pool with more."""

    def _pick(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        rows = pool.candidates
        targets = np.arange(len(pool))
        if len(targets) > self.targets:
            targets = np.sort(rng.choice(len(pool), self.targets, replace=False))
        if pool.probabilities is None:
            chosen = rng.choice(rows, min(max(self.cold_candidates, n), len(rows)), replace=False)
            weights = np.ones(len(targets), np.float32)
        else:
            utility = uncertainty_of(self.score, pool, rows)
            chosen = rows[top_k(utility, max(self.candidates, n), rng)]
            weights = uncertainty_of(self.score, pool, targets).astype(np.float32) ** self.weight_power
        goal = pool.vectors(targets)
        similarity = self._similarity(pool.vectors(chosen), goal)
        covered = np.zeros(len(targets), np.float32)
        for part in blocks(pool.labelled, len(targets), 64 * 2**20):
            np.maximum(covered, self._similarity(pool.vectors(part), goal).max(axis=0), out=covered)
        picked, gains = greedy(similarity, weights, covered, n)
        selected = chosen[picked]
        parts: dict[str, FloatArray] = {}
        if pool.probabilities is not None:
            parts[self.score] = uncertainty_of(self.score, pool, selected)
        return Selection(selected, gains, self.kind, parts)

    def _similarity(self, some: Float32Array, others: Float32Array) -> Float32Array:
        cosine = some @ others.T
        np.maximum(cosine, 0.0, out=cosine)
        power = self.similarity_power
        # NumPy's general power is ten times as slow.
        return cosine * cosine * cosine if power == 3.0 else cosine**power


def greedy(
    similarity: Float32Array, weights: Float32Array, covered: Float32Array, n: int
) -> tuple[Int64Array, Float64Array]:
    """The lazy greedy maximiser (Minoux 1978): gains only fall, so that an old one is an upper bound.

    Args:
      similarity: (candidates, targets).
      weights: (targets,).
      covered: (targets,), by what is labelled already.

    Returns:
      Positions of ``n`` candidates in the order of the picks, and what each added.
    """
    gains = np.concatenate(
        [np.maximum(similarity[part] - covered, 0.0) @ weights
         for part in blocks(np.arange(len(similarity)), similarity.shape[1])]
    )  # fmt: skip
    heap = [(-float(gain), place, 0) for place, gain in enumerate(gains)]
    heapq.heapify(heap)
    picked: list[int] = []
    values: list[float] = []
    covered = covered.copy()
    while heap and len(picked) < n:
        gain, place, when = heapq.heappop(heap)
        if when == len(picked):
            picked.append(place)
            values.append(-gain)
            np.maximum(covered, similarity[place], out=covered)
        else:
            now = float(np.maximum(similarity[place] - covered, 0.0) @ weights)
            heapq.heappush(heap, (-now, place, len(picked)))
    return np.array(picked, np.int64), np.array(values, np.float64)
