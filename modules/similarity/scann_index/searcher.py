"""One ScaNN tree over some rows of the index."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from modules.arrays import Float32Array, Int64Array
from modules.errors import InputError, Problem
from modules.similarity.changes import not_zero
from modules.similarity.float16_rows import to_float32
from modules.similarity.folder import write_vectors
from modules.similarity.protocol import SearchResult
from modules.similarity.scann_index.library import configuration, native
from modules.similarity.scann_index.rescoring import Rescoring
from modules.similarity.scann_index.results import nothing, pad
from modules.similarity.scann_index.rotation import random_rotation, rotate
from modules.similarity.scann_index.settings import Effort, ScannSettings, effort_of, leaves_of
from modules.threads import one_blas_thread, threads

_ASSETS = "scann_assets.pbtxt"
_ASSET = re.compile(r'assets \{\n  asset_type: [A-Z0-9_]+\n  asset_path: "([A-Za-z0-9_]+\.[a-z]+)"\n\}\n')
_LEAVES = "datapoint_to_token.npy"
_PLACES = "rows.npy"
_ROTATION = "rotation.npy"
_BATCH = 256
_FEWEST = 16
"""Vectors: a code book has so many entries."""
_SEVERAL = 8
"""Queries, from which on threads of Python's pay."""
_BLOCK_BYTES = 1 << 26
"""The bytes of float32 vectors that one step converts."""


class Searcher:
    """A tree, and in its leaves the vectors of some rows, or 4-bit codes and quantised vectors.

    Rows of zeros, products without embedding, are left out: no search finds them. Where there are codes, vectors are
    rotated at random first, so that no dimension has much larger values than the others: int8 has a step size per
    dimension, given by its largest.

    Attributes:
      codes: whether the leaves hold codes. leaves: of the tree.
      efforts: of a search, ascending by k.
      rescoring: what orders candidates; None: ScaNN itself.
      refining: what orders the best of them, where an effort says so.
    """

    def __init__(
        self,
        native_searcher: Any,
        rotation: Float32Array | None,
        rows: Int64Array,
        leaves: int,
        efforts: Sequence[Effort] = (),
    ):
        self._native = native_searcher
        self._rotation = rotation
        self.codes = rotation is not None
        self._rows = _narrow(rows)  # by ScaNN's own numbering
        self.leaves = leaves
        self.efforts = tuple(efforts)
        self.rescoring: Rescoring | None = None
        self.refining: Rescoring | None = None
        self._saved: Path | None = None  # the folder whose files say what this holds

    @classmethod
    def build(
        cls,
        vectors: npt.NDArray[Any],
        rows: Int64Array,
        settings: ScannSettings,
        seed: int = 0,
        leaves: int | None = None,
    ) -> Searcher | None:
        """A tree over ``vectors`` (n, d); None if too few rows have an embedding.

        ScaNN wants all vectors at once. Where they are too many for that, tree and code books are learnt from a sample
        and the other vectors are added block by block, at some cost in recall.

        Args:
          rows: int64 (n,): what a search returns for each vector.
          leaves: of the tree; None: :func:`leaves_of`.
        """
        good = np.flatnonzero(not_zero(vectors))
        if len(good) < _FEWEST:
            return None
        dimension = vectors.shape[1]
        leaves = min(leaves or leaves_of(len(good)), len(good))
        rng = np.random.default_rng(seed)
        rotation = random_rotation(dimension, rng) if settings.scoring != "vectors" else None
        first, rest = good, good[:0]
        if 4 * len(good) * dimension > settings.build_memory:
            size = min(len(good), max(settings.sample, leaves, settings.build_memory // (4 * dimension)))
            chosen = rng.choice(len(good), size, replace=False)
            if rotation is not None:
                # int8's step sizes come from the first vectors: without the extreme ones, those would be cut off.
                chosen = np.union1d(chosen, _extremes(vectors, good, rotation))
            first, rest = good[chosen], np.delete(good, chosen)
        effort = effort_of((), 100, leaves, len(good))
        config = configuration(dimension, leaves, effort, settings, seed)
        made = native().ScannNumpy(_all_rotated(vectors, first, rotation), config, threads())
        searcher = cls(made, rotation, rows[first], leaves)
        if len(rest):
            made.reserve(len(good))
            searcher._append(vectors, rest, rows)
        return searcher

    @classmethod
    def load(cls, folder: Path, leaves: int, efforts: Sequence[Effort] = ()) -> Searcher:
        """Loads what :meth:`save` wrote; the caller has checked the files against the manifest.

        Raises:
          InputError: a file that ScaNN's list of files names is not there.
        """
        assets = (folder / _ASSETS).read_text(encoding="utf-8")
        names = re.findall(_ASSET, assets)
        # Nothing but what ScaNN itself writes: protobuf's text has many ways to say the same.
        if re.sub(_ASSET, "", assets) or not all((folder / name).is_file() for name in names):
            hint = "build the index again with `shelfmark run --from ScannIndex`"
            value = next((name for name in names if not (folder / name).is_file()), None)
            raise InputError(Problem(str(folder / _ASSETS), "names of files beside it", value=value, hint=hint))
        made = native().ScannNumpy(str(folder), assets)
        made.set_num_threads(threads())
        rows = np.load(folder / _PLACES, allow_pickle=False)[:, 0]
        rotation = np.load(folder / _ROTATION, allow_pickle=False) if (folder / _ROTATION).exists() else None
        searcher = cls(made, rotation, rows, leaves, efforts)
        searcher._saved = folder
        return searcher

    def save(self, folder: Path) -> None:
        """Writes ScaNN's files and the rows' numbers."""
        folder.mkdir(parents=True, exist_ok=True)
        self._native.serialize(str(folder), True)
        if self._rotation is not None:
            np.save(folder / _ROTATION, self._rotation, allow_pickle=False)
        write_vectors(folder / _PLACES, self._rows[:, None])

    def __len__(self) -> int:
        return len(self._rows)

    def by_leaf(self) -> npt.NDArray[Any]:
        """Its rows, those of a leaf beside each other: queries in this order look into the same leaves.

        Any order after a change, or where it was not loaded: only ScaNN's files say what lies where.
        """
        if self._saved is None or not (self._saved / _LEAVES).is_file():
            return self._rows
        leaves = np.load(self._saved / _LEAVES, mmap_mode="r", allow_pickle=False)
        return self._rows[np.argsort(leaves, kind="stable")] if leaves.shape == self._rows.shape else self._rows

    def effort(self, k: int) -> Effort:
        """The effort of a search for ``k``."""
        return effort_of(self.efforts, k, self.leaves, len(self))

    def search(self, queries: Float32Array, k: int, effort: Effort | None = None) -> SearchResult:
        """The best ``k`` rows of each query (float32 (q, d), contiguous) by inner product.

        Queries whose leaves hold fewer than ``k`` look into all leaves.

        Args:
          effort: how hard to look; None: as measured for ``k``.
        """
        if not len(queries) or not len(self):
            return nothing(len(queries), k)
        effort = effort or self.effort(k)
        result = self._search(queries, k, effort)
        short = np.flatnonzero(result.rows[:, min(k, len(self)) - 1] < 0)
        if len(short) and effort.leaves < self.leaves:
            every = effort.model_copy(update={"leaves": self.leaves})
            again = self._search(np.ascontiguousarray(queries[short]), k, every)
            result.rows[short], result.scores[short] = again.rows, again.scores
        return result

    def _search(self, queries: Float32Array, k: int, effort: Effort) -> SearchResult:
        refine = min(effort.refine, len(self)) if self.refining is not None else 0
        if self.rescoring is None and not refine:
            return self._candidates(queries, min(k, len(self)), k, effort, several=len(queries) > 1)

        def best(part: Float32Array) -> SearchResult:
            candidates = self._candidates(part, max(min(k, len(self)), refine), max(k, refine), effort, several=False)
            return self.refining.top_k(part, candidates, k) if self.refining is not None and refine else candidates

        size = min(_BATCH, -(-len(queries) // threads())) if len(queries) >= _SEVERAL else len(queries)
        parts = [queries[start : start + size] for start in range(0, len(queries), size)]
        if len(parts) == 1:
            return best(parts[0])
        # While one thread orders candidates, with Python's lock, others are in ScaNN, without it.
        with one_blas_thread(), ThreadPoolExecutor(threads()) as pool:
            results = list(pool.map(best, parts))
        return SearchResult(
            np.concatenate([result.rows for result in results]), np.concatenate([result.scores for result in results])
        )

    def _candidates(
        self, queries: Float32Array, wanted: int, width: int, effort: Effort, several: bool
    ) -> SearchResult:
        """The best ``wanted`` by quantised vectors, padded to ``width``.

        Args:
          several: whether ScaNN's own threads share the queries.
        """
        deep = min(max(effort.reorder, wanted), len(self)) if self.codes else wanted
        with one_blas_thread() if several else nullcontext():
            rotated = _rotated(queries, self._rotation)
        places, scores = self._native.search_batched(
            rotated,
            deep if self.rescoring else wanted,
            deep,
            min(effort.leaves, self.leaves),
            several,
            min(_BATCH, -(-len(queries) // threads())) if several else len(queries),
        )
        rows = self._rows[places].astype(np.int64)
        if np.isnan(scores[:, -1]).any():  # ScaNN pads with place 0 and NaN
            short = np.isnan(scores)
            rows[short], scores[short] = -1, -np.inf
        candidates = SearchResult(rows, scores)
        if self.rescoring is not None:
            candidates = self.rescoring.top_k(queries, candidates, width)
        return candidates if candidates.rows.shape[1] == width else pad(candidates, width)

    def add(self, vectors: npt.NDArray[Any], rows: Int64Array) -> None:
        """Appends vectors (n, d) under these rows."""
        self._append(vectors, np.flatnonzero(not_zero(vectors)), rows)

    def remove(self, rows: Int64Array) -> None:
        """Removes rows; rows that the tree does not hold are ignored."""
        places = np.flatnonzero(np.isin(self._rows, rows))[::-1]
        if not len(places):
            return
        self._saved = None
        # ScaNN moves the last vector into each hole.
        self._native.delete(places.tolist())
        for place in places.tolist():
            self._rows[place] = self._rows[-1]
            self._rows = self._rows[:-1]

    def _append(self, vectors: npt.NDArray[Any], places: Int64Array, rows: Int64Array) -> None:
        self._saved = None
        for start in range(0, len(places), _block(vectors)):
            part = places[start : start + _block(vectors)]
            self._native.upsert([None] * len(part), list(_rotated(vectors[part], self._rotation)), _BATCH)
        self._rows = _narrow(np.concatenate([self._rows, rows[places]]))


def _rotated(vectors: npt.NDArray[Any], rotation: Float32Array | None) -> Float32Array:
    """In float32, rotated if there are codes."""
    return to_float32(vectors) if rotation is None else rotate(vectors, rotation)


def _all_rotated(vectors: npt.NDArray[Any], places: Int64Array, rotation: Float32Array | None) -> Float32Array:
    """Rows ``places`` as :func:`_rotated` has them, without a second copy of them."""
    sampled = np.empty((len(places), vectors.shape[1]), np.float32)
    for start in range(0, len(places), _block(vectors)):
        part = places[start : start + _block(vectors)]
        sampled[start : start + len(part)] = _rotated(vectors[part], rotation)
    return sampled


def _extremes(vectors: npt.NDArray[Any], good: Int64Array, rotation: Float32Array) -> Int64Array:
    """Places in ``good`` of the rows that have the largest value of a rotated dimension."""
    largest = np.zeros(vectors.shape[1], np.float32)
    where = np.zeros(vectors.shape[1], np.int64)
    for start in range(0, len(good), _block(vectors)):
        values = np.abs(rotate(vectors[good[start : start + _block(vectors)]], rotation))
        best = values.argmax(axis=0)
        top = values[best, np.arange(len(best))]
        where, largest = np.where(top > largest, best + start, where), np.maximum(top, largest)
    return np.unique(where)


def _narrow(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """int32 where the numbers allow it."""
    return rows.astype(np.int32 if rows.max(initial=0) < 2**31 else np.int64, copy=False)


def _block(vectors: npt.NDArray[Any]) -> int:
    """Rows that are looked at at a time."""
    return max(1, _BLOCK_BYTES // (4 * vectors.shape[1]))
