"""What an index is made of: products with their vectors, and what a search may be restricted by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from modules.arrays import BoolArray, Int64Array
from modules.taxonomy import Taxonomy

NO_CATEGORY = -1

_TEXT = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("title", pa.string()),
        ("category", pa.int32()),
        ("retailer", _TEXT),
        ("price", pa.float64()),
        ("availability", _TEXT),
    ]
)
"""The columns of :attr:`Items.table`. ``category``: the node's ``index`` in the taxonomy, -1 for none. ``price``: NaN
for none. ``title``, ``retailer`` and ``availability``: null for none."""


@dataclass(frozen=True)
class Embedding:
    """Where vectors come from. Vectors of different embeddings are never compared with each other.

    Attributes:
      model: fingerprint of the model (:func:`modules.similarity.identity.fingerprint`), or any name of the source.
      column: the predictions' column: ``embedding`` (joint), ``embedding_text``, ``embedding_image``.
    """

    model: str = ""
    column: str = "embedding"


@dataclass(frozen=True)
class Items:
    """Products in a fixed order; a product's row is its place in it.

    Attributes:
      table: of :data:`SCHEMA`, n rows, one chunk a column; may be mapped from a file.
      vectors: float32 or float16 (n, d), rows of unit length (a row of zeros: the product has no embedding); may be a
        memory map.
      embedding: what made the vectors.
    """

    table: pa.Table
    vectors: npt.NDArray[Any]
    embedding: Embedding = Embedding()

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) != self.table.num_rows:
            raise ValueError(f"vectors of shape ({self.table.num_rows}, d), not {self.vectors.shape}")

    def __len__(self) -> int:
        return self.table.num_rows

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return int(self.vectors.shape[1])

    @property
    def ids(self) -> pa.StringArray:
        """The products' ids."""
        return column(self.table, "id")

    @classmethod
    def of(
        cls,
        ids: Iterable[str] | pa.Array,
        vectors: npt.NDArray[Any],
        *,
        titles: Any = None,
        category: Any = None,
        retailer: Any = None,
        price: Any = None,
        availability: Any = None,
        embedding: Embedding = Embedding(),
    ) -> Items:
        """Items from arrays or lists of the same length; an attribute that is left out is missing everywhere."""
        ids = ids if isinstance(ids, pa.Array) else pa.array(list(ids), pa.string())
        count = len(ids)
        given = {"title": titles, "retailer": retailer, "availability": availability}
        texts = {name: _texts(value, SCHEMA.field(name).type, count) for name, value in given.items()}
        numbers = {
            "category": np.full(count, NO_CATEGORY, np.int32) if category is None else np.asarray(category, np.int32),
            "price": np.full(count, np.nan) if price is None else np.asarray(price, np.float64),
        }
        table = pa.table({"id": ids, **texts, **{name: pa.array(v) for name, v in numbers.items()}})
        return cls(table.select(SCHEMA.names).cast(SCHEMA), vectors, embedding)

    def take(self, rows: Int64Array) -> Items:
        """These rows as items of their own, in memory."""
        return Items(self.table.take(pa.array(rows)).combine_chunks(), np.asarray(self.vectors[rows]), self.embedding)


def column(table: pa.Table, name: str) -> Any:
    """A column of one chunk as an array."""
    chunks = table.column(name)
    return chunks.chunk(0) if chunks.num_chunks == 1 else chunks.combine_chunks()


def _texts(values: Any, kind: pa.DataType, count: int) -> pa.Array:
    if values is None:
        return pa.nulls(count, kind)
    array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(list(values), pa.string())
    if array.type == kind:
        return array
    return array.dictionary_encode() if pa.types.is_dictionary(kind) else array.cast(kind)


@dataclass(frozen=True)
class Restriction:
    """Which products a search is about; None: any.

    Attributes:
      categories: nodes of the taxonomy (:attr:`modules.taxonomy.Category.index`): see :func:`below`.
      retailers, availability: texts, one of which the product's must be.
      price_from, price_to: bounds, both included; a product without price is outside of any bound.
    """

    categories: frozenset[int] | None = None
    retailers: frozenset[str] | None = None
    availability: frozenset[str] | None = None
    price_from: float | None = None
    price_to: float | None = None

    @property
    def by_category_alone(self) -> bool:
        """Whether nothing but the category counts."""
        others = (self.retailers, self.availability, self.price_from, self.price_to)
        return self.categories is not None and all(value is None for value in others)

    @property
    def nothing(self) -> bool:
        """Whether any product will do."""
        return self == Restriction()

    def mask(self, table: pa.Table) -> BoolArray:
        """Per row of a table of :data:`SCHEMA` whether the product is meant."""
        meant = np.ones(table.num_rows, bool)
        if self.categories is not None:
            meant &= _among(column(table, "category").to_numpy(), self.categories)
        for name, wanted in (("retailer", self.retailers), ("availability", self.availability)):
            if wanted is not None:
                coded = column(table, name)
                known = pc.is_in(coded.dictionary, value_set=pa.array(sorted(wanted), pa.string()))
                good = np.append(known.to_numpy(zero_copy_only=False), False)
                meant &= good[coded.indices.fill_null(len(good) - 1).to_numpy(zero_copy_only=False)]
        if self.price_from is not None or self.price_to is not None:
            prices = column(table, "price").to_numpy(zero_copy_only=False)
            low = -np.inf if self.price_from is None else self.price_from
            high = np.inf if self.price_to is None else self.price_to
            meant &= (prices >= low) & (prices <= high)
        return meant


def _among(values: npt.NDArray[np.int32], wanted: Iterable[int]) -> BoolArray:
    table = np.zeros(max(int(values.max(initial=-1)), 0) + 2, bool)
    table[[node for node in wanted if 0 <= node < len(table) - 1]] = True
    return table[values]  # -1, no category, is the last entry: False


def below(taxonomy: Taxonomy, categories: Sequence[str]) -> frozenset[int]:
    """Node numbers of these categories (id or path) and of all below them, for :attr:`Restriction.categories`.

    Raises:
      UnknownCategory: the taxonomy has no such category.
    """
    nodes: set[int] = set()
    for text in categories:
        category = taxonomy.find(text)
        nodes |= {category.index, *(descendant.index for descendant in taxonomy.descendants(category))}
    return frozenset(nodes)
