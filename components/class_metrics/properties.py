"""How metrics stand in ML Metadata, and how they are read: plain names and values, no client."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from components.class_metrics.results import CategoryResult
from components.record import pack, unpack

FIGURES = "figures"
"""The record's property with every category's figures."""

_CATEGORY, _FAILED = "category/", "failed/"
Failed = dict[str, list[dict[str, Any]]]
"""Objective to the categories below their bounds: ``path``, ``f1`` (None: it has none), ``bound``."""


@dataclass(frozen=True)
class CategoryFigures:
    """All that an evaluation measured of single categories.

    Attributes:
      categories: with at least one labelled or predicted product. failed: those below their bounds.
    """

    categories: list[CategoryResult] = field(default_factory=list)
    failed: Failed = field(default_factory=dict)

    def of(self, objective: str) -> dict[str, tuple[str, dict[str, float]]]:
        """Category id to its path and figures, of one objective."""
        return {
            category.id: (category.path, category.values)
            for category in self.categories
            if category.objective == objective
        }


def overall(properties: Mapping[str, object]) -> dict[str, dict[str, float]]:
    """Objective to figure to value, out of the ``metrics`` artifact's properties."""
    values: dict[str, dict[str, float]] = {}
    for name, value in properties.items():
        if isinstance(value, float) and "/" in name:
            objective, _, figure = name.partition("/")
            values.setdefault(objective, {})[figure] = value
    return values


def pack_figures(figures: CategoryFigures) -> str:
    """As columns, each figure to 6 digits; categories that several objectives share stand in it once.

    Two objectives of 20,000 categories each, no figure like another, make 3.1 MB; a message may have 4.
    """
    place: dict[tuple[str, str], int] = {}
    rows: dict[str, list[CategoryResult]] = {}
    for category in figures.categories:
        place.setdefault((category.id, category.path), len(place))
        rows.setdefault(category.objective, []).append(category)
    objectives = {}
    for objective, own in rows.items():
        names = dict.fromkeys(name for category in own for name in category.values)
        columns = {name: [_digits(category.values.get(name)) for category in own] for name in names}
        objectives[objective] = {
            "category": [place[category.id, category.path] for category in own],
            "figures": columns,
        }
    paths = [path for _, path in place]
    # The pooled categories have a name in the place of a path.
    of_path = {path: at for at, path in enumerate(paths)}
    failed = {}
    for objective, short in figures.failed.items():
        for row in short:
            if row["path"] not in of_path:
                of_path[row["path"]] = len(paths)
                paths.append(row["path"])
        failed[objective] = {
            "path": [of_path[row["path"]] for row in short],
            "f1": [_digits(row["f1"]) for row in short],
            "bound": [row["bound"] for row in short],
        }
    ids = [identity for identity, _ in place]
    return pack({"ids": ids, "paths": paths, "objectives": objectives, "failed": failed})


def unpack_figures(text: str) -> CategoryFigures:
    """Unpacks what :func:`pack_figures` packed.

    Raises:
      ValueError: it is no such text.
    """
    document = unpack(text)
    ids, paths = document["ids"], document["paths"]
    categories = []
    for objective, own in document["objectives"].items():
        names = list(own["figures"])
        for at, figures in zip(own["category"], zip(*own["figures"].values(), strict=True), strict=True):
            values = {name: float(v) for name, v in zip(names, figures, strict=True) if v is not None}
            categories.append(CategoryResult(objective, ids[at], paths[at], values))
    failed = {
        objective: [
            {"path": paths[at], "f1": None if f1 is None else float(f1), "bound": bound}
            for at, f1, bound in zip(own["path"], own["f1"], own["bound"], strict=True)
        ]
        for objective, own in document["failed"].items()
    }
    return CategoryFigures(categories, failed)


def figures_of(metrics: Mapping[str, object], record: Mapping[str, object] | None) -> CategoryFigures:
    """The categories' figures, out of ML Metadata alone.

    Args:
      metrics: properties of the ``metrics`` artifact, which earlier versions kept the categories' figures on.
      record: those of the record beside it; None: an earlier version wrote none.
    """
    if record is not None and FIGURES in record:
        return unpack_figures(str(record[FIGURES]))
    figures = CategoryFigures()
    for name, value in metrics.items():
        if not isinstance(value, str):
            continue
        if name.startswith(_CATEGORY):
            objective, _, identity = name.removeprefix(_CATEGORY).partition("/")
            values: dict[str, Any] = json.loads(value)
            figures.categories.append(CategoryResult(objective, identity, values.pop("path"), values))
        elif name.startswith(_FAILED):
            figures.failed[name.removeprefix(_FAILED)] = json.loads(value)
    return figures


def _digits(value: float | None) -> float | int | None:
    if value is None:
        return None
    kept = float(f"{value:.6g}")
    return int(kept) if kept.is_integer() else kept
