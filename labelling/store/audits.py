"""What audits need of the store: which products people know already, and what they say of an audit's."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, select

from labelling.store.rows import standing_of
from labelling.store.tables import as_read, batches, items
from modules.labels.model import MODEL


def asked_about(connection: Connection, objective: str) -> set[str]:
    """Products that somebody has answered about, or that wait for an answer in an open batch."""
    answered = select(as_read.c.product_id).where(as_read.c.objective == objective, as_read.c.source != MODEL)
    waiting = select(items.c.product_id).join(batches)
    waiting = waiting.where(items.c.objective == objective, items.c.state == "open", batches.c.state == "open")
    return {*connection.scalars(answered.distinct()), *connection.scalars(waiting.distinct())}


def judged(connection: Connection, accepted: Mapping[str, str], objective: str, kind: str) -> dict[str, bool]:
    """Product to whether its category is right, by the majority of the answers that stand; none where they are tied.

    Whoever says that it is not in another category has said nothing of this one.

    Args:
      accepted: product to the id of its category.
    """
    verdicts = {}
    for product, rows in standing_of(connection, accepted, {objective: kind}).items():
        category = accepted[product]
        votes = [
            row.value == "yes" and row.category == category
            for row in rows
            if row.objective == objective and (row.value != "no" or row.category == category)
        ]
        right = sum(votes)
        if 2 * right != len(votes):
            verdicts[product] = 2 * right > len(votes)
    return verdicts
