"""Typical products of clusters without a label."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from modules.query_strategies.base import QueryStrategy
from modules.query_strategies.clusters import assigned, centers_of
from modules.query_strategies.pool import Pool, Selection


class TypiClust(QueryStrategy):
    """Clusters the pool into as many parts as there are labels and picks; the largest ones with the fewest labels give
    their most typical product: that of least mean distance to its neighbours (Hacohen, Dekel, Weinshall 2022)."""

    kind: Literal["typiclust"] = "typiclust"
    needs: ClassVar[frozenset[str]] = frozenset({"embeddings"})

    neighbours: Annotated[int, Field(ge=1, le=200)] = 20
    """A product is the more typical, the nearer its this many nearest neighbours are."""
    largest: Annotated[int, Field(ge=1, le=10_000)] = 500
    """There are no more clusters than this."""
    sample: Annotated[int, Field(ge=100, le=50_000)] = 5000
    """Random members that are looked at in a larger cluster."""

    def _pick(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        assert pool.embeddings is not None
        candidates, labelled = pool.candidates, pool.labelled
        rows = np.union1d(candidates, labelled)
        count = min(len(rows), max(1, min(len(labelled) + n, self.largest)))
        centers = centers_of(pool.embeddings, rows, count, rng)
        cluster = np.full(len(pool), -1)
        cluster[rows] = assigned(pool.embeddings, rows, centers)
        labels = np.bincount(cluster[labelled], minlength=count)
        members = {c: candidates[cluster[candidates] == c] for c in range(count)}
        sizes = np.bincount(cluster[rows], minlength=count)
        ranked: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        left = np.array([len(members[c]) for c in range(count)])
        picked: list[int] = []
        typicality: list[float] = []
        while len(picked) < n:
            open_ = np.flatnonzero(left > 0)
            next_cluster = int(open_[np.lexsort((open_, -sizes[open_], labels[open_]))[0]])
            if next_cluster not in ranked:
                ranked[next_cluster] = self._ranked(pool, members[next_cluster], rng)
            own, values = ranked[next_cluster]
            at = len(members[next_cluster]) - left[next_cluster]
            picked.append(int(own[at]))
            typicality.append(float(values[at]))
            left[next_cluster] -= 1
            labels[next_cluster] += 1
        return Selection(np.array(picked, np.int64), np.array(typicality), self.kind)

    def _ranked(self, pool: Pool, rows: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A cluster's members, the most typical first, and their typicality; those not looked at come last."""
        rest = rows[:0]
        if len(rows) > self.sample:
            mixed = rng.permutation(rows)
            rows, rest = mixed[: self.sample], mixed[self.sample :]
        vectors = pool.vectors(rows)
        distances = np.sqrt(np.maximum(2.0 - 2.0 * (vectors @ vectors.T), 0.0))
        k = min(self.neighbours, len(rows) - 1)
        if k < 1:
            typicality = np.ones(len(rows))
        else:
            np.fill_diagonal(distances, np.inf)
            typicality = 1.0 / (np.partition(distances, k - 1, axis=1)[:, :k].mean(axis=1) + 1e-6)
        order = np.argsort(-typicality, kind="stable")
        return np.concatenate([rows[order], rest]), np.concatenate([typicality[order], np.zeros(len(rest))])
