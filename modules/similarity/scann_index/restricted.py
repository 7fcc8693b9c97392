"""Search among a part of the products: three routes, and which of them is the cheapest.

- ``exact``: the products in question are compared one by one.
- ``filtered``: the global tree is asked for so many neighbours that enough of them should be in question; queries that
  get too few are answered exactly.
- ``partitions``: the same two, within each partition that has products in question; the answers are merged, with those
  among the products that came later and whose category is in no partition, which are compared one by one.

What passes the filter of an approximate search is the beginning of the right answer as far as the search itself was
right, so a filtered search reaches the recall that the tree reaches at that depth.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from modules.arrays import BoolArray, Float32Array, Int64Array
from modules.similarity.items import Restriction
from modules.similarity.protocol import SearchResult, Within, mask_of
from modules.similarity.scann_index.compared import MANY, compare
from modules.similarity.scann_index.results import first, merge, nothing
from modules.similarity.scann_index.searcher import Searcher

if TYPE_CHECKING:
    from modules.similarity.scann_index.index import Partition, ScannIndex

Route = Literal["exact", "filtered", "partitions"]
ROUTES: tuple[Route, ...] = ("exact", "filtered", "partitions")

SPARE = 1.3
"""So many times more neighbours are asked for than should be enough."""

_KEPT = 8
"""Restrictions whose products are remembered, at least."""
_MOST = 256
"""At most; each holds its texts, too."""
_KEPT_BYTES = 64 << 20
"""Bytes of masks that are remembered beyond the least number of restrictions."""
_CALL = 6e-5
"""Seconds that a call takes whatever it looks for."""
_DEEPEST = 0.2
"""A tree is asked for no more than this share of its products."""


@dataclass(frozen=True)
class Wanted:
    """Which rows a search is about.

    Attributes:
      mask: bool (rows,), removed products and those without embedding excluded.
      count: of them. partitions: of them by partition, int64. others: int64, rows of those in no partition.
    """

    mask: BoolArray
    count: int
    partitions: Int64Array
    others: Int64Array


class Restricted:
    """Restricted search in one index."""

    def __init__(self, index: ScannIndex):
        self._index = index
        self._known: OrderedDict[Restriction, Wanted] = OrderedDict()

    def forget(self) -> None:
        """After a change of the index."""
        self._known.clear()

    def wanted(self, within: Within | None) -> Wanted | None:
        """Resolves ``within`` to the products that it lets through; None: all products.

        Raises:
          ValueError: a mask of another length.
        """
        if isinstance(within, Restriction) and (known := self._known.get(within)) is not None:
            self._known.move_to_end(within)
            return known
        rows = self._index.rows
        given = mask_of(within, rows.table)
        if given is None:
            return None
        mask = rows.only_comparable(given)
        assert mask is not None
        counts = [
            np.count_nonzero(mask[p.start : p.end]) + np.count_nonzero(mask[p.added]) for p in self._index.partitions
        ]
        count = int(np.count_nonzero(mask))
        wanted = Wanted(mask, count, np.asarray(counts, np.int64), self._in_none(mask, count - int(sum(counts))))
        if isinstance(within, Restriction):
            self._known[within] = wanted
            while len(self._known) > max(_KEPT, min(_MOST, _KEPT_BYTES // max(1, len(mask)))):
                self._known.popitem(last=False)
        return wanted

    def search(self, queries: Float32Array, k: int, wanted: Wanted, route: Route | None = None) -> SearchResult:
        """The best ``k`` of what is wanted by a route, or by the cheapest one."""
        if not wanted.count or not len(queries):
            return nothing(len(queries), k)
        route = route or self.cheapest(len(queries), k, wanted)
        whole = self._index.whole
        if route == "filtered" and whole is not None:
            return self._filtered(whole, queries, k, wanted.mask, wanted.count, None)
        if route == "partitions" and self._index.partitions:
            results = [
                self._in_partition(partition, queries, min(k, int(count)), wanted, int(count))
                for partition, count in zip(self._index.partitions, wanted.partitions, strict=True)
                if count
            ]
            if len(wanted.others):
                results.append(self._exact_others(queries, k, wanted.others))
            return merge(results, k)
        return self._index.exact(queries, k, wanted.mask)

    def cheapest(self, queries: int, k: int, wanted: Wanted) -> Route:
        """The route with the least expected processor time."""
        return min(ROUTES, key=lambda route: self.seconds(route, queries, k, wanted))

    def seconds(self, route: Route, queries: int, k: int, wanted: Wanted) -> float:
        """Expected processor time of a query; infinite where the route does not lead to the answer."""
        index = self._index
        call = _CALL / max(1, queries)
        if route == "exact":
            return call + exact_seconds(queries, wanted.count, index.rows.base.dimension)
        if route == "filtered":
            return call + _filtered_seconds(index.whole, k, wanted.count)
        if not index.partitions:
            return np.inf
        pairs = zip(index.partitions, wanted.partitions.tolist(), strict=True)
        spent = sum(call + self._partition_seconds(partition, queries, k, count) for partition, count in pairs if count)
        if others := len(wanted.others):
            spent += call + exact_seconds(queries, others, index.rows.base.dimension)
        return spent

    def _in_none(self, mask: BoolArray, count: int) -> Int64Array:
        """Rows in ``mask`` that are in no partition, ``count`` of them; with partitions, only added ones can be."""
        if not count or not self._index.partitions:
            return np.zeros(0, np.int64)
        base = len(self._index.rows.base)
        left = mask[base:].copy()
        for partition in self._index.partitions:
            left[partition.added - base] = False
        return np.flatnonzero(left) + base

    def _exact_others(self, queries: Float32Array, k: int, others: Int64Array) -> SearchResult:
        rows = self._index.rows
        nearest = compare(queries, [rows.added[others - len(rows.base)]], min(k, len(others)))
        return SearchResult(np.where(nearest.rows < 0, -1, others[nearest.rows]), nearest.scores)

    def _partition_seconds(self, partition: Partition, queries: int, k: int, count: int) -> float:
        exact = exact_seconds(queries, count, self._index.rows.base.dimension, count == partition.end - partition.start)
        # Of each partition the best are chosen, and again in the merge.
        return min(exact, _filtered_seconds(partition.searcher, k, count)) + 8e-8 * min(k, count)

    def _in_partition(
        self, partition: Partition, queries: Float32Array, k: int, wanted: Wanted, count: int
    ) -> SearchResult:
        exact = exact_seconds(len(queries), count, queries.shape[1], count == partition.end - partition.start)
        if partition.searcher is not None and _filtered_seconds(partition.searcher, k, count) < exact:
            return self._filtered(partition.searcher, queries, k, wanted.mask, count, partition)
        return self._index.exact(queries, k, wanted.mask, partition)

    def _filtered(
        self,
        searcher: Searcher,
        queries: Float32Array,
        k: int,
        mask: BoolArray,
        count: int,
        partition: Partition | None,
    ) -> SearchResult:
        depth = _depth(searcher, k, count)
        result = searcher.search(queries, depth)
        result = first(result, (result.rows >= 0) & mask[result.rows], k)
        short = np.flatnonzero((result.rows >= 0).sum(1) < min(k, count))
        if len(short):
            again = self._index.exact(np.ascontiguousarray(queries[short]), k, mask, partition)
            result.rows[short], result.scores[short] = again.rows, again.scores
        return result


def exact_seconds(queries: int, products: int, dimension: int, side_by_side: bool = False) -> float:
    """Processor time of a query that is compared with so many products, in a batch of ``queries``.

    Reading and widening vectors is shared by a batch, and quicker where they lie side by side; products of numbers and
    the choice of the best are not shared.
    """
    shared = (2e-10 if side_by_side else 6e-10) / max(1, queries)
    return products * (dimension * (5e-11 + shared) + (0 if queries >= MANY else 1.5e-8))


def _depth(searcher: Searcher, k: int, count: int) -> int:
    """Neighbours to ask for, so that ``k`` of them are among the ``count`` wanted products."""
    if count >= len(searcher):
        return k
    return min(len(searcher), int(np.ceil(SPARE * k * len(searcher) / count)) + 10)


def _filtered_seconds(searcher: Searcher | None, k: int, count: int) -> float:
    if searcher is None:
        return np.inf
    depth = _depth(searcher, k, count)
    if depth > max(k, _DEEPEST * len(searcher)):
        return np.inf
    effort = searcher.effort(depth)
    # Choosing the good ones among the found is done in NumPy.
    return (effort.seconds or guessed_seconds(searcher, depth)) + (1e-7 * depth if depth > k else 0)


def guessed_seconds(searcher: Searcher, k: int) -> float:
    """Processor time of a query, where it was not measured: centroids, what the leaves hold, candidates."""
    effort = searcher.effort(k)
    compared = len(searcher) * effort.leaves / searcher.leaves
    if not searcher.codes:
        return 5e-6 + searcher.leaves * 8e-9 + compared * 1.2e-8
    return 5e-6 + searcher.leaves * 8e-9 + compared * 2e-9 + effort.reorder * 6e-8
