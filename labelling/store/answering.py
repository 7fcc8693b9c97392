"""An annotator's answer and its undoing, each in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from labelling.store import queue
from labelling.store.tables import as_read, items, labels, neighbours, objectives, products
from modules.labels import VALUES
from modules.objectives import kind_named

DUPLICATE = "near_duplicate"
"""Source of a label that was given to a product because it looks like the one that was asked about: no random pick,
and so never measured on."""

MAX_SECONDS = 3600.0


@dataclass(frozen=True)
class Answer:
    """What an annotator said.

    Attributes:
      item: the queue's item; None for a label given on a product's own page.
      category: id, for ``yes`` and ``no``. seconds: from the product's appearance to the answer.
      also: near-duplicates of the product that the same holds for.
      request: unique; the same one is kept only once, however often it is sent.
    """

    product_id: str
    objective: str
    value: str
    annotator: str
    request: str
    item: int | None = None
    category: str | None = None
    seconds: float | None = None
    note: str | None = None
    also: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True)
class Kept:
    """What became of an answer: the labels' ids, and the near-duplicates that somebody else is looking at."""

    labels: tuple[int, ...]
    left: tuple[str, ...] = ()


def give(
    connection: Connection, answer: Answer, now: int, valid: Callable[[str, str | None], bool] | None = None
) -> Kept:
    """Keeps the answer; in a writing transaction. An expired lease is no reason to lose it.

    Args:
      valid: whether an objective can have a category as its answer; None: any can.

    Raises:
      ValueError: value and category do not fit, there is no such item, or it is about another product.
    """
    before = list(connection.scalars(select(labels.c.id).where(labels.c.request == answer.request)))
    if before:
        return Kept(tuple(before))
    _check(answer)
    if valid is not None and not valid(answer.objective, answer.category):
        raise ValueError("the objective has no such category")
    item = queue.item_of(connection, answer.item) if answer.item is not None else None
    if answer.item is not None and item is None:
        raise ValueError("there is no such item")
    if item is not None and (item.product_id, item.objective) != (answer.product_id, answer.objective):
        raise ValueError("the item is about another product")
    kept = [_keep(connection, answer, answer.product_id, item, now, 0, None)]
    left = []
    known = set(connection.scalars(select(neighbours.c.other).where(neighbours.c.product_id == answer.product_id)))
    for part, product in enumerate(dict.fromkeys(answer.also), start=1):
        if product not in known:
            continue
        category = item.category if item is not None else ""
        other = queue.open_item_of(connection, product, answer.objective, category)
        if other is not None and queue.held_by_others(connection, other.id, answer.annotator, now):
            left.append(product)
            continue
        kept.append(_keep(connection, answer, product, other, now, part, item))
    return Kept(tuple(kept), tuple(left))


def is_known(connection: Connection, product: str) -> bool:
    """Whether the store knows a product: an import brought it, it was queued, or somebody has labelled it."""
    id_columns = ((products, products.c.id), (items, items.c.product_id), (labels, labels.c.product_id))
    return any(
        connection.execute(select(column).select_from(table).where(column == product).limit(1)).first() is not None
        for table, column in id_columns
    )


def _check(answer: Answer) -> None:
    if answer.value not in VALUES or answer.value == "retracted":
        raise ValueError(f"no such value: {answer.value!r}")
    if (answer.value in ("yes", "no")) != (answer.category is not None):
        raise ValueError("yes and no need a category, and nothing else has one")


def _keep(
    connection: Connection,
    answer: Answer,
    product: str,
    item: Row[Any] | None,
    now: int,
    part: int,
    origin: Row[Any] | None,
) -> int:
    """Appends one row. ``origin``: the item whose answer is carried over to ``product``."""
    suggested = item.suggestions[0] if item is not None and item.suggestions else (None, None)
    batch = item if item is not None else origin
    row = {
        "product_id": product,
        "objective": answer.objective,
        "category": answer.category,
        "value": answer.value,
        "annotator": answer.annotator,
        "time": _after(connection, product, answer.objective, answer.annotator, now),
        "batch": batch.batch_id if batch is not None else None,
        "source": item.source if item is not None else DUPLICATE if part else "manual",
        "inclusion_probability": item.inclusion_probability if item is not None else None,
        "suggestion": suggested[0],
        "suggestion_probability": suggested[1],
        "model": item.model if item is not None else None,
        "seconds": None if part or answer.seconds is None else min(max(answer.seconds, 0.0), MAX_SECONDS),
        "note": answer.note or None,
        "item": item.id if item is not None else None,
        "request": answer.request,
        "part": part,
    }
    label = int(connection.execute(insert(labels).values(row).returning(labels.c.id)).scalar_one())
    if item is not None:
        queue.answered(connection, item.id, answer.annotator, label, answer.value)
    return label


def _after(connection: Connection, product: str, objective: str, annotator: str, now: int) -> int:
    """The newest row counts, so a clock that was set back must not bury this one."""
    same = (labels.c.product_id == product, labels.c.objective == objective, labels.c.annotator == annotator)
    newest = connection.scalar(select(func.max(labels.c.time)).where(*same))
    return now if newest is None else max(now, newest + 1)


@dataclass(frozen=True)
class Undone:
    """The item that is asked again (None where there is none), and the product it is about."""

    item: int | None
    product_id: str
    objective: str


def undo(connection: Connection, annotator: str, request: str, now: int) -> Undone | None:
    """Retracts the annotator's newest answer, near-duplicates included; what they said before stands again.

    Returns:
      None if there is nothing to undo.
    """
    before = connection.execute(select(labels).where(labels.c.request == request, labels.c.part == 0)).first()
    if before is not None:
        item = connection.scalar(select(labels.c.item).where(labels.c.id == before.undoes))
        return Undone(item, before.product_id, before.objective)
    undone = labels.alias("undone")
    taken_back = select(undone.c.id).where(undone.c.undoes == as_read.c.id).exists()
    mine = (as_read.c.annotator == annotator, as_read.c.request.is_not(None), as_read.c.value != "retracted")
    # What undoing restored was no answer of its own.
    last = connection.execute(
        select(as_read).where(*mine, as_read.c.undoes.is_(None), ~taken_back).order_by(as_read.c.id.desc()).limit(1)
    ).first()
    if last is None:
        return None
    same_request = select(as_read).where(as_read.c.request == last.request)
    group = connection.execute(same_request.order_by(as_read.c.part)).all()
    part = 0
    for row in group:
        part = _retract(connection, row, request, part, now)
    return Undone(group[0].item, group[0].product_id, group[0].objective)


def _retract(connection: Connection, row: Row[Any], request: str, part: int, now: int) -> int:
    """Takes one row back; returns the number of the next part."""
    same = (
        as_read.c.product_id == row.product_id,
        as_read.c.objective == row.objective,
        as_read.c.annotator == row.annotator,
    )
    time = _after(connection, row.product_id, row.objective, row.annotator, now)
    values = {
        name: getattr(row, name)
        for name in ("product_id", "objective", "category", "annotator", "batch", "source", "inclusion_probability")
    }
    values |= {"value": "retracted", "time": time, "item": row.item, "undoes": row.id, "request": request}
    connection.execute(insert(labels).values(values | {"part": part}))
    before = select(as_read).where(*same, as_read.c.id < row.id).order_by(as_read.c.time.desc(), as_read.c.id.desc())
    kind = connection.scalar(select(objectives.c.kind).where(objectives.c.name == row.objective))
    if kind is not None and not kind_named(kind).single_label:
        # Answers about other categories stand beside this one.
        before = before.where(as_read.c.category.is_not_distinct_from(row.category))
    earlier = connection.execute(before.limit(1)).first()
    if earlier is not None and earlier.value not in ("skip", "retracted"):
        again = {c.name: getattr(earlier, c.name) for c in labels.c if c.name not in ("id", "seconds", "part")}
        again |= {"time": time + 1, "undoes": row.id, "request": request, "part": part + 1}
        connection.execute(insert(labels).values(again))
        part += 1
    if row.item is not None:
        queue.unanswered(connection, row.item, row.annotator, now)
    return part + 1
