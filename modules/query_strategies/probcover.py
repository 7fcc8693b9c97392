"""Cover as much of the pool as possible with balls of one radius."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from modules.arrays import Int64Array
from modules.query_strategies.base import QueryStrategy
from modules.query_strategies.clusters import assigned, centers_of
from modules.query_strategies.pool import Pool, Selection, blocks


class ProbCover(QueryStrategy):
    """Greedily the product whose ball holds most uncovered ones (Yehuda, Dekel, Hacohen, Weinshall 2022).

    The radius, if none is given, is the largest at which ``purity`` of the balls hold products of one k-means cluster
    alone, with as many clusters as classes.
    """

    kind: Literal["probcover"] = "probcover"
    needs: ClassVar[frozenset[str]] = frozenset({"embeddings"})

    radius: Annotated[float, Field(gt=0.0, le=2.0)] | None = None
    """Distance of unit vectors within which a labelled product covers others; null derives it from ``purity``."""
    purity: Annotated[float, Field(gt=0.0, le=1.0)] = 0.95
    """Share of the balls that may hold one cluster alone, which decides the radius where none is given."""
    sample: Annotated[int, Field(ge=100, le=50_000)] = 10_000
    """Random products that are covered, and picked from, in a larger pool."""

    def _pick(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        from scipy import sparse

        rows = pool.candidates
        if len(rows) > max(n, self.sample):
            rows = np.sort(rng.choice(rows, max(n, self.sample), replace=False))
        radius = self.radius or self._radius(pool, rows, rng)
        least = 1.0 - radius**2 / 2.0
        vectors = pool.vectors(rows)
        graph = sparse.vstack(
            [sparse.csr_matrix(vectors[part] @ vectors.T >= least) for part in blocks(np.arange(len(rows)), len(rows))],
            format="csr",
        )
        covered = np.zeros(len(rows), bool)
        for part in blocks(pool.labelled, len(rows)):
            covered |= (pool.vectors(part) @ vectors.T >= least).any(axis=0)
        degree = np.asarray(graph @ (~covered).astype(np.float32)).ravel()
        free = np.ones(len(rows), bool)
        picked, gains = [], []
        for _ in range(n):
            place = int(np.where(free, degree, -1.0).argmax())
            if degree[place] <= 0.0:
                # All is covered: a random product says as much as any.
                place = int(rng.choice(np.flatnonzero(free)))
            picked.append(place)
            gains.append(float(degree[place]))
            free[place] = False
            ball = graph.indices[graph.indptr[place] : graph.indptr[place + 1]]
            new = ball[~covered[ball]]
            covered[new] = True
            # The graph is symmetric: whoever holds a newly covered product loses it.
            degree -= np.asarray(graph[new].sum(axis=0)).ravel()
        return Selection(rows[picked], np.array(gains), self.kind, {"radius": np.full(n, radius, np.float32)})

    def _radius(self, pool: Pool, rows: Int64Array, rng: np.random.Generator) -> float:
        assert pool.embeddings is not None
        count = min(pool.classes, max(2, len(rows) // 5))
        cluster = assigned(pool.embeddings, rows, centers_of(pool.embeddings, rows, count, rng))
        probes = rng.choice(len(rows), min(1000, len(rows)), replace=False)
        cosine = pool.vectors(rows[probes]) @ pool.vectors(rows).T
        # A ball is pure as long as it is smaller than the distance to the nearest product of another cluster.
        other = np.where(cluster[probes][:, None] != cluster[None, :], cosine, -1.0).max(axis=1)
        pure = np.sqrt(np.maximum(2.0 - 2.0 * other, 0.0))
        return float(min(max(np.quantile(pure, 1.0 - self.purity), 1e-3), 2.0))
