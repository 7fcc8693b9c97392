"""Takes a product, or an annotator's name, out of every table of the store.

A product's rows are deleted, those of the append-only log among them. An annotator's answers stay and bear a random
token in place of the name, so that labels, counts and agreement are what they were.
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, Column, Connection, Table, Text, cast, delete, func, or_, select, text, update

from labelling.store import accounts, throttle
from labelling.store import tables as t
from labelling.store.database import Store, name_of, now
from modules.errors import InputError, Problem

LONGEST = 4000
"""Characters of an id or a name: SQLite looks for a pattern of 50,000 bytes at most, and JSON may take 12 for each."""


@dataclass(frozen=True)
class Forgotten:
    """What a store held of a product or an annotator.

    Attributes:
      deleted, changed: table to how many of its rows.
      token: what stands in place of an annotator's name; empty: the name stood in no row that remains.
      notes: notes of labels that remain and contain the id or name; people wrote them, and they stay.
    """

    deleted: dict[str, int]
    changed: dict[str, int]
    token: str
    notes: int


def forget_product(store: Store, product: str, *, dry_run: bool = False) -> Forgotten:
    """Deletes a product: all rows about it, and its id in the examples of confusions and rules.

    Args:
      dry_run: count, and change nothing.

    Raises:
      InputError: the id is no text that a store can hold, or longer than :data:`LONGEST`.
      Unavailable: the store cannot be written to; nothing is changed.
    """
    return _forget(store, product, "product", dry_run)


def forget_annotator(store: Store, name: str, *, dry_run: bool = False) -> Forgotten:
    """Deletes an annotator's account, sessions and sign-ins, and puts a token in place of the name everywhere else.

    Args:
      dry_run: count, and change nothing.

    Raises:
      InputError: the name is no text that a store can hold, or longer than :data:`LONGEST`.
      Unavailable: the store cannot be written to; nothing is changed.
    """
    return _forget(store, name, "annotator", dry_run)


def _forget(store: Store, text_: str, key: str, dry_run: bool) -> Forgotten:
    # Neither database takes anything else as text, and surrogates are what Python makes of other bytes.
    if not text_ or any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text_):
        raise InputError(Problem("", "expected a text of Unicode characters", key=key, value=ascii(text_)))
    if len(text_) > LONGEST:
        raise InputError(Problem("", f"expected at most {LONGEST:,} characters", key=key, value=text_))
    work = _Work(text_)
    with store.write() as connection:
        attempt = connection.begin_nested()
        with _append_only_lifted(connection):
            work.product(connection) if key == "product" else work.annotator(connection)
        if work.deleted or work.changed:
            counts = {"deleted": sum(work.deleted.values()), "changed": sum(work.changed.values())}
            accounts.record(connection, now(), "", f"{key} forgotten", counts)
        held = t.labels.c.note.contains(text_, autoescape=True)
        notes = connection.scalar(select(func.count()).select_from(t.labels).where(held)) or 0
        attempt.rollback() if dry_run else attempt.commit()
    return Forgotten(
        dict(work.deleted), dict(work.changed), work.token if key == "annotator" and work.changed else "", notes
    )


class _Work:
    """Does it in a transaction, and counts the rows."""

    def __init__(self, text_: str):
        self.text = text_
        self.token = f"annotator-{secrets.token_hex(8)}"
        self.deleted: Counter[str] = Counter()
        self.changed: Counter[str] = Counter()

    def product(self, connection: Connection) -> None:
        """Rows that others refer to go last."""
        product = self.text
        mine = select(t.items.c.id).where(t.items.c.product_id == product)
        said = select(t.labels.c.id).where(t.labels.c.product_id == product)
        self._delete(connection, t.relabelled, t.relabelled.c.label.in_(said))
        self._delete(connection, t.answers, t.answers.c.item.in_(mine))
        self._delete(connection, t.leases, t.leases.c.item.in_(mine))
        for column in (t.items.c.product_id, t.labels.c.product_id, t.products.c.id, t.predictions.c.product_id):
            self._delete(connection, column.table, column == product)
        self._delete(connection, t.neighbours, or_(*(t.neighbours.c[name] == product for name in _NEAR)))
        for table in (t.triplets, t.triplet_questions):
            self._delete(connection, table, or_(*(table.c[name] == product for name in _THREE)))
        for table in (t.confusions, t.rules, t.category_rules):
            for row in self._holding(connection, table.c.examples):
                self._change(connection, table, row, examples=_without(row.examples, product))

    def annotator(self, connection: Connection) -> None:
        """Accounts' tables know a name by another way to encode it, too."""
        name, key = self.text, throttle.account_key(self.text)
        throttle_rows = select(t.devices.c.token).where(t.devices.c.account == key)
        failures = t.sign_in_failures.c
        guessed = ((failures.kind == "account") & (failures.key == key)) | (
            (failures.kind == "device") & failures.key.in_(throttle_rows)
        )
        self._delete(connection, t.sign_in_failures, guessed)
        self._delete(connection, t.devices, t.devices.c.account == key)
        for column in (t.sessions.c.account, t.accounts.c.name, t.leases.c.annotator):
            self._delete(connection, column.table, column == name)
        for table in (t.labels, t.answers, t.triplets, t.suggestion_requests):
            self._update(connection, table, table.c.annotator == name, annotator=self.token)
        for row in self._holding(connection, t.items.c.reason, t.items.c.assigned):
            people = row.reason.get("annotators", [])
            if name in people:
                reason = {**row.reason, "annotators": [self.token if who == name else who for who in people]}
                assigned = None if row.assigned == name else row.assigned
                self._change(connection, t.items, row, reason=reason, assigned=assigned)
        # Nobody else would get what is reserved for somebody who is gone.
        self._update(connection, t.items, t.items.c.assigned == name, assigned=None)
        audit = t.audit.c
        by_them = audit.account.in_({name, key})
        for row in self._holding(connection, audit.detail, by_them.label("by_them")):
            named = {who: self.token for who in _WHO if row.detail.get(who) == name}
            values = {"account": self.token, "address": ""} if row.by_them else {}
            if named:
                self._change(connection, t.audit, row, detail={**row.detail, **named}, **values)
        self._update(connection, t.audit, by_them, account=self.token, address="")

    def _delete(self, connection: Connection, table: Any, condition: Any) -> None:
        rows = connection.execute(delete(table).where(condition)).rowcount
        if rows:
            self.deleted[table.name] += rows

    def _update(self, connection: Connection, table: Table, condition: Any, **values: Any) -> None:
        rows = connection.execute(update(table).where(condition).values(**values)).rowcount
        if rows:
            self.changed[table.name] += rows

    def _change(self, connection: Connection, table: Table, row: Any, **values: Any) -> None:
        key = [column == row._mapping[column.name] for column in table.primary_key]
        connection.execute(update(table).where(*key).values(**values))
        self.changed[table.name] += 1

    def _holding(self, connection: Connection, column: Column[Any], *others: Any) -> list[Any]:
        """Rows in whose JSON the text stands as a whole string: their keys, that column, and others."""
        assert isinstance(column.type, JSON)
        held = cast(column, Text).contains(json.dumps(self.text), autoescape=True)
        return list(connection.execute(select(*column.table.primary_key, column, *others).where(held)))


_NEAR = ("product_id", "other")
_THREE = ("query", "a", "b")
_WHO = ("name", "annotator")
"""Where an entry of the audit log names another account than the one that did it."""


def _without(examples: Any, product: str) -> Any:
    """Lists of ids, in an object or not, without one of them."""
    if isinstance(examples, dict):
        return {name: _without(ids, product) for name, ids in examples.items()}
    return [example for example in examples if example != product]


@contextmanager
def _append_only_lifted(connection: Connection) -> Iterator[None]:
    """Takes away what holds the log, and puts it back: within the transaction, so that others never see it gone."""
    names = {f"{table}_no_{action}": table for table in t.APPEND_ONLY for action in ("update", "delete")}
    if connection.dialect.name == "postgresql":
        _refuse_others(connection)
        for name, table in names.items():
            connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER {name}"))
        yield
        for name, table in names.items():
            connection.execute(text(f"ALTER TABLE {table} ENABLE TRIGGER {name}"))
        return
    triggers = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
    made = {name: sql for name, sql in triggers if name in names}
    for name in made:
        connection.exec_driver_sql(f"DROP TRIGGER {name}")
    yield
    for sql in made.values():
        connection.exec_driver_sql(sql)


def _refuse_others(connection: Connection) -> None:
    """PostgreSQL lets nobody but a table's owner lift its triggers."""
    owner, is_owner = connection.execute(
        text("SELECT tableowner, pg_has_role(tableowner, 'USAGE') FROM pg_tables WHERE tablename = 'labels'"
             " AND schemaname = ANY (current_schemas(false))")
    ).one()  # fmt: skip
    if not is_owner:
        expected = f"expected the role {owner!r}, which owns the store's tables: the log is append-only for all others"
        raise InputError(Problem(name_of(connection.engine.url), expected, hint="connect as that role (--store)"))
