"""Product cards: the fields of an index' table that people see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import pyarrow as pa


@dataclass(frozen=True)
class ProductCard:
    """The fields of a product that people see. ``category`` is a path; None means that the value is missing."""

    id: str
    title: str | None = None
    category: str | None = None
    retailer: str | None = None
    price: float | None = None
    availability: str | None = None


def cards_of(table: pa.Table, rows: npt.NDArray[Any], categories: Sequence[str]) -> list[ProductCard]:
    """The cards of the products in these rows.

    Args:
      table: of :data:`modules.similarity.items.SCHEMA`.
      categories: paths, by their place in the taxonomy.
    """
    made = zip(*map(_values, table.take(pa.array(rows)).columns), strict=True)
    return [
        ProductCard(
            id,
            title,
            categories[category] if 0 <= category < len(categories) else None,
            retailer,
            None if price is None or math.isnan(price) else price,
            availability,
        )
        for id, title, category, retailer, price, availability in made
    ]


def _values(column: pa.ChunkedArray) -> list[Any]:
    """A column's values as Python objects, without the scalar that Arrow's ``to_pylist`` makes of each number first."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_primitive(column.type):
        values: list[Any] = column.to_numpy().tolist()
        return values
    return column.to_pylist()
