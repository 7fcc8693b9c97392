"""Scores of candidates by int8 vectors in a file that is mapped, one for all trees of an index.

ScaNN keeps int8 vectors of its own in each tree, in memory. Where those would be too many, its trees hold codes alone,
and this takes their place: a row is rotated and divided by its largest value / 127, which is kept beside it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from modules.similarity.changes import Rows
from modules.similarity.items import Floats
from modules.similarity.protocol import Found
from modules.similarity.scann_index.results import best
from modules.similarity.scann_index.rotation import random_rotation, rotate
from modules.similarity.scann_index.threads import threads

_VALUES = "int8.npy"
_SCALES = "scales.npy"
_ROTATION = "rotation.npy"
_BLOCK_BYTES = 1 << 25
_CACHED_BYTES = 1 << 18
"""Of float32 vectors."""
_SEVERAL = 8
"""Queries, from which on threads pay."""


class Rescoring:
    """Of an index' rows.

    Before an index was saved, and for products that were added since, its own vectors are used.

    Attributes:
      rows: products and vectors.
    """

    def __init__(
        self,
        rows: Rows,
        values: npt.NDArray[np.int8] | None = None,
        scales: Floats | None = None,
        rotation: Floats | None = None,
    ):
        self.rows = rows
        self._values, self._scales, self._rotation = values, scales, rotation

    @classmethod
    def map(cls, folder: Path, rows: Rows) -> Rescoring:
        """What :func:`write` wrote; the values stay on the disk."""
        values = np.load(folder / _VALUES, mmap_mode="r", allow_pickle=False)
        scales = np.load(folder / _SCALES, allow_pickle=False)[:, 0]
        return cls(rows, values, scales, np.load(folder / _ROTATION, allow_pickle=False))

    def best(self, queries: Floats, found: Found, k: int) -> Found:
        """The best ``k`` of what was found, by their cosine.

        Args:
          queries: float32 (q, d). found: rows, -1 for none; its scores do not count.
        """
        rotated = queries if self._rotation is None else rotate(queries, self._rotation)
        scores = np.full(found.rows.shape, -np.inf, np.float32)
        parts = threads() if len(queries) >= _SEVERAL else 1

        def score(part: int) -> None:
            block = _Block(queries.shape[1], (self.rows.base.vectors if self._values is None else self._values).dtype)
            for query in range(part, len(queries), parts):
                self._score(queries[query], rotated[query], found.rows[query], scores[query], block)

        if parts == 1:
            score(0)
        else:
            with ThreadPoolExecutor(parts) as pool:
                list(pool.map(score, range(parts)))
        return best(found.rows, scores, k)

    def _score(
        self, query: Floats, rotated: Floats, rows: npt.NDArray[np.int64], scores: Floats, block: _Block
    ) -> None:
        base = self.rows.base.vectors
        old, new = (rows >= 0) & (rows < len(base)), rows >= len(base)
        there = rows[old]
        if self._values is None or self._scales is None:
            scores[old] = block.products(base, there, query)
        else:
            scores[old] = block.products(self._values, there, rotated) * self._scales[there]
        if new.any():
            scores[new] = np.asarray(self.rows.added[rows[new] - len(base)], np.float32) @ query


class _Block:
    """Room for some rows, which stays in the processor's cache; a thread has its own."""

    def __init__(self, dimension: int, dtype: np.dtype[Any]):
        height = max(1, _CACHED_BYTES // (4 * dimension))
        self._narrow = np.empty((height, dimension), dtype)
        self._wide = np.empty((height, dimension), np.float32)

    def products(self, values: npt.NDArray[Any], rows: npt.NDArray[np.int64], query: Floats) -> Floats:
        """Of the query with each of these rows."""
        found = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), len(self._wide)):
            count = min(len(self._wide), len(rows) - start)
            narrow, wide = self._narrow[:count], self._wide[:count]
            np.take(values, rows[start : start + count], axis=0, out=narrow, mode="clip")
            np.copyto(wide, narrow)
            np.dot(wide, query, out=found[start : start + count])
        return found


def write(folder: Path, vectors: npt.NDArray[Any], seed: int = 0) -> None:
    """Writes int8 vectors, block by block.

    Args:
      vectors: floats (n, d), may be a memory map; rows of zeros stay zeros.
    """
    folder.mkdir(parents=True)
    count, dimension = vectors.shape
    rotation = random_rotation(dimension, np.random.default_rng(seed))
    scales = np.zeros((count, 1), np.float32)
    block = max(1, _BLOCK_BYTES // (4 * dimension))
    with (folder / _VALUES).open("wb") as file:
        header = {"descr": "|i1", "fortran_order": False, "shape": (count, dimension)}
        np.lib.format.write_array_header_2_0(file, header)
        for start in range(0, count, block):
            part = rotate(vectors[start : start + block], rotation)
            largest = np.abs(part).max(axis=1, keepdims=True)
            scales[start : start + len(part)] = largest / 127
            file.write(np.rint(part * (127 / np.where(largest > 0, largest, 1))).astype(np.int8).data)
    np.save(folder / _SCALES, scales, allow_pickle=False)
    np.save(folder / _ROTATION, rotation, allow_pickle=False)
