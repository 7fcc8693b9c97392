"""What an index reaches: recall and latency, of the global search and of each partition, against exact search."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from modules.arrays import Float32Array
from modules.similarity.float16_rows import to_float32
from modules.similarity.protocol import Queries, SearchResult
from modules.similarity.scann_index.index import Partition, ScannIndex
from modules.similarity.scann_index.tuning import DEPTHS, Truth, halves, sample_of, tune

GLOBAL = "global"

_SINGLE = 20
"""Queries that are timed one by one."""


@dataclass(frozen=True)
class Quality:
    """Recall and speed of the global search or of one partition.

    Attributes:
      name: :data:`GLOBAL`, or the partition's (a category's id; "": products without).
      method: ``scann`` or ``exact``.
      recall: at ``k``, mean over ``queries``, products themselves, which do not count as their own neighbours, and that
        no setting was chosen on; exact search has 1.
      milliseconds: of a single query, median.
      queries_per_second: in one large batch, on all threads.
    """

    name: str
    products: int
    method: str
    k: int
    queries: int
    recall: float
    milliseconds: float
    queries_per_second: float

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def tune_and_measure(
    index: ScannIndex, *, k: int, recall: float, queries: int, seed: int,
    leaves: int | None = None, reorder: int | None = None,
) -> list[Quality]:  # fmt: skip
    """Sets the index' efforts, and says what it reaches with them: global first, then partition after partition.

    Args:
      queries: sample products per tree that serve as queries: half of them to choose by, half to report.
      leaves, reorder: of the global search, where they are given.
    """
    whole = [_part(index, None, k, recall, queries, seed, leaves, reorder)]
    return whole + [_part(index, partition, k, recall, queries, seed, None, None) for partition in index.partitions]


def _part(
    index: ScannIndex, partition: Partition | None, k: int, recall: float, queries: int, seed: int,
    leaves: int | None, reorder: int | None,
) -> Quality:  # fmt: skip
    vectors = index.rows.base.vectors
    start, end = (partition.start, partition.end) if partition else (0, len(vectors))
    searcher = partition.searcher if partition else index.whole
    name = partition.name if partition else GLOBAL
    own, embedded = vectors[start:end], index.rows.embedded[start:end]
    # What has no embedding is neither asked about nor found.
    there = np.flatnonzero(embedded)
    rows = there[sample_of(len(there), queries, seed)]

    def search(vectors: Float32Array, k: int = k) -> SearchResult:
        if partition is not None:
            return index.search_partition(partition, vectors, k)
        return index.search(Queries(vectors), k)

    if len(there) < 2 or (searcher is None and (index.whole is None or len(own) < index.settings.min_products)):
        rows = rows[: 4 * _SINGLE]
        return Quality(name, len(own), "exact", k, len(rows), 1.0, *_timed(search, to_float32(own[rows])))
    depth = min(k * DEPTHS[-1], max(k, len(own) // 4))
    chosen, reported = halves(rows)
    if searcher is not None:
        truth = Truth.of(to_float32(own[chosen]), own, depth, embedded, chosen)
        searcher.efforts = tune(searcher, truth, k, recall, leaves=leaves, reorder=reorder, first_row=start)
    truth = Truth.of(to_float32(own[reported]), own, k, embedded, reported)
    neighbours = search(truth.queries, truth.asked(k)).rows
    value = float(truth.recall(np.where(neighbours < 0, -1, neighbours - start)).mean())
    return Quality(name, len(own), "scann", k, len(reported), value, *_timed(search, truth.queries))


def _timed(search: Callable[[Float32Array], SearchResult], queries: Float32Array) -> tuple[float, float]:
    """Milliseconds of a single query (median), and queries per second of a batch."""
    single = []
    for number in range(min(_SINGLE, len(queries))):
        start = time.perf_counter()
        search(queries[number : number + 1])
        single.append(time.perf_counter() - start)
    start = time.perf_counter()
    search(queries)
    spent = time.perf_counter() - start
    return 1000 * float(np.median(single or [0.0])), len(queries) / max(spent, 1e-9)


def failed(quality: Sequence[Quality], threshold: float) -> list[str]:
    """Sentences about what is below the threshold."""
    return [
        f"{part.name or 'no category'}: recall@{part.k} {part.recall:.3f}, needed {threshold:g}"
        for part in quality
        if part.recall < threshold
    ]
