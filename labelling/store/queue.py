"""The queue: who gets which product, and what becomes of the answer.

An item is handed out on a lease. While it lasts nobody else gets the item, unless more answers are wanted than there
are leases and answers. A lease that runs out frees the item; an answer that comes later all the same is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, exists, func, insert, or_, select, update

from labelling.store.tables import answers, batches, items, leases

LEASE = 15 * 60 * 1_000_000
"""How long an item stays with who was shown it, in microseconds."""

HELD = 3
"""Items that one annotator may hold at a time: the one on the screen, and what is loaded ahead."""


@dataclass(frozen=True)
class Which:
    """Which items; None: any.

    Attributes:
      batch: its id. objective: its name. predicted: ids of categories of which the model's first choice must be one, or
        that the question is about. kind: ``batch`` or ``review``.
    """

    batch: str | None = None
    objective: str | None = None
    predicted: Collection[str] | None = None
    kind: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """For a statement over items joined with batches."""
        conditions: list[ColumnElement[bool]] = []
        if self.batch is not None:
            conditions.append(batches.c.id == self.batch)
        if self.kind is not None:
            conditions.append(batches.c.kind == self.kind)
        if self.objective is not None:
            conditions.append(items.c.objective == self.objective)
        if self.predicted is not None:
            wanted = sorted(self.predicted)
            conditions.append(or_(items.c.predicted.in_(wanted), items.c.category.in_(wanted)))
        return conditions


def take(
    connection: Connection, annotator: str, now: int, which: Which | None = None, *, held: Collection[int] = ()
) -> int | None:
    """Leases the next item to the annotator; in a writing transaction.

    One that is theirs already comes first, so that a page that is loaded again shows the same product.

    Args:
      held: items that are on the screen, or loaded ahead.

    Returns:
      The item's id, None if there is nothing for this annotator.
    """
    which = which or Which()
    mine = and_(leases.c.item == items.c.id, leases.c.annotator == annotator)
    already = _open(which).join(leases, mine).where(leases.c.until > now).order_by(leases.c.until, items.c.id)
    leased = list(connection.scalars(already))
    again = next((item for item in leased if item not in held), None)
    if again is not None:
        # All of this queue, in their order: whoever loads a page twice is to see the same product twice.
        for place, item in enumerate(leased):
            own = (leases.c.item == item, leases.c.annotator == annotator)
            connection.execute(update(leases).where(*own).values(until=now + LEASE + place))
        return int(again)
    others = (
        select(func.count())
        .where(leases.c.item == items.c.id, leases.c.annotator != annotator, leases.c.until > now)
        .scalar_subquery()
    )
    answered = select(func.count()).where(answers.c.item == items.c.id, answers.c.value != "skip").scalar_subquery()
    free = (
        _open(which)
        .where(
            or_(items.c.assigned.is_(None), items.c.assigned == annotator),
            ~exists().where(answers.c.item == items.c.id, answers.c.annotator == annotator),
            ~exists().where(mine, leases.c.until > now),
            others + answered < items.c.wanted,
        )
        .order_by(items.c.batch, items.c.rank, items.c.id)
        .limit(1)
    )
    item = connection.scalar(free)
    if item is None:
        return None
    connection.execute(delete(leases).where(leases.c.item == item, leases.c.until <= now))
    connection.execute(insert(leases).values(item=item, annotator=annotator, until=now + LEASE))
    return int(item)


def _open(which: Which) -> Select[Any]:
    opened = [items.c.state == "open", batches.c.state == "open"]
    return select(items.c.id).join(batches, batches.c.number == items.c.batch).where(*opened, *which.conditions())


def renew(connection: Connection, annotator: str, held: Sequence[int], now: int) -> None:
    """Whoever still looks at an item keeps it."""
    mine = (leases.c.annotator == annotator, leases.c.item.in_(held[:HELD]), leases.c.until > now)
    connection.execute(update(leases).where(*mine).values(until=now + LEASE))


def release(connection: Connection, annotator: str, keep: Collection[int] = ()) -> None:
    """Gives back what the annotator holds."""
    connection.execute(delete(leases).where(leases.c.annotator == annotator, leases.c.item.not_in(keep)))


def held_by_others(connection: Connection, item: int, annotator: str, now: int) -> bool:
    """Whether somebody else is looking at the item."""
    query = select(leases.c.item).where(leases.c.item == item, leases.c.annotator != annotator, leases.c.until > now)
    return connection.execute(query).first() is not None


def answered(connection: Connection, item: int, annotator: str, label: int, value: str) -> None:
    """Notes an answer: the lease ends, and the item is done when enough people have answered."""
    mine = (answers.c.item == item, answers.c.annotator == annotator)
    connection.execute(delete(answers).where(*mine))
    connection.execute(insert(answers).values(item=item, annotator=annotator, label=label, value=value))
    connection.execute(delete(leases).where(leases.c.item == item, leases.c.annotator == annotator))
    _settle(connection, item)


def unanswered(connection: Connection, item: int, annotator: str, now: int) -> None:
    """Takes an answer back: the item is open again, and the annotator's first of all."""
    connection.execute(delete(answers).where(answers.c.item == item, answers.c.annotator == annotator))
    connection.execute(delete(leases).where(leases.c.item == item, leases.c.annotator == annotator))
    # Leases that run out earlier come first; this one is to come before all others.
    connection.execute(insert(leases).values(item=item, annotator=annotator, until=now + LEASE // 2))
    _settle(connection, item)


def _settle(connection: Connection, item: int) -> None:
    count = select(func.count()).where(answers.c.item == item, answers.c.value != "skip").scalar_subquery()
    enough = and_(items.c.id == item, items.c.state != "closed")
    connection.execute(update(items).where(enough, items.c.wanted <= count).values(state="done"))
    connection.execute(update(items).where(enough, items.c.wanted > count).values(state="open"))


def item_of(connection: Connection, item: int) -> Row[Any] | None:
    """The item with its batch's id and kind."""
    query = select(items, batches.c.id.label("batch_id"), batches.c.kind, batches.c.state.label("batch_state"))
    return connection.execute(query.join(batches).where(items.c.id == item)).first()


def open_item_of(connection: Connection, product: str, objective: str, category: str) -> Row[Any] | None:
    """The open item that asks about a product, of a batch (a review asks anew)."""
    query = select(items, batches.c.id.label("batch_id")).join(batches)
    same = (items.c.product_id == product, items.c.objective == objective, items.c.category == category)
    return connection.execute(query.where(*same, items.c.state == "open", batches.c.kind == "batch")).first()


def assign(
    connection: Connection,
    batch: str,
    *,
    annotator: str | None = None,
    count: int | None = None,
    wanted: int | None = None,
    free: bool = False,
) -> int:
    """Reserves a batch's open items for an annotator, frees them, or asks for several answers.

    Args:
      annotator: whose they become; only items that are nobody's.
      count: at most so many, the first ones.
      wanted: how many annotators are to answer each.
      free: make the items anybody's (of ``annotator``, if given).

    Returns:
      How many items were changed.
    """
    query = select(items.c.id).join(batches).where(batches.c.id == batch, items.c.state == "open")
    if free:
        query = query.where(items.c.assigned.is_not(None) if annotator is None else items.c.assigned == annotator)
    elif annotator is not None:
        query = query.where(items.c.assigned.is_(None))
    if wanted is not None:
        # More answers than before may be wanted of what was done.
        query = select(items.c.id).join(batches).where(batches.c.id == batch, items.c.state != "closed")
    chosen = list(connection.scalars(query.order_by(items.c.rank, items.c.id).limit(count)))
    values: dict[str, Any] = {}
    if wanted is not None:
        values["wanted"] = wanted
    if free or annotator is not None:
        values["assigned"] = None if free else annotator
    for start in range(0, len(chosen), 500):
        connection.execute(update(items).where(items.c.id.in_(chosen[start : start + 500])).values(**values))
    if wanted is not None:
        for item in chosen:
            _settle(connection, item)
    return len(chosen)


def close(connection: Connection, batch: str, opened: bool = False) -> bool:
    """Closes a batch (or opens it again); its items are handed out no more. False if there is no such batch."""
    state = "open" if opened else "closed"
    changed = connection.execute(update(batches).where(batches.c.id == batch).values(state=state))
    return changed.rowcount > 0
