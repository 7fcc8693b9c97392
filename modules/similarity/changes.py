"""Products that came or went since an index was built."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from modules.arrays import BoolArray, Float32Array, Int64Array
from modules.errors import InputError, Problem
from modules.similarity.folder import map_table, write_table, write_vectors
from modules.similarity.items import SCHEMA, Embedding, Items, column

ITEMS = "items.arrow"
VECTORS = "vectors.npy"
ADDED = "added.npy"
ALIVE = "alive.npy"
EMBEDDED = "embedded.npy"

_BLOCK_BYTES = 1 << 26
"""Of vectors that are looked at at a time."""


class Rows:
    """The products that an index was built from, those added since, and which of both are still there.

    Attributes:
      base: the products that the index was built from.
      added: vectors (m, d) of the products added since; their rows follow those of ``base``.
      table: of all rows (:data:`modules.similarity.items.SCHEMA`), those that were removed included.
      alive: bool (rows,), False where the product was removed.
    """

    def __init__(self, base: Items):
        self.base = base
        self.added: npt.NDArray[Any] = np.zeros((0, base.dimension), base.vectors.dtype)
        self.table = base.table
        self.alive = np.ones(len(base), bool)
        self._embedded: BoolArray | None = None

    @classmethod
    def of(cls, base: Items) -> Rows:
        """Of products that an index is to be built from.

        Raises:
          InputError: an id twice or none, or a vector that is not finite.
        """
        check_items(base)
        return cls(base)

    def __len__(self) -> int:
        return int(np.count_nonzero(self.alive))

    @property
    def ids(self) -> pa.StringArray:
        """Ids of all rows."""
        return column(self.table, "id")

    @property
    def changed(self) -> int:
        """How many products came or went since the index was built."""
        return len(self.added) + int(np.count_nonzero(~self.alive))

    @property
    def embedded(self) -> BoolArray:
        """bool (rows,), False where the product has no embedding, a vector of zeros; all True where none has any."""
        if self._embedded is None:
            self._embedded = np.concatenate([_embedded(self.base.vectors), _embedded(self.added)])
        return self._embedded

    @cached_property
    def comparable(self) -> BoolArray | None:
        """bool (rows,): still there, and with an embedding; None: all are."""
        mask = self.alive & self.embedded
        return None if mask.all() else mask

    def only_comparable(self, mask: BoolArray | None) -> BoolArray | None:
        """``mask`` (None: all rows) without those that are not :attr:`comparable`."""
        there = self.comparable
        return mask if there is None else there if mask is None else mask & there

    def rows_of(self, ids: Sequence[str] | pa.Array) -> Int64Array:
        """Row of each id, -1 for one that is not there."""
        wanted = ids if isinstance(ids, pa.Array) else pa.array(list(ids), pa.string())
        living = np.flatnonzero(self.alive)
        if not len(living):
            return np.full(len(wanted), -1, np.int64)
        known = self.ids if len(living) == len(self.alive) else self.ids.take(pa.array(living))
        places = pc.index_in(wanted, value_set=known).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        return np.where(places < 0, -1, living[places])

    def add(self, items: Items) -> Int64Array:
        """Appends ``items``; older rows of the same ids are removed. Returns those.

        Raises:
          InputError: another embedding or dimension, an id twice or none, or a vector that is not finite.
        """
        check_same(self.base, items)
        check_items(items)
        old = self.rows_of(items.ids)
        old = old[old >= 0]
        self.alive[old] = False
        self.alive = np.append(self.alive, np.ones(len(items), bool))
        self._embedded = np.append(self.embedded, _embedded(items.vectors))
        self._changes()
        self.table = pa.concat_tables([self.table, items.table]).unify_dictionaries().combine_chunks()
        self.added = np.concatenate([self.added, items.vectors.astype(self.added.dtype)])
        return old

    def remove(self, ids: Sequence[str]) -> Int64Array:
        """Makes holes where these ids are; returns their rows, ascending."""
        rows = np.unique(self.rows_of(ids))
        rows = rows[rows >= 0]
        self.alive[rows] = False
        self._changes()
        return rows

    def write(self, folder: Path) -> None:
        """``items.arrow`` of all rows, ``vectors.npy`` of the base, which rows have an embedding, and what changed."""
        write_table(folder / ITEMS, self.table)
        write_vectors(folder / VECTORS, self.base.vectors)
        write_vectors(folder / EMBEDDED, self.embedded[:, None])
        if self.changed:
            write_vectors(folder / ADDED, self.added)
            write_vectors(folder / ALIVE, self.alive[:, None])

    @classmethod
    def map(cls, folder: Path, embedding: Embedding, dimension: int) -> Rows:
        """The rows of :meth:`write`; texts and vectors are mapped: what is not looked at is not read.

        Args:
          dimension: of the vectors, as the manifest has it.

        Raises:
          InputError: the table has other columns, or the files do not fit together.
        """
        table = map_table(folder / ITEMS)
        vectors = np.load(folder / VECTORS, mmap_mode="r", allow_pickle=False)
        hint = "build the index again with `shelfmark run --from ScannIndex`"
        if table.schema != SCHEMA or vectors.ndim != 2 or len(vectors) > table.num_rows:
            raise InputError(Problem(str(folder / ITEMS), f"columns {', '.join(SCHEMA.names)}", hint=hint))
        if vectors.shape[1] != dimension:
            raise InputError(Problem(str(folder / VECTORS), f"vectors of {dimension} numbers", hint=hint))
        rows = cls(Items(table.slice(0, len(vectors)), vectors, embedding))
        rows.table = table
        if (folder / ALIVE).exists():
            rows.added = np.load(folder / ADDED, allow_pickle=False)
            rows.alive = np.load(folder / ALIVE, allow_pickle=False)[:, 0]
        if not len(rows.alive) == len(vectors) + len(rows.added) == table.num_rows:
            raise InputError(Problem(str(folder / ALIVE), f"as many rows as {ITEMS} has", hint=hint))
        # An index of an older version has no such file: its vectors are looked at when it is asked for.
        if (folder / EMBEDDED).exists():
            rows._embedded = np.load(folder / EMBEDDED, allow_pickle=False)[:, 0]
        return rows

    def _changes(self) -> None:
        self.__dict__.pop("comparable", None)


def check_same(items: Items, other: Items) -> None:
    """Raises InputError if vectors of the two may not stand in one index."""
    if items.embedding != other.embedding:
        hint = "build a new index; vectors of two embeddings cannot be compared"
        raise InputError(Problem("", repr(items.embedding), key="embedding", value=repr(other.embedding), hint=hint))
    if items.dimension != other.dimension:
        expected = f"vectors of {items.dimension} numbers"
        raise InputError(Problem("", expected, key="embedding", value=str(other.dimension)))


def check_items(items: Items) -> None:
    """Raises InputError if an id is there twice or missing, or a vector has a value that is not finite."""
    if pc.count_distinct(items.ids, mode="all").as_py() != len(items) or items.ids.null_count:
        raise InputError(Problem("", "ids that differ from each other, one for each product", key="id"))
    for start in range(0, len(items), block := _block(items.vectors)):
        part = items.vectors[start : start + block]
        if not all_finite(part):
            row = start + int(np.flatnonzero(~np.isfinite(part).all(axis=1))[0])
            value = f"product {items.ids[row].as_py()}"
            raise InputError(Problem("", "vectors of finite numbers", key="embedding", value=value))


def all_finite(vectors: npt.NDArray[Any]) -> bool:
    """Whether no number is NaN or infinite."""
    if vectors.dtype == np.float16:
        # By its bits: NumPy looks at halves one at a time.
        exponent = np.int16(0x7C00)
        return not (np.bitwise_and(np.ascontiguousarray(vectors).view(np.int16), exponent) == exponent).any()
    return bool(np.isfinite(vectors).all())


def not_zero(vectors: npt.NDArray[Any]) -> BoolArray:
    """bool (n,): rows that are not all zeros; looked at block by block."""
    block = _block(vectors)
    nonzero = [np.any(vectors[start : start + block], axis=1) for start in range(0, len(vectors), block)]
    return np.concatenate(nonzero) if nonzero else np.zeros(0, bool)


def _block(vectors: npt.NDArray[Any]) -> int:
    """Rows that are looked at at a time."""
    return max(1, _BLOCK_BYTES // (4 * max(1, vectors.shape[1])))


def _embedded(vectors: npt.NDArray[Any]) -> BoolArray:
    return not_zero(vectors) if vectors.shape[1] else np.ones(len(vectors), bool)


def unit(vectors: npt.NDArray[Any]) -> Float32Array:
    """Rows scaled to unit length, float32; rows of zeros stay zeros, what is not finite becomes zeros."""
    wide = np.asarray(vectors, np.float32)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    good = np.isfinite(lengths) & (lengths > 0)
    return np.where(good, np.divide(wide, lengths, out=np.zeros_like(wide), where=good), 0).astype(np.float32)
