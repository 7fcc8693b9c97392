"""How metrics stand in ML Metadata: names and values of the artifact's custom properties."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

CATEGORY, FAILED = "category/", "failed/"
LONGEST_NAME = 255
"""MySQL's limit for a property's name, in characters."""


def category_name(objective: str, category: str) -> str:
    """Name of a category's property.

    Raises:
      ValueError: it is too long for ML Metadata on MySQL.
    """
    name = f"{CATEGORY}{objective}/{category}"
    if len(name) > LONGEST_NAME:
        raise ValueError(f"category id {category!r} is too long: a property's name may have {LONGEST_NAME} characters")
    return name


def split_category_name(name: str) -> tuple[str, str] | None:
    """Objective and category id of a category's property; None for other properties."""
    if not name.startswith(CATEGORY):
        return None
    objective, _, category = name.removeprefix(CATEGORY).partition("/")
    return objective, category


def pack(path: str, values: Mapping[str, float]) -> str:
    """A category's figures as JSON, to 7 digits; what is not finite is left out, as JSON has no word for it."""
    kept = {name: float(f"{value:.7g}") for name, value in values.items() if math.isfinite(value)}
    return json.dumps({"path": path, **kept}, ensure_ascii=False, separators=(",", ":"))


def unpack(text: str) -> tuple[str, dict[str, float]]:
    """Path and figures, from :func:`pack`."""
    values: dict[str, Any] = json.loads(text)
    return values.pop("path"), values


def pack_failed(failed: Iterable[tuple[str, float, float]]) -> str:
    """Categories below their bounds as (path, F1, bound) rows."""
    rows = [{"path": path, "f1": f1 if math.isfinite(f1) else None, "bound": bound} for path, f1, bound in failed]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
