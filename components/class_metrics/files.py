"""The categories' figures as files of the ``metrics`` artifact, which is where other steps read them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.class_metrics.properties import CategoryFigures
from components.class_metrics.results import CategoryResult

CATEGORIES_FILE, FAILED_FILE = "categories.parquet", "failed.json"
_NAMES = ("objective", "category", "path")


def write_figures(folder: str, figures: CategoryFigures, columns: Sequence[str]) -> None:
    """Writes a row per objective and category, and beside them the categories below their bounds.

    Args:
      folder: of the artifact; made where missing.
      figures: of each category, and which categories failed.
      columns: the figures; null where a category has no such one.
    """
    os.makedirs(folder, exist_ok=True)
    schema = pa.schema([(name, pa.string()) for name in _NAMES] + [(name, pa.float64()) for name in columns])
    categories = figures.categories
    arrays = [
        *([getattr(category, key) for category in categories] for key in ("objective", "id", "path")),
        *([category.values.get(name) for category in categories] for name in columns),
    ]
    pq.write_table(pa.table(arrays, schema=schema), os.path.join(folder, CATEGORIES_FILE), compression="zstd")
    with open(os.path.join(folder, FAILED_FILE), "w", encoding="utf-8") as file:
        json.dump(figures.failed, file, ensure_ascii=False)


def read_figures(folder: Path) -> CategoryFigures:
    """Reads what :func:`write_figures` wrote.

    Raises:
      OSError, ValueError: a file is missing or damaged.
    """
    table = pq.read_table(folder / CATEGORIES_FILE)
    categories = []
    for row in table.to_pylist():
        objective, identity, path = (row.pop(name) for name in _NAMES)
        values = {name: value for name, value in row.items() if value is not None}
        categories.append(CategoryResult(objective, identity, path, values))
    return CategoryFigures(categories, json.loads((folder / FAILED_FILE).read_text("utf-8")))
