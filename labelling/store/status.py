"""How far the labelling is: counts, queues, pace."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, Row, and_, case, func, select

from labelling.store.tables import answers, batches, items, labels, objectives, taxonomies
from modules.labels.model import MODEL
from modules.taxonomy import Taxonomy

HOUR = 3600 * 1_000_000
DAY = 24 * HOUR
_PAUSE = 5 * 60 * 1_000_000
"""A longer gap between two labels is a break, which says nothing about the pace."""


@dataclass(frozen=True)
class Queue:
    """A batch or a review queue with its items by state."""

    id: str
    kind: str
    objective: str
    state: str
    time: int
    run: str | None
    strategy: str | None
    open: int
    done: int

    @property
    def total(self) -> int:
        return self.open + self.done


@dataclass(frozen=True)
class Work:
    """What one annotator did.

    Attributes:
      labels: answers in all (skipped ones and labels of near-duplicates included, imports not); today: since midnight
        UTC. pace: products per hour of work in the last hour of work; None with fewer than five.
    """

    annotator: str
    labels: int
    today: int
    pace: float | None


def queues(connection: Connection, batch: str | None = None) -> list[Queue]:
    """All queues, the open ones first, in the order they are worked through."""
    state = func.coalesce(items.c.state, "")
    counted = [func.sum(case((state == value, 1), else_=0)) for value in ("open", "done")]
    columns = [batches.c[name] for name in ("id", "kind", "objective", "state", "time", "run", "strategy")]
    query = select(*columns, *counted).outerjoin(items, items.c.batch == batches.c.number)
    if batch is not None:
        query = query.where(batches.c.id == batch)
    query = query.group_by(batches.c.number, *columns).order_by(batches.c.state.desc(), batches.c.number)
    return [Queue(*row) for row in connection.execute(query).tuples()]


def categories(connection: Connection) -> list[tuple[str, str, int]]:
    """(objective, category id, open items whose first suggestion it is, or that ask about it), most first.

    Reviews are a queue of their own.
    """
    category = case((items.c.category != "", items.c.category), else_=items.c.predicted)
    query = select(items.c.objective, category, func.count()).join(batches)
    opened = (items.c.state == "open", batches.c.state == "open", batches.c.kind == "batch")
    query = query.where(*opened, category.is_not(None))
    query = query.group_by(items.c.objective, category).order_by(func.count().desc(), category)
    return [(objective, name, count) for objective, name, count in connection.execute(query).tuples()]


def work(connection: Connection, annotator: str, now: int) -> Work:
    """What an annotator did."""
    mine = and_(labels.c.annotator == annotator, labels.c.request.is_not(None), labels.c.undoes.is_(None))
    total = connection.scalar(select(func.count()).select_from(labels).where(mine)) or 0
    today = connection.scalar(select(func.count()).select_from(labels).where(mine, labels.c.time >= now - now % DAY))
    query = select(labels.c.time).where(mine, labels.c.part == 0).order_by(labels.c.id.desc()).limit(200)
    return Work(annotator, total, today or 0, pace(list(connection.scalars(query))))


def pace(times: list[int]) -> float | None:
    """Products per hour out of the newest answers' times (newest first), breaks left out; None with fewer than five."""
    worked = count = 0
    for later, earlier in pairwise(times):
        gap = later - earlier
        if gap > _PAUSE:
            continue
        worked += gap
        count += 1
        if worked > HOUR:
            break
    return count * HOUR / worked if count >= 4 and worked > 0 else None


def annotators(connection: Connection) -> list[tuple[str, int]]:
    """(annotator, rows) of people, most first."""
    query = select(labels.c.annotator, func.count()).where(labels.c.source != MODEL)
    query = query.group_by(labels.c.annotator).order_by(func.count().desc())
    return [(name, count) for name, count in connection.execute(query).tuples()]


def kinds(connection: Connection) -> dict[str, str]:
    """Objective to its kind."""
    query = select(objectives.c.name, objectives.c.kind).order_by(objectives.c.position, objectives.c.name)
    return dict(connection.execute(query).tuples().all())


def newest_taxonomy(connection: Connection) -> Taxonomy | None:
    """The taxonomy that came last; None before any import of a batch."""
    query = select(taxonomies.c.content).order_by(taxonomies.c.time.desc()).limit(1)
    content = connection.scalar(query)
    return None if content is None else Taxonomy.from_json(content)


def answers_of(connection: Connection, batch: str) -> list[Row[Any]]:
    """(annotator, value, count) of a batch's answers."""
    query = select(answers.c.annotator, answers.c.value, func.count()).select_from(answers.join(items).join(batches))
    query = query.where(batches.c.id == batch).group_by(answers.c.annotator, answers.c.value)
    return list(connection.execute(query.order_by(answers.c.annotator, answers.c.value)))


def taxonomy_fingerprint(connection: Connection) -> str | None:
    """Of the taxonomy that came last."""
    return connection.scalar(select(taxonomies.c.fingerprint).order_by(taxonomies.c.time.desc()).limit(1))
