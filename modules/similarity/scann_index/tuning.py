"""The cheapest effort that reaches a recall, found by trying on sample queries whose exact neighbours are known."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from modules.arrays import BoolArray, Float32Array, Float64Array, Int64Array
from modules.similarity.float16_rows import to_float32
from modules.similarity.protocol import SearchResult
from modules.similarity.scann_index.compared import compare
from modules.similarity.scann_index.results import without
from modules.similarity.scann_index.searcher import Searcher
from modules.similarity.scann_index.settings import Effort

TIE = 1e-6
"""Cosines that differ by less count as equal: catalogues are full of equal products."""

DEPTHS = (1, 4, 16)
"""Multiples of k that efforts are found for; filtered searches look deeper than k."""

_REORDER = (1.0, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0)
_REFINE = (0.0, 1.25, 1.5, 2.0, 4.0)
"""Times k: none, and the first with which the recall is reached; the cheaper one is taken."""
_FEWEST = 50
"""Queries that an effort is chosen with, at least."""
_SURE = 1.0
"""Standard errors by which the recall on the sample must be above the wanted one."""


@dataclass(frozen=True)
class Truth:
    """Queries and their exact neighbours among the rows of ``vectors``.

    Attributes:
      queries: float32 (q, d), contiguous. vectors: (n, d).
      rows: int64 (q, depth), -1 where there are fewer.
      scores: float32 (q, depth), descending; -inf where there are fewer.
      own: int64 (q,), the rows that the queries are themselves, which count neither as neighbours nor as found: every
        search finds its own query, so that a recall at a small k would say little. None: they are none of the rows.
    """

    queries: Float32Array
    vectors: npt.NDArray[Any]
    rows: Int64Array
    scores: Float32Array
    own: Int64Array | None = None

    @classmethod
    def of(
        cls, queries: Float32Array, vectors: npt.NDArray[Any], depth: int, mask: BoolArray | None = None,
        own: Int64Array | None = None,
    ) -> Truth:  # fmt: skip
        """By comparing each query with each vector, or with those in ``mask`` (bool (n,))."""
        exact = compare(queries, [vectors], depth + (own is not None), mask)
        exact = exact if own is None else without(exact, own)
        return cls(queries, vectors, exact.rows, exact.scores, own)

    def first(self, count: int) -> Truth:
        """The same for the first ``count`` queries alone."""
        own = None if self.own is None else self.own[:count]
        return Truth(self.queries[:count], self.vectors, self.rows[:count], self.scores[:count], own)

    def asked(self, k: int) -> int:
        """How many products a search is to find, so that ``k`` beside the query itself are among them."""
        return k + (self.own is not None)

    def recall(self, rows: Int64Array) -> Float64Array:
        """Per query the share of its exact neighbours that are among the found rows, -1 for nothing.

        Args:
          rows: int64 (q, :meth:`asked` of k), best first.

        A product whose cosine is that of the last neighbour (:data:`TIE`) is as good as that one.
        """
        if self.own is not None:
            rows = without(SearchResult(rows, np.zeros(rows.shape, np.float32)), self.own).rows
        k = rows.shape[1]
        right, scores = self.rows[:, :k], self.scores[:, :k]
        count = (right >= 0).sum(1)
        keys = np.arange(len(rows))[:, None] * (len(self.vectors) + 1)
        known = np.append(np.sort((keys + right)[right >= 0]), -1)
        mine = keys + rows
        good = (known[np.searchsorted(known[:-1], mine)] == mine) & (rows >= 0)
        query, place = np.nonzero(~good & (rows >= 0))
        bound = np.where(right >= 0, scores, np.inf).min(1)
        others = to_float32(self.vectors[rows[query, place]])
        good[query, place] = np.einsum("nd,nd->n", others, self.queries[query]) >= bound[query] - TIE
        return np.where(count > 0, np.minimum(good.sum(1), count) / np.maximum(count, 1), 1.0)


def tune(
    searcher: Searcher, truth: Truth, k: int, recall: float, *,
    leaves: int | None = None, reorder: int | None = None, first_row: int = 0,
) -> tuple[Effort, ...]:  # fmt: skip
    """Efforts for ``k`` neighbours and for multiples of it (:data:`DEPTHS`).

    Args:
      truth: among the searcher's rows, the first of which is ``first_row``; for the deepest multiple that is to be
        tuned, or for as many as there are.
      recall: the mean over the queries must be above this by a standard error. Where no effort reaches it, the best is
        taken.
      leaves, reorder: given for ``k``; None: to be found. Without codes ``reorder`` says nothing.
    """
    efforts = []
    for depth in DEPTHS:
        wanted = k * depth
        if depth > 1 and (wanted > truth.scores.shape[1] or wanted > len(searcher) // 4):
            break
        given = {} if depth > 1 else {"leaves": leaves, "reorder": reorder}
        # As many neighbours in all at every depth: more queries would cost more and tell little.
        count = min(len(truth.queries), max(_FEWEST, len(truth.queries) // depth))
        efforts.append(_cheapest(searcher, truth.first(count), wanted, recall, first_row, **given))
    return tuple(efforts)


def _cheapest(
    searcher: Searcher, truth: Truth, k: int, recall: float, first_row: int,
    leaves: int | None = None, reorder: int | None = None,
) -> Effort:  # fmt: skip
    best: tuple[float, Effort] | None = None

    def reached(effort: Effort) -> float:
        nonlocal best
        values = recall_with(searcher, truth, effort, first_row)
        value = float(values.mean() - _SURE * values.std() / np.sqrt(len(values)))
        if best is None or value > best[0]:
            best = (value, effort)
        return value

    if not searcher.codes:
        sizes = [k]  # all that a leaf holds is compared: there is nothing to score again
    else:
        sizes = [reorder] if reorder else sorted({min(len(searcher), round(k * times)) for times in _REORDER})
    every = [leaves] if leaves else leaf_steps(searcher.leaves)
    few = [step for step in every if step <= searcher.leaves // 4] or every
    good: list[Effort] = []
    for times in _REFINE if searcher.refining is not None and searcher.codes else _REFINE[:1]:
        refine = min(len(searcher), round(k * times))
        good += _enough(reached, recall, k, refine, sizes, few) or _enough(reached, recall, k, refine, sizes, every)
        if refine and good:
            break
    if not good:
        assert best is not None
        good = [best[1]]
    taken = seconds(searcher, truth.queries, good)
    cheapest = int(np.argmin(taken))
    return good[cheapest].model_copy(update={"seconds": taken[cheapest]})


def _enough(
    reached: Callable[[Effort], float], recall: float, k: int, refine: int, sizes: Sequence[int], steps: Sequence[int]
) -> list[Effort]:
    """Per number of candidates the fewest leaves of ``steps`` that are enough; none: no number is."""
    high = len(steps) - 1
    if reached(Effort(k=k, leaves=steps[high], reorder=max(sizes[-1], refine), refine=refine)) < recall:
        return []  # fewer candidates would not reach it either
    good: list[Effort] = []
    for size in sizes:
        if size < refine or reached(Effort(k=k, leaves=steps[high], reorder=size, refine=refine)) < recall:
            continue
        # More leaves never find less, nor do more candidates: the fewest leaves that are enough, by halving.
        low, before = 0, high
        while low < high:
            middle = (low + high) // 2
            if reached(Effort(k=k, leaves=steps[middle], reorder=size, refine=refine)) >= recall:
                high = middle
            else:
                low = middle + 1
        if good and high == before:
            break  # no fewer leaves, and more candidates: only dearer from here on
        good.append(Effort(k=k, leaves=steps[high], reorder=size, refine=refine))
    return good


def recall_with(searcher: Searcher, truth: Truth, effort: Effort, first_row: int = 0) -> Float64Array:
    """Per query what a search with this effort finds of the exact neighbours; ``first_row`` as in :func:`tune`."""
    result = searcher.search(truth.queries, truth.asked(effort.k), effort)
    return truth.recall(np.where(result.rows < 0, -1, result.rows - first_row))


def leaf_steps(leaves: int) -> list[int]:
    """Numbers of leaves to try: some 8% apart, all of them last."""
    numbers = {min(leaves, max(1, round(1.08**i))) for i in range(400)}
    return sorted(numbers)


def seconds(searcher: Searcher, queries: Float32Array, efforts: Sequence[Effort], repeats: int = 5) -> list[float]:
    """Per effort the processor time of a query in a batch: the least of some repetitions, since other work only adds.

    The efforts take turns, so that a slow moment of the machine hits all of them.
    """
    least = [np.inf] * len(efforts)
    for _ in range(repeats):
        for place, effort in enumerate(efforts):
            start = time.process_time()
            searcher.search(queries, effort.k, effort)
            least[place] = min(least[place], time.process_time() - start)
    return [duration / max(1, len(queries)) for duration in least]


def sample_of(rows: int, wanted: int, seed: int) -> Int64Array:
    """Distinct rows, sorted."""
    return np.sort(np.random.default_rng(seed).choice(rows, min(rows, wanted), replace=False))


def halves(rows: Int64Array) -> Sequence[Int64Array]:
    """Every second row for choosing, the others for reporting."""
    return rows[::2], rows[1::2]
