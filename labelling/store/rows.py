"""The log of labels: appending, and reading it back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from labelling.store.tables import as_read, labels
from modules.labels.model import MODEL
from modules.objectives import multi_label_names

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Label:
    """A row of the log; ``category`` and ``suggestion`` are ids, ``time`` microseconds since 1970 (UTC)."""

    product_id: str
    objective: str
    category: str | None
    value: str
    annotator: str
    time: int
    source: str
    batch: str | None = None
    inclusion_probability: float | None = None
    suggestion: str | None = None
    suggestion_probability: float | None = None
    model: str | None = None
    seconds: float | None = None
    note: str | None = None
    confidence: float | None = None


LOGGED = tuple(Label.__dataclass_fields__)


def time_text(time: int) -> str:
    """ISO 8601 in UTC, to the second where there is nothing below it."""
    moment = EPOCH + timedelta(microseconds=time)
    return moment.isoformat().replace("+00:00", "Z")


def microseconds(moment: datetime) -> int:
    """The inverse of :func:`time_text`, exact; a time without an offset is UTC."""
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(microseconds=1)


def append(connection: Connection, rows: Iterable[Label]) -> tuple[int, int]:
    """Adds rows that the store does not have yet, in order.

    Two rows are the same if product, objective, annotator, time, category and value are.

    Returns:
      How many were added, and how many were there already.
    """
    added = known = 0
    rows = iter(rows)
    while chunk := list(islice(rows, CHUNK)):
        known_keys = _keys(connection, {row.product_id for row in chunk})
        fresh = []
        for row in chunk:
            key = (row.product_id, row.objective, row.annotator, row.time, row.category, row.value)
            if key in known_keys:
                known += 1
                continue
            known_keys.add(key)
            fresh.append({name: getattr(row, name) for name in LOGGED})
        if fresh:
            connection.execute(insert(labels), fresh)
        added += len(fresh)
    return added, known


def _keys(connection: Connection, products: set[str]) -> set[tuple[Any, ...]]:
    wanted = (as_read.c.product_id, as_read.c.objective, as_read.c.annotator, as_read.c.time, as_read.c.category)
    query = select(*wanted, as_read.c.value).where(as_read.c.product_id.in_(sorted(products)))
    return {tuple(row) for row in connection.execute(query)}


def read(connection: Connection, objectives: Iterable[str] | None = None) -> Iterator[Row[Any]]:
    """All rows in the order of their time (of equal times, in that of their arrival); streams."""
    query = select(as_read).order_by(as_read.c.time, as_read.c.id)
    if objectives is not None:
        query = query.where(as_read.c.objective.in_(sorted(objectives)))
    # yield_per asks PostgreSQL for a cursor on the server; the option must not outlive the statement.
    yield from connection.execute(query, execution_options={"yield_per": CHUNK})


def of_product(connection: Connection, product: str) -> list[Row[Any]]:
    """A product's history, the oldest first."""
    query = select(as_read).where(as_read.c.product_id == product).order_by(as_read.c.time, as_read.c.id)
    return list(connection.execute(query))


def standing(rows: Iterable[Row[Any]], multi_label: Iterable[str] = (), models: bool = False) -> list[Row[Any]]:
    """Of rows in the order of their time, the answers that stand: the newest per product, objective and annotator (and
    category, of a multi-label objective), unless it is skipped or retracted.

    Args:
      models: also what models said, which is no person's answer.
    """
    several = set(multi_label)
    newest: dict[tuple[str, str, str, str], Row[Any]] = {}
    for row in rows:
        if row.source == MODEL and not models:
            continue
        key = (row.product_id, row.objective, row.annotator)
        newest[*key, (row.category or "") if row.objective in several else ""] = row
    return [row for row in newest.values() if row.value not in ("skip", "retracted")]


def standing_of(
    connection: Connection, products: Iterable[str], kinds: Mapping[str, str], models: bool = False
) -> dict[str, list[Row[Any]]]:
    """Product to the answers about it that stand; see :func:`standing`."""
    wanted = sorted(set(products))
    rows_of_product: dict[str, list[Row[Any]]] = {}
    several = multi_label_names(kinds)
    for start in range(0, len(wanted), CHUNK):
        some = wanted[start : start + CHUNK]
        query = select(as_read).where(as_read.c.product_id.in_(some)).order_by(as_read.c.time, as_read.c.id)
        for row in standing(connection.execute(query), several, models):
            rows_of_product.setdefault(row.product_id, []).append(row)
    return rows_of_product


def counts(connection: Connection) -> list[Row[Any]]:
    """(objective, source, value, rows, products), sorted."""
    columns = (as_read.c.objective, as_read.c.source, as_read.c.value)
    query = select(*columns, func.count(), func.count(as_read.c.product_id.distinct())).group_by(*columns)
    return list(connection.execute(query.order_by(*columns)))


def clean_probability(value: float | None) -> float | None:
    """None for what is no probability over 0."""
    return value if value is not None and math.isfinite(value) and 0 < value <= 1 else None


__all__ = [
    "Label", "append", "clean_probability", "counts", "microseconds", "of_product", "read", "standing", "standing_of",
    "time_text",
]  # fmt: skip
