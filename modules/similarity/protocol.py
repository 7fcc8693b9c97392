"""The methods that every index has: build, save, load, search, add and remove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import pyarrow as pa

from modules.arrays import BoolArray, Float32Array, Int64Array
from modules.settings.base import Settings
from modules.similarity.items import Embedding, Items, Restriction

Within = Restriction | BoolArray
"""What a search is restricted to: a restriction, or bool (rows,) for any other set of products."""


@dataclass(frozen=True)
class Queries:
    """The queries of one search. An index reads the part that it searches by and ignores the other.

    Attributes:
      vectors: float32 (q, d), rows of unit length.
      titles: q texts.
    """

    vectors: Float32Array | None = None
    titles: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.vectors) if self.vectors is not None else len(self.titles or ())


@dataclass(frozen=True)
class SearchResult:
    """The best k products of each query.

    Attributes:
      rows: int64 (q, k), best first; -1 where there are fewer than k.
      scores: float32 (q, k), descending; cosine, or the score of a full-text engine; -inf where the row is -1.
    """

    rows: Int64Array
    scores: Float32Array

    def ids(self, of: pa.Array) -> pa.Array:
        """The ids as one flat array of q * k texts, null where the row is -1; ``of``: :attr:`Index.ids`."""
        flat = self.rows.reshape(-1)
        return of.take(pa.array(flat, mask=flat < 0))


@runtime_checkable
class Searchable(Protocol):
    """Products that can be searched, and no more."""

    def search(self, queries: Queries, k: int, within: Within | None = None) -> SearchResult:
        """The best ``k`` products of each query, only those ``within``.

        Raises:
          ValueError: k below 1, vectors of another dimension or not finite, a mask of another length.
        """
        ...

    @property
    def ids(self) -> pa.Array:
        """Ids by row, removed products included."""
        ...

    @property
    def settings(self) -> Settings:
        """The settings that the index was built with."""
        ...

    def __len__(self) -> int:
        """How many products there are, those without embedding included, which no comparison finds."""
        ...


@runtime_checkable
class Index(Searchable, Protocol):
    """Products that can be searched, and that come and go.

    Rows are stable: adding appends rows, removing leaves holes that no search returns, until the index is built anew.
    """

    kind: ClassVar[str]
    """Name of the index' kind in its manifest."""

    @classmethod
    def build(cls, items: Items, settings: Any, seed: int) -> Self:
        """An index over ``items``; the same seed gives the same index."""
        ...

    @classmethod
    def load(cls, folder: str | Path, embedding: Embedding | None = None) -> Self:
        """The index that :meth:`save` wrote.

        Args:
          embedding: what the caller's vectors come from; None: not checked.

        Raises:
          InputError: a file is missing or damaged, the format is another version's, or the embedding is another one.
        """
        ...

    def save(self, folder: str | Path) -> None:
        """Writes the index into a new or empty folder: ``manifest.json`` and files of Arrow, npy or the engine's."""
        ...

    def add(self, items: Items) -> None:
        """Appends products; one whose id is there already takes the old one's place (under a new row).

        Raises:
          InputError: the items are of another embedding or dimension, an id is there twice, or a vector is not finite.
        """
        ...

    def remove(self, ids: Sequence[str]) -> int:
        """Removes products and returns how many it removed; unknown ids are ignored."""
        ...


def check_search(queries: Queries, k: int, dimension: int) -> Float32Array:
    """The queries' vectors as contiguous float32, if they and ``k`` can be searched with.

    Raises:
      ValueError: they cannot.
    """
    if k < 1:
        raise ValueError(f"k of at least 1, not {k}")
    if queries.vectors is None:
        raise ValueError("queries with vectors")
    if queries.vectors.ndim != 2 or queries.vectors.shape[1] != dimension:
        raise ValueError(f"vectors of shape (q, {dimension}), not {queries.vectors.shape}")
    vectors = np.ascontiguousarray(queries.vectors, np.float32)
    if not np.isfinite(vectors).all():
        raise ValueError("vectors of finite numbers")
    return vectors


def mask_of(within: Within | None, table: pa.Table) -> BoolArray | None:
    """``within`` as bool (rows,), or None where it excludes nothing.

    Raises:
      ValueError: a mask of another length.
    """
    if within is None or (isinstance(within, Restriction) and within.nothing):
        return None
    if isinstance(within, Restriction):
        return within.mask(table)
    if within.shape != (table.num_rows,):
        raise ValueError(f"a mask of shape ({table.num_rows},), not {within.shape}")
    return within.astype(bool, copy=False)
