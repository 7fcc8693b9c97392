"""A base that stays as it was built, and over it what has changed since, which is compared product by product."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np
import pyarrow as pa

from modules.arrays import Float32Array, Int64Array
from modules.settings.base import Settings
from modules.similarity.exact import ExactIndex, ExactSettings
from modules.similarity.float16_rows import to_float32
from modules.similarity.items import Items
from modules.similarity.loading import rows_of
from modules.similarity.protocol import Index, Queries, SearchResult, Within
from modules.similarity.scann_index.results import merge


class LayeredIndex:
    """Implements :class:`modules.similarity.protocol.Searchable`; the rows of the base come first.

    The answers are those of the base and of an exact search of the newer products, merged by score: whatever recall
    the base has, no newer product is missed.

    Args:
      base: an index that nobody else uses: products leave it.
      newer: products that came or changed.
      outdated: ids of products that are gone or have changed; those that the base does not have are ignored.

    Attributes:
      rows: those of both.

    Raises:
      InputError: the newer products are of another embedding or dimension, an id is there twice, or a vector is not
        finite.
    """

    def __init__(self, base: Index, newer: Items, outdated: Sequence[str]):
        base.remove([*outdated, *newer.ids.to_pylist()])
        self._base, self._newer = base, ExactIndex.build(newer, ExactSettings())
        # Both parts keep their own rows; these are the same ones, numbered through.
        self.rows = copy(rows_of(base))
        self._start = len(self.rows.alive)
        self.rows.add(newer)

    def search(self, queries: Queries, k: int, within: Within | None = None) -> SearchResult:
        """See :meth:`modules.similarity.protocol.Searchable.search`."""
        below: Within | None = within
        above: Within | None = within
        if isinstance(within, np.ndarray):
            if within.shape != self.rows.alive.shape:
                raise ValueError(f"a mask of shape {self.rows.alive.shape}, not {within.shape}")
            below, above = within[: self._start], within[self._start :]
        older = self._base.search(queries, k, below)
        return merge([older, self._among_newer(queries, k, above)], k)

    def search_newer(self, queries: Queries, k: int, within: Within | None = None) -> SearchResult:
        """The same among the newer products alone, which are compared one by one."""
        return self._among_newer(queries, k, within[self._start :] if isinstance(within, np.ndarray) else within)

    def _among_newer(self, queries: Queries, k: int, within: Within | None) -> SearchResult:
        newer = self._newer.search(queries, k, within)
        return SearchResult(np.where(newer.rows < 0, -1, newer.rows + self._start), newer.scores)

    def vectors(self, rows: Int64Array) -> Float32Array:
        """float32 (n, d): the vectors of some rows."""
        is_newer = rows >= self._start
        vectors = np.empty((len(rows), self.rows.base.dimension), np.float32)
        vectors[~is_newer] = to_float32(self.rows.base.vectors[rows[~is_newer]])
        vectors[is_newer] = to_float32(self.rows.added[rows[is_newer] - self._start])
        return vectors

    @property
    def ids(self) -> pa.Array:
        """Ids by row."""
        return self.rows.ids

    @property
    def settings(self) -> Settings:
        """Those of the base."""
        return self._base.settings

    def __len__(self) -> int:
        return len(self.rows)
