"""Puts batches, and what the pages show beside them, into the store. Importing the same thing again changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from labelling.content import Batch, Neighbour, Product, Run
from labelling.store import tables as t
from labelling.store.queue import item_of
from modules.errors import InputError, Problem
from modules.objectives import DEFAULT_KIND, kind_named
from modules.taxonomy import Taxonomy

_CHUNK = 500
T = TypeVar("T")

__all__ = ["Imported", "batch", "item_of", "neighbours", "objectives", "products", "run", "taxonomy"]


@dataclass(frozen=True)
class Imported:
    """Items added, and those left out: ``labelled`` or ``queued`` already, or in the batch since an earlier import."""

    added: int
    labelled: int
    queued: int
    known: int


def taxonomy(connection: Connection, tree: Taxonomy, now: int) -> None:
    """Keeps the taxonomy; the pages show the one that came last.

    Raises:
      InputError: the labels were carried over from it to another one.
    """
    migrations = t.taxonomy_migrations
    newest = connection.scalar(select(migrations.c.new).order_by(migrations.c.number.desc()).limit(1))
    left = connection.scalar(select(migrations.c.number).where(migrations.c.old == tree.fingerprint()).limit(1))
    if left is not None and newest != tree.fingerprint():
        expected = "this was made before the labels were carried over to a newer taxonomy"
        raise InputError(Problem("", expected, hint="run the workflow again: shelfmark run"))
    row = {"fingerprint": tree.fingerprint(), "content": tree.to_json(), "time": now}
    upsert(connection, t.taxonomies, [row])


def objectives(connection: Connection, kinds: Mapping[str, str]) -> None:
    """Keeps the objectives' kinds.

    Raises:
      InputError: one of them is of another kind in the store.
    """
    known = dict(connection.execute(select(t.objectives.c.name, t.objectives.c.kind)).tuples().all())
    for name, kind in kinds.items():
        if known.get(name, kind) != kind:
            expected = f"objective {name!r} is {known[name]} in this label store, not {kind}"
            raise InputError(Problem("", expected, hint="a store is for one workflow; name another one"))
    rows = [{"name": name, "kind": kind, "position": i} for i, (name, kind) in enumerate(kinds.items())]
    upsert(connection, t.objectives, rows)


def batch(connection: Connection, new: Batch, now: int, *, wanted: int = 1) -> Imported:
    """Queues a batch's items, except those that are labelled or queued already; a review asks about them anyway.

    Args:
      wanted: how many annotators are to answer each.
    """
    number = connection.scalar(select(t.batches.c.number).where(t.batches.c.id == new.id))
    if number is None:
        row = {name: getattr(new, name) for name in ("id", "kind", "objective", "run", "strategy", "round", "uri")}
        row |= {"state": "open", "time": now, "facts": dict(new.facts)}
        number = connection.execute(insert(t.batches).values(row).returning(t.batches.c.number)).scalar_one()
    same = select(t.items.c.product_id, t.items.c.category).where(t.items.c.objective == new.objective)
    known = set(connection.execute(same.where(t.items.c.batch == number)).tuples())
    queued: set[tuple[str, str]] = set()
    labelled: set[tuple[str, str]] = set()
    if new.kind == "batch":
        opened = same.join(t.batches).where(t.items.c.state == "open", t.batches.c.state == "open")
        queued = set(connection.execute(opened.where(t.batches.c.kind == "batch")).tuples()) - known
        labelled = _labelled(connection, new)
    rows = []
    counts = {"known": 0, "queued": 0, "labelled": 0}
    for item in new.items:
        key = (item.product_id, item.category)
        why = "known" if key in known else "queued" if key in queued else "labelled" if key in labelled else ""
        if why:
            counts[why] += 1
            continue
        known.add(key)
        rows.append(
            {
                **{name: getattr(item, name) for name in _ITEM},
                "batch": number,
                "objective": new.objective,
                "predicted": item.suggestions[0][0] if item.suggestions else None,
                "suggestions": [list(suggestion) for suggestion in item.suggestions],
                "parts": dict(item.parts),
                "reason": dict(item.reason) if item.reason is not None else None,
                "state": "open",
                "wanted": wanted,
            }
        )
    for chunk in _chunks(rows):
        connection.execute(insert(t.items), chunk)
    return Imported(len(rows), **counts)


_ITEM = (
    "rank", "product_id", "category", "utility", "strategy", "source", "inclusion_probability", "round", "seed",
    "model", "split",
)  # fmt: skip


def _labelled(connection: Connection, new: Batch) -> set[tuple[str, str]]:
    """(product, category of the question) that somebody's answer stands for."""
    from labelling.store.rows import standing_of

    kinds = dict(connection.execute(select(t.objectives.c.name, t.objectives.c.kind)).tuples().all())
    kind = kind_named(kinds.get(new.objective, DEFAULT_KIND))
    standing_rows = standing_of(connection, (item.product_id for item in new.items), kinds)
    return {
        (product, kind.asked_category(row.category))
        for product, rows in standing_rows.items()
        for row in rows
        if row.objective == new.objective
    }


def products(connection: Connection, new: Iterable[Product], run: str | None, now: int) -> int:
    """Keeps products and their predictions of a run; a product that is known already is replaced."""
    count = 0
    for chunk in _chunks(new):
        rows = [
            {
                "id": product.id, "fields": dict(product.fields), "image": product.image,
                "image_folder": product.image_folder, "rules": list(product.rules), "split": product.split,
                "run": run, "time": now,
            }
            for product in chunk
        ]  # fmt: skip
        upsert(connection, t.products, rows)
        if run is not None:
            predicted = [
                {
                    "product_id": product.id, "objective": objective, "run": run, "top": [list(pair) for pair in top],
                    "scores": dict(product.scores.get(objective, {})),
                }
                for product in chunk
                for objective, top in product.predictions.items()
            ]  # fmt: skip
            upsert(connection, t.predictions, predicted)
        count += len(rows)
    return count


def neighbours(connection: Connection, new: Sequence[Neighbour]) -> None:
    """Replaces the neighbours of the products that these are of."""
    fields = ("product_id", "other", "kind", "similarity", "category")
    for chunk in _chunks(sorted({neighbour.product_id for neighbour in new})):
        connection.execute(delete(t.neighbours).where(t.neighbours.c.product_id.in_(chunk)))
    best: dict[tuple[str, str], Neighbour] = {}
    for neighbour in new:
        best.setdefault((neighbour.product_id, neighbour.other), neighbour)
    for some in _chunks(best.values()):
        connection.execute(
            insert(t.neighbours), [{name: getattr(neighbour, name) for name in fields} for neighbour in some]
        )


def run(connection: Connection, new: Run) -> None:
    """Keeps a run, in place of what was known of it."""
    for table in (t.category_metrics, t.confusions, t.rules, t.category_rules):
        connection.execute(delete(table).where(table.c.run == new.id))
    row = {"id": new.id, "workflow": new.workflow, "time": new.time, "facts": dict(new.facts)}
    upsert(connection, t.runs, [row])
    parts: dict[Table, list[dict[str, Any]]] = {
        t.category_metrics: [
            {"objective": objective, "category": category, "figures": dict(figures)}
            for (objective, category), figures in new.categories.items()
        ],
        t.confusions: [
            {"objective": o, "category": label, "predicted": predicted, "products": count, "examples": list(examples)}
            for (o, label, predicted), (count, examples) in new.confusions.items()
        ],
        t.rules: [
            {
                "rule": rule.rule, "category": rule.category, "condition": dict(rule.condition),
                "figures": dict(rule.figures), "examples": {name: list(ids) for name, ids in rule.examples.items()},
            }
            for rule in new.rules
        ],
        t.category_rules: [
            {"category": category, "figures": dict(figures), "examples": list(examples)}
            for category, (figures, examples) in new.missed.items()
        ],
    }  # fmt: skip
    for table, rows in parts.items():
        for chunk in _chunks(rows):
            connection.execute(insert(table), [{"run": new.id, **row} for row in chunk])


def upsert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts rows; one whose primary key is known is overwritten."""
    if not rows:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    keys = [column.name for column in table.primary_key]
    # In one statement a row must not come twice.
    last = {tuple(row[key] for key in keys): dict(row) for row in rows}
    statement: Any = dialect.insert(table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), list(last.values()))


def _chunks(rows: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk
