"""Uncertainty by the levels of the taxonomy, rare categories, quotas per branch."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from modules.arrays import FloatArray, Int64Array
from modules.query_strategies.base import ScoreStrategy
from modules.query_strategies.pool import Pool, Selection, blocks, top_k


class TaxonomyAware(ScoreStrategy):
    """Mean over the taxonomy's levels of 1 - margin at that level, plus the expected rarity of the label.

    A product whose branch is unclear tells more than one between two siblings: it is uncertain at each level. Rarity is
    sum_c p_c / sqrt(1 + labels of c). No branch gets more than its quota of a batch; the branches are those of the
    first level that tells classes apart, since a root above everything ("Default Category") tells none.
    """

    kind: Literal["taxonomy_aware"] = "taxonomy_aware"
    needs: ClassVar[frozenset[str]] = frozenset({"probabilities"})

    rarity: Annotated[float, Field(ge=0.0, le=100.0)] = 0.5
    """Weight of the expected rarity."""
    quota: Annotated[float, Field(gt=0.0, le=1.0)] = 0.2
    """Largest share of a batch whose most probable class is in one branch."""

    def utilities(self, pool: Pool, rows: Int64Array) -> FloatArray:
        uncertain, rare = self._parts(pool, rows)
        return uncertain + self.rarity * rare

    def _parts(self, pool: Pool, rows: Int64Array) -> tuple[FloatArray, FloatArray]:
        assert pool.probabilities is not None
        groups = [*map(_grouped, pool.levels), np.arange(pool.classes)]
        counts = np.bincount(pool.labels[pool.labels >= 0], minlength=pool.classes)
        rarity = (1.0 / np.sqrt(1.0 + counts)).astype(np.float32)
        width = pool.probabilities.shape[1]
        uncertain, rare = np.empty(len(rows), np.float32), np.empty(len(rows), np.float32)
        at = 0
        for part in blocks(rows, pool.classes + width):
            p = np.asarray(pool.probabilities[part], np.float32)
            which = np.broadcast_to(np.arange(width), p.shape) if pool.categories is None else pool.categories[part]
            here = slice(at, at + len(part))
            rare[here] = (p * rarity[which]).sum(axis=1)
            margins = [_margin(p, group[which], int(group.max()) + 1) for group in groups]
            uncertain[here] = 1.0 - np.mean(margins, axis=0)
            at += len(part)
        return uncertain, rare

    def _pick(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        rows = pool.candidates
        uncertain, rare = self._parts(pool, rows)
        utility = uncertain + self.rarity * rare
        order = top_k(utility, len(rows), rng)
        branches = next((groups for groups in map(_grouped, pool.levels) if groups.max(initial=0) > 0), None)
        if branches is not None:
            top = branches[pool.predicted(rows[order])]
            limit = max(1, math.ceil(self.quota * n))
            # The how-manieth of its branch each one is.
            by_top = np.argsort(top, kind="stable")
            starts = np.searchsorted(top[by_top], top[by_top])
            turn = np.empty(len(order), np.int64)
            turn[by_top] = np.arange(len(order)) - starts
            within = turn < limit
            # What is beyond a quota comes after all the others.
            order = np.concatenate([order[within], order[~within]])
        chosen = order[:n]
        parts = {"level_uncertainty": uncertain[chosen], "rarity": rare[chosen]}
        return Selection(rows[chosen], utility[chosen].astype(np.float64), self.kind, parts)


def _grouped(level: npt.ArrayLike) -> Int64Array:
    """Ancestors of one level as numbers from 0; a class that is no deeper than the level is a group of its own."""
    given = np.asarray(level)
    own = np.where(given >= 0, given, given.max(initial=-1) + 1 + np.arange(len(given)))
    return np.unique(own, return_inverse=True)[1].astype(np.int64)


def _margin(p: FloatArray, groups: Int64Array, count: int) -> FloatArray:
    """Margin between the two most probable groups: (rows, k) probabilities of ``groups`` (rows, k)."""
    if count < 2:
        return np.ones(len(p), np.float32)
    places = np.arange(len(p))[:, None] * count + groups
    sums = np.bincount(places.ravel(), p.ravel(), minlength=len(p) * count).reshape(len(p), count)
    second = np.partition(sums, -2, axis=1)[:, -2:]
    return np.asarray(second[:, 1] - second[:, 0], np.float32)
