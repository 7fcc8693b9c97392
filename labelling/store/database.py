"""Opening a store, and transactions that mean the same in both databases.

Writers stand in line, one transaction after the other: SQLite knows nothing else, and on PostgreSQL an advisory lock
makes it so. A label takes a few milliseconds, people take seconds; in return no two annotators can be handed the same
product, without a thought of isolation levels.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from labelling.store.check import check_sqlite
from labelling.store.migrate import LOCK, upgrade
from modules.errors import InputError, Problem

BUSY_SECONDS = 30


def now() -> int:
    """Microseconds since 1970 (UTC)."""
    return time.time_ns() // 1000


class Store:
    """One label store.

    Attributes:
      url: with its password. name: for people, without it.
    """

    def __init__(self, place: str | Path, *, create: bool = True):
        """Opens the store and brings its tables up to date.

        Args:
          place: a file (SQLite), ``sqlite:///file`` or ``postgresql://user:password@host/database``.
          create: make a SQLite file that is not there yet.

        Raises:
          InputError: there is no such store, it cannot be reached, or a newer version of Shelfmark made it.
        """
        self.url = store_url(place)
        self.name = name_of(self.url)
        self._lock: threading.Lock | None = None
        if self.url.get_backend_name() == "sqlite":
            self._lock = threading.Lock()
            self._file(create)
        self.engine = _engine(self.url)
        try:
            upgrade(self.engine, self.name)
        except OperationalError as error:
            self.engine.dispose()
            reason = str(error.orig).strip().splitlines()[0]
            raise InputError(Problem(self.name, f"the label store cannot be opened: {reason}")) from None
        except DBAPIError as error:
            self.engine.dispose()
            raise InputError(Problem(self.name, f"no label store: {str(error.orig).strip().splitlines()[0]}")) from None

    def _file(self, create: bool) -> None:
        file = Path(self.url.database or "")
        if file.is_dir() or not self.url.database:
            raise InputError(Problem(str(file), "expected a file for the label store; this is a folder"))
        if not create and not file.exists():
            hint = "`shelfmark label import-batch` or `shelfmark label import` makes one"
            raise InputError(Problem(self.name, "there is no label store here yet", hint=hint))
        if file.exists():
            check_sqlite(file)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(Problem(str(file.parent), f"cannot be made: {error.strerror}")) from None

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of all connections."""
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One state of the store, whatever others write meanwhile."""
        level = {} if self.url.get_backend_name() == "sqlite" else {"isolation_level": "REPEATABLE READ"}
        with self.engine.connect().execution_options(**level) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: alone, and kept for good when the block ends without an error."""
        # SQLite's own queue sleeps up to a tenth of a second; threads of one process can do better.
        with self._lock or nullcontext(), self.engine.connect() as connection:
            connection = connection.execution_options(writes=True)
            with connection.begin():
                if self._lock is None:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
                yield connection


def store_url(place: str | Path) -> URL:
    """What a workflow or the command line names as an SQLAlchemy URL.

    Raises:
      InputError: it is another kind of database, or no URL.
    """
    text_ = str(place)
    expected = "expected a file name, sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
    if "://" not in text_:
        return URL.create("sqlite+pysqlite", database=text_)
    try:
        url = make_url(text_)
    except (ArgumentError, ValueError):
        raise InputError(Problem("", expected, key="store")) from None
    drivers = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
    kind = url.drivername.partition("+")[0]
    if kind not in drivers:
        raise InputError(Problem("", expected, key="store", value=f"{kind}://..."))
    return url.set(drivername=drivers[kind])


def name_of(url: URL) -> str:
    """The store for people: SQLite's file, or the URL with neither driver nor password."""
    if url.get_backend_name() == "sqlite":
        return url.database or ""
    return url.set(drivername="postgresql", password=None, query={}).render_as_string()


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_size=10, max_overflow=40, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, pool_size=10, max_overflow=60)

    @event.listens_for(engine, "connect")
    def _connected(connection, _record) -> None:  # type: ignore[no-untyped-def]
        # The driver is to begin no transactions of its own: it would begin too late.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        # A label that was acknowledged survives a power cut, too.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
