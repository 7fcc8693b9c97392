"""Every product compared with every query: right by construction, and the fastest for small sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from modules.arrays import BoolArray, Float32Array, Int64Array
from modules.settings.base import Settings
from modules.similarity.changes import Rows
from modules.similarity.float16_rows import to_float32
from modules.similarity.folder import Manifest, new_folder, read_manifest, settings_of, write_manifest
from modules.similarity.items import Embedding, Items
from modules.similarity.protocol import Queries, SearchResult, Within, check_search, mask_of
from modules.similarity.top_k import compacted, kth_highest, top_k

_WIDTH = 1 << 13
"""Products per block: a block of 512 queries' scores takes 16 MiB."""
_HEIGHT = 512


class ExactSettings(Settings):
    """Of :class:`ExactIndex`."""

    block: Annotated[int, Field(ge=1)] = _WIDTH
    """Products that are compared at a time."""


class ExactIndex:
    """Brute force in float32 with memory for a few blocks; implements :class:`modules.similarity.protocol.Index`."""

    kind: ClassVar[str] = "exact"

    def __init__(self, rows: Rows, settings: ExactSettings):
        self.rows = rows
        self._settings = settings

    @classmethod
    def build(cls, items: Items, settings: ExactSettings, seed: int = 0) -> ExactIndex:
        """Nothing is built: the vectors are used as they are."""
        return cls(Rows.of(items), settings)

    @classmethod
    def load(cls, folder: str | Path, embedding: Embedding | None = None) -> ExactIndex:
        """See :meth:`modules.similarity.protocol.Index.load`; the vectors stay on the disk, mapped."""
        manifest = read_manifest(folder, cls.kind, embedding)
        return cls(
            Rows.map(Path(folder), manifest.embedding, manifest.dimension), settings_of(ExactSettings, manifest, folder)
        )

    def save(self, folder: str | Path) -> None:
        """See :meth:`modules.similarity.protocol.Index.save`."""
        target = new_folder(folder)
        self.rows.write(target)
        base = self.rows.base
        settings = self._settings.model_dump(mode="json")
        write_manifest(target, Manifest(self.kind, base.embedding, base.dimension, len(self), settings))

    def search(self, queries: Queries, k: int, within: Within | None = None) -> SearchResult:
        """See :meth:`modules.similarity.protocol.Index.search`."""
        vectors = check_search(queries, k, self.rows.base.dimension)
        mask = mask_of(within, self.rows.table)
        mask = self.rows.only_comparable(mask)
        return brute_force(vectors, [self.rows.base.vectors, self.rows.added], k, mask, self._settings.block)

    def add(self, items: Items) -> None:
        """See :meth:`modules.similarity.protocol.Index.add`."""
        self.rows.add(items)

    def remove(self, ids: Sequence[str]) -> int:
        """See :meth:`modules.similarity.protocol.Index.remove`."""
        return len(self.rows.remove(ids))

    @property
    def ids(self) -> pa.Array:
        """Ids by row."""
        return self.rows.ids

    @property
    def settings(self) -> ExactSettings:
        """What it was built with."""
        return self._settings

    def __len__(self) -> int:
        return len(self.rows)


def brute_force(
    queries: Float32Array, parts: Sequence[npt.NDArray[Any]], k: int, mask: BoolArray | None = None, block: int = _WIDTH
) -> SearchResult:
    """The best ``k`` rows of each query by inner product; equal scores in the order of the rows.

    Args:
      queries: float32 (q, d).
      parts: arrays (n_i, d) whose rows are numbered through; any floats, memory maps too.
      mask: bool (sum of n_i,): rows that count; None: all.
      block: rows that are compared at a time.
    """
    rows = np.full((len(queries), k), -1, np.int64)
    scores = np.full((len(queries), k), -np.inf, np.float32)
    for numbers, vectors in blocks(parts, mask, block):
        for top in range(0, len(queries), _HEIGHT):
            place = slice(top, top + _HEIGHT)
            new = queries[place] @ vectors.T
            rows[place], scores[place] = _merged(rows[place], scores[place], numbers, new)
    return SearchResult(rows, scores)


def blocks(
    parts: Sequence[npt.NDArray[Any]], mask: BoolArray | None, block: int
) -> Iterator[tuple[Int64Array, Float32Array]]:
    """Row numbers and float32 vectors, at most ``block`` at a time."""
    start = 0
    for part in parts:
        wanted = None if mask is None else np.flatnonzero(mask[start : start + len(part)])
        count = len(part) if wanted is None else len(wanted)
        for first in range(0, count, block):
            if wanted is None:
                end = min(first + block, count)
                yield np.arange(start + first, start + end), to_float32(part[first:end])
            else:
                chosen = wanted[first : first + block]
                whole = len(chosen) == chosen[-1] - chosen[0] + 1  # a slice is read without a copy
                yield start + chosen, to_float32(part[chosen[0] : chosen[-1] + 1] if whole else part[chosen])
        start += len(part)


def _merged(
    rows: Int64Array, scores: Float32Array, numbers: Int64Array, new: Float32Array
) -> tuple[Int64Array, Float32Array]:
    """The best so far (q, k), and those of a block's scores (q, m) that are among the best now."""
    k = rows.shape[1]
    last = scores[:, -1:]
    keep = new > last  # an equal score of a later row comes after
    if new.shape[1] > k and np.isneginf(last).any():
        # Equal scores in the last place are decided by row number, so they must not be cut off here.
        keep &= new >= kth_highest(new, k)
    some, values = compacted(keep, numbers, new)
    if not some.size:
        return rows, scores
    return top_k(np.concatenate([rows, some], axis=1), np.concatenate([scores, values], axis=1), k)
