"""Exact search for many queries at a time, with ScaNN's own brute force: several times as fast as NumPy's."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt

from modules.arrays import BoolArray, Float32Array, Int64Array
from modules.similarity.exact import blocks, brute_force
from modules.similarity.protocol import SearchResult
from modules.similarity.scann_index.library import native
from modules.similarity.scann_index.results import merge, nothing, pad
from modules.threads import one_blas_thread, threads

MANY = 64
"""Queries, from which on handing the vectors over pays."""

_FEW = 8
"""Queries, below which several BLAS threads wait more than they multiply."""
_BLOCK_BYTES = 1 << 26
_BATCH = 256
_CONFIGURATION = 'num_neighbors: 1 distance_measure { distance_measure: "DotProductDistance" } brute_force {}'


def compare(
    queries: Float32Array, parts: list[npt.NDArray[Any]], k: int, mask: BoolArray | None = None
) -> SearchResult:
    """As :func:`modules.similarity.exact.brute_force`, for any number of queries; the order of equal scores may differ.

    Args:
      queries: float32 (q, d), contiguous.
      parts: arrays (n_i, d) whose rows are numbered through.
      mask: bool (sum of n_i,): rows that count; None: all.
    """
    if len(queries) < MANY:
        with one_blas_thread() if len(queries) < _FEW else nullcontext():
            return brute_force(queries, parts, k, mask)
    results: list[SearchResult] = []
    block = max(1, _BLOCK_BYTES // (4 * queries.shape[1]))
    for numbers, vectors in blocks(parts, mask, block):
        results.append(_block(queries, vectors, numbers, k))
        if len(results) > 1:
            results = [merge(results, k)]
    return pad(results[0], k) if results else nothing(len(queries), k)


def _block(queries: Float32Array, vectors: Float32Array, numbers: Int64Array, k: int) -> SearchResult:
    made = native().ScannNumpy(np.ascontiguousarray(vectors), _CONFIGURATION, threads())
    wanted = min(k, len(vectors))
    batch = max(1, min(_BATCH, -(-len(queries) // threads())))
    places, scores = made.search_batched(queries, wanted, wanted, -1, True, batch)
    return SearchResult(numbers[places], scores)
