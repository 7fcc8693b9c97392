"""Scores of candidates by int8 vectors in a file that is mapped, one for all trees of an index.

ScaNN keeps int8 vectors of its own in each tree, in memory. Where those would be too many, its trees hold codes alone,
and this takes their place: a row is rotated and divided by its largest value / 127, which is kept beside it.
"""

from __future__ import annotations

import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from modules.arrays import Float32Array, Int64Array
from modules.similarity.changes import Rows
from modules.similarity.float16_rows import to_float32
from modules.similarity.protocol import SearchResult
from modules.similarity.scann_index.results import pad
from modules.similarity.scann_index.rotation import random_rotation, rotate
from modules.similarity.top_k import top_k
from modules.threads import one_blas_thread

_VALUES = "int8.npy"
_SCALES = "scales.npy"
_ROTATION = "rotation.npy"
_BLOCK_BYTES = 1 << 25
_CACHED_BYTES = 1 << 19
"""Bytes of float32 vectors."""
_LARGE = 1 << 17
"""Numbers of a query's candidates. With fewer, threads take turns: they would mostly wait for Python's lock."""


class Rescoring:
    """Scores an index' rows again, by their int8 or exact vectors.

    Before an index was saved, and for products that were added since, its own vectors are used.

    Attributes:
      rows: products and vectors.
    """

    def __init__(
        self,
        rows: Rows,
        values: npt.NDArray[np.int8] | None = None,
        scales: Float32Array | None = None,
        rotation: Float32Array | None = None,
    ):
        self.rows = rows
        self._values, self._scales, self._rotation = values, scales, rotation
        self._turn = threading.Lock()

    @classmethod
    def map(cls, folder: Path, rows: Rows) -> Rescoring:
        """Opens what :func:`write` wrote; the values stay on the disk."""
        values = np.load(folder / _VALUES, mmap_mode="r", allow_pickle=False)
        scales = np.load(folder / _SCALES, allow_pickle=False)[:, 0]
        return cls(rows, values, scales, np.load(folder / _ROTATION, allow_pickle=False))

    def top_k(self, queries: Float32Array, candidates: SearchResult, k: int) -> SearchResult:
        """The ``k`` candidates of each query with the highest cosines.

        Args:
          queries: float32 (q, d).
          candidates: rows, -1 for none; its scores do not count.
        """
        small = candidates.rows.shape[1] * queries.shape[1] < _LARGE
        with one_blas_thread(), self._turn if small else nullcontext():
            return pad(SearchResult(*top_k(candidates.rows, self._scores(queries, candidates.rows), k)), k)

    def _scores(self, queries: Float32Array, rows: Int64Array) -> Float32Array:
        rotated = queries if self._rotation is None else rotate(queries, self._rotation)
        scores = np.empty(rows.shape, np.float32)
        count, dimension = rows.shape[1], queries.shape[1]
        height = max(1, _CACHED_BYTES // (4 * dimension))
        step = max(1, height // max(1, count))
        room = _Room(min(height, step * count), dimension, self._old.dtype)
        for first in range(0, len(queries), step):
            some = slice(first, first + step)
            for start in range(0, count, height):
                part = some, slice(start, start + height)
                self._score(rotated[some], rows[part], scores[part], room)
        query, place = np.nonzero(rows >= len(self._old))
        if len(query):
            added = to_float32(self.rows.added[rows[query, place] - len(self._old)])
            scores[query, place] = np.einsum("nd,nd->n", added, queries[query])
        scores[rows < 0] = -np.inf
        return scores

    @property
    def _old(self) -> npt.NDArray[Any]:
        return self.rows.base.vectors if self._values is None else self._values

    def _score(self, queries: Float32Array, rows: Int64Array, scores: Float32Array, room: _Room) -> None:
        """Writes the scores of rows (q, n) into ``scores``; those of rows that were added later are meaningless."""
        if not len(self._old):
            return
        flat = rows.reshape(-1)
        narrow, wide = room.narrow[: len(flat)], room.wide[: len(flat)]
        np.take(self._old, flat, axis=0, out=narrow, mode="clip")
        to_float32(narrow, wide)
        scores[:] = np.matmul(wide.reshape(*rows.shape, -1), queries[:, :, None])[:, :, 0]
        if self._scales is not None:
            scores *= np.take(self._scales, rows, mode="clip")


class _Room:
    """For some rows, so that they stay in the processor's cache."""

    def __init__(self, height: int, dimension: int, dtype: np.dtype[Any]):
        self.narrow = np.empty((height, dimension), dtype)
        self.wide = np.empty((height, dimension), np.float32)


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
