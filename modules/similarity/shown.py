"""Products as people see them, out of an index' table."""

from __future__ import annotations

import math
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
            None if price is None or math.isnan(price) else price,
            availability,
        )
        for id, title, category, retailer, price, availability in made
    ]


def _values(found: pa.ChunkedArray) -> list[Any]:
    """A column's values. Arrow's own way makes an object of its own of each first."""
    if pa.types.is_dictionary(found.type):
        found = found.cast(found.type.value_type)
    if pa.types.is_primitive(found.type):
        values: list[Any] = found.to_numpy().tolist()
        return values
    return found.to_pylist()
