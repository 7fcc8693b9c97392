"""Least margins, spread over clusters."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from modules.query_strategies.base import QueryStrategy
from modules.query_strategies.margin import Margin
from modules.query_strategies.pool import Pool, Selection, top_k


class ClusteredMargin(QueryStrategy):
    """The ``prefilter`` x n products of least margin are clustered (average linkage); picks go round the clusters, the
    smallest first, taking the least margin of each (Citovsky et al. 2021, who cluster the whole pool once)."""

    kind: Literal["clustered_margin"] = "clustered_margin"
    needs: ClassVar[frozenset[str]] = frozenset({"probabilities", "embeddings"})

    prefilter: Annotated[float, Field(ge=1.0, le=100.0)] = 10.0
    """This many times the batch's size are clustered, the products of least margin."""
    clusters: Annotated[float, Field(gt=0.0, le=10.0)] = 1.25
    """There are this many times as many clusters as products in the batch."""
    largest: Annotated[int, Field(ge=100, le=20_000)] = 10_000
    """No more products are clustered: the linkage takes memory by their square."""

    def _pick(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        from sklearn.cluster import AgglomerativeClustering

        rows = pool.candidates
        utility = Margin().utilities(pool, rows)
        kept = top_k(utility, max(n, min(round(self.prefilter * n), self.largest)), rng)
        rows, utility = rows[kept], utility[kept]
        count = min(len(rows), max(1, round(self.clusters * n)))
        cluster = np.zeros(len(rows), np.int64)
        if 1 < count < len(rows):
            cluster = AgglomerativeClustering(count, linkage="average").fit_predict(pool.vectors(rows))
        elif count == len(rows):
            cluster = np.arange(len(rows))
        sizes = np.bincount(cluster)
        # Rows come by rising margin, so that the n-th of a cluster is its n-th least margin.
        turn = np.empty(len(rows), np.int64)
        for number in np.flatnonzero(sizes):
            turn[cluster == number] = np.arange(sizes[number])
        order = np.lexsort((np.arange(len(rows)), cluster, sizes[cluster], turn))[:n]
        parts = {"margin": utility[order], "cluster_size": sizes[cluster[order]].astype(np.float32)}
        return Selection(rows[order], utility[order].astype(np.float64), self.kind, parts)
