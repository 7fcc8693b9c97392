"""A table of a SQL database with one row per product: SQLite, PostgreSQL, MySQL and MariaDB."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Delete,
    Engine,
    Float,
    Insert,
    MetaData,
    String,
    Table,
    Text,
    bindparam,
    case,
    create_engine,
    delete,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError

from modules.databases import DRIVERS, database_url, said_by, title_of
from modules.errors import InputError, Problem
from modules.predictions.documents import Document
from publishing.targets.addresses import refuse_visible_password
from publishing.targets.base import MAX_REASON, Busy, Options, Refused, Target, Unusable
from publishing.targets.rows import row_of

_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_CONNECTIONS = 64
_ID = 512


class DatabaseTarget(Target):
    """A row per product, with its first objective's category and the whole document; a product that is gone has none.

    A row is replaced by a document of the same or a larger version alone, so that what comes late changes nothing.
    """

    schemes: ClassVar[tuple[str, ...]] = tuple(DRIVERS)

    def __init__(self, address: str, options: Options, is_hidden: bool):
        self._url = _parsed(address, is_hidden)
        if not _TABLE.fullmatch(options.table):
            expected = "expected a table's name: letters, digits and underscores, 63 at most"
            raise InputError(Problem("", expected, key="--table", value=options.table))
        self._timeout = options.timeout
        self.name = f"{title_of(self._url)}, table {options.table}"
        database = self._url.database or ""
        place = str(Path(database).absolute()) if self._backend == "sqlite" else f"{self._url.host}:{self._url.port}"
        self.identity = "\n".join((self._backend, place, database, options.table))
        self._table = _table(options.table)
        self._one_writer: AbstractContextManager[Any] = threading.Lock() if self._backend == "sqlite" else nullcontext()
        self._engine: Engine | None = None

    @property
    def _backend(self) -> str:
        return self._url.get_backend_name()

    def start(self, version: int) -> None:
        seconds = max(2, int(self._timeout))
        waits = {"timeout": seconds} if self._backend == "sqlite" else {"connect_timeout": seconds}
        try:
            self._engine = create_engine(
                self._url, connect_args=waits, pool_size=_CONNECTIONS, pool_pre_ping=True, hide_parameters=True
            )
            self._table.metadata.create_all(self._engine)
        except (SQLAlchemyError, ImportError) as error:
            hint = "is the database there, and may this user make a table in it?"
            raise Unusable(f"{self.name} cannot be used: {self._said(error)}", hint) from None

    def send(self, documents: Sequence[Document]) -> None:
        assert self._engine is not None
        rows = [row_of(document.values) for document in documents if document.digest is not None]
        gone = [
            {"gone_id": document.id, "gone_version": document.values["version"]}
            for document in documents
            if document.digest is None
        ]
        try:
            with self._one_writer, self._engine.begin() as connection:
                self._write(connection, rows, gone)
        except (DataError, IntegrityError) as error:
            raise Refused(self._said(error)) from None
        except (OperationalError, InterfaceError) as error:
            raise Busy(f"{self.name}: {self._said(error)}") from None
        except SQLAlchemyError as error:
            hint = "does the table have other columns than those that Shelfmark makes? name another one by --table"
            raise Unusable(f"{self.name}: {self._said(error)}", hint) from None

    def _write(self, connection: Connection, rows: list[dict[str, Any]], gone: list[dict[str, Any]]) -> None:
        if rows:
            connection.execute(upsert(self._table, self._backend), rows)
        if gone:
            connection.execute(removing(self._table), gone)

    def finish(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _said(self, error: BaseException) -> str:
        return said_by(error, self._url, MAX_REASON)


def _table(name: str) -> Table:
    # Ids that differ in case or accents alone are different products.
    exact = mysql.VARCHAR(_ID, charset="utf8mb4", collation="utf8mb4_bin")
    identity = String(_ID).with_variant(exact, "mysql", "mariadb")
    long = Text().with_variant(mysql.LONGTEXT(charset="utf8mb4"), "mysql", "mariadb")
    return Table(
        name, MetaData(),
        Column("id", identity, primary_key=True), Column("version", BigInteger, nullable=False),
        Column("retailer", long), Column("category_id", long), Column("category", long),
        Column("probability", Float), Column("document", long, nullable=False),
    )  # fmt: skip


def upsert(table: Table, backend: str) -> Insert:
    """Inserts rows, or replaces those that are not newer."""
    others = [column.name for column in table.columns if not column.primary_key]
    if backend in ("mysql", "mariadb"):
        mine = mysql.insert(table)
        is_newer = table.c.version <= mine.inserted.version
        # Assignments happen in their order, and all of them compare with the old version.
        order = sorted(others, key=lambda name: name == "version")
        return mine.on_duplicate_key_update(
            [(name, case((is_newer, mine.inserted[name]), else_=table.c[name])) for name in order]
        )
    statement = (sqlite if backend == "sqlite" else postgresql).insert(table)
    return statement.on_conflict_do_update(
        index_elements=["id"],
        set_={name: statement.excluded[name] for name in others},
        where=table.c.version <= statement.excluded.version,
    )


def removing(table: Table) -> Delete:
    """Deletes rows that are not newer."""
    return delete(table).where(table.c.id == bindparam("gone_id"), table.c.version <= bindparam("gone_version"))


def _parsed(address: str, is_hidden: bool) -> URL:
    url = database_url(address, "TARGET")
    if not is_hidden and (url.password is not None or url.query):
        raise refuse_visible_password("password or parameter")
    return url
