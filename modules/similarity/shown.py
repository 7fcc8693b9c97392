"""Products as people see them, out of an index' table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import pyarrow as pa


@dataclass(frozen=True)
class Shown:
    """A product as people see it; ``category``: its path; None: missing."""

    id: str
    title: str | None = None
    category: str | None = None
    retailer: str | None = None
    price: float | None = None
    availability: str | None = None


def shown_of(table: pa.Table, rows: npt.NDArray[Any], categories: Sequence[str]) -> list[Shown]:
    """The products of these rows.

    Args:
      table: of :data:`modules.similarity.items.SCHEMA`.
      categories: paths, by their place in the taxonomy.
    """
    made = zip(*map(_values, table.take(pa.array(rows)).columns), strict=True)
    return [
        Shown(
            id,
            title,
            categories[category] if 0 <= category < len(categories) else None,
            retailer,
            price if price == price else None,
            availability,
        )
        for id, title, category, retailer, price, availability in made
    ]


def _values(column: pa.ChunkedArray) -> list[Any]:
    """A column's values. Arrow's own way makes an object of its own of each first."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_primitive(column.type):
        values: list[Any] = column.to_numpy().tolist()
        return values
    return column.to_pylist()
