"""Opening a store, and transactions that mean the same in both databases.

Writers stand in line, one transaction after the other: SQLite knows nothing else, and on PostgreSQL an advisory lock
makes it so. A label takes a few milliseconds, people take seconds; in return no two annotators can be handed the same
product, without a thought of isolation levels.
"""

from __future__ import annotations

import glob
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError

from labelling.store.check import check_sqlite
from labelling.store.line import STEP, Line, Refused
from labelling.store.migrate import LOCK, upgrade
from labelling.store.outages import Unavailable, has_room, identity, outage_of
from modules.errors import InputError, Problem, reason

FOREVER = 1 << 30


@dataclass(frozen=True)
class Patience:
    """How long to wait for other programs that have locked the store.

    Attributes:
      write, read: seconds. places: writers of this process that wait at the same time; others are refused at once.
    """

    write: float = 30.0
    read: float = 30.0
    places: int = FOREVER


SERVING = Patience(5.0, 1.0, 8)
"""A server's: people wait for its answers, and its threads are few."""


def now() -> int:
    """Microseconds since 1970 (UTC)."""
    return time.time_ns() // 1000


class Store:
    """One label store.

    Attributes:
      url: with its password. name: for people, without it.
    """

    def __init__(
        self, place: str | Path, *, create: bool = True, patience: Patience = Patience(), schema: str = "head"
    ):
        """Opens the store and brings its tables up to date.

        Args:
          place: a file (SQLite), ``sqlite:///file`` or ``postgresql://user:password@host/database``.
          create: make a SQLite file that is not there yet.
          patience: how long reading and writing wait for other programs.
          schema: the revision of a new store's tables; only one that a backup is restored into has an older one.

        Raises:
          InputError: there is no such store, it cannot be reached, or a newer version of Shelfmark made it.
        """
        self.url = store_url(place)
        self.name = name_of(self.url)
        self.patience = patience
        self._line = Line(patience.places)
        self._unread = False
        self._file = self._found(create) if self.url.get_backend_name() == "sqlite" else None
        self._identity = self._files()
        self.engine = self._engine()
        try:
            upgrade(self.engine, self.name, schema)
        except DBAPIError as error:
            self.engine.dispose()
            kind = outage_of(error, self._file)
            if kind is not None:
                raise Unavailable(kind, self.name) from None
            raise InputError(Problem(self.name, f"no label store: {str(error.orig).strip().splitlines()[0]}")) from None

        # The log has been made, and no other program deletes it while this one has the store open.
        self._identity = self._files()

    def _found(self, create: bool) -> Path:
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
        if not file.exists():
            try:
                os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o644))
            except OSError as error:
                raise InputError(Problem(self.name, f"the label store cannot be made: {error.strerror}")) from None
        # Wherever the process goes from here.
        return file.absolute()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of all connections."""
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One state of the store, whatever others write meanwhile.

        Raises:
          Unavailable: it cannot be read.
        """
        level = {} if self._file is not None else {"isolation_level": "REPEATABLE READ"}
        try:
            with self._outages(), self.engine.connect().execution_options(**level) as connection:
                self._unmoved()
                yield connection
                self._unread = False
        except Unavailable as error:
            # While nobody can read, only the first ones wait.
            self._unread = error.kind == "held"
            raise

    @contextmanager
    def write(self, patience: float | None = None) -> Iterator[Connection]:
        """A transaction: alone, and kept for good when the block ends without an error.

        Args:
          patience: seconds to wait for other writers; None: the store's.

        Raises:
          Unavailable: it cannot be written to; nothing is kept.
        """
        patience = self.patience.write if patience is None else patience
        # SQLite's own queue sleeps up to a tenth of a second; threads of one process can do better.
        with self._outages(), self._line.turn(patience) as left:
            self._unmoved()
            with self.engine.connect() as plain:
                connection = plain.execution_options(writes=True, patience=left)
                with connection.begin():
                    if self._file is None:
                        self._alone(connection, left)
                    yield connection
                    # What goes into a file that has lost its name is lost with it.
                    self._unmoved()

    def copy_beside(self) -> Path | None:
        """A copy of SQLite's file as it is now, under a free name that ends in ``.bak``; None: PostgreSQL has none.

        Raises:
          InputError: it cannot be written.
        """
        if self._file is None:
            return None
        fresh = self._file.with_name(f".new-{self._file.name}")
        number = 0
        while (copy := self._file.with_name(f"{self._file.name}.bak{number or ''}")).exists():
            number += 1
        try:
            fresh.unlink(missing_ok=True)
            with (
                closing(sqlite3.connect(f"{self._file.as_uri()}?mode=ro", uri=True)) as source,
                closing(sqlite3.connect(fresh)) as target,
            ):
                source.backup(target)
            os.chmod(fresh, self._file.stat().st_mode)
            os.replace(fresh, copy)
        except (OSError, sqlite3.Error) as error:
            fresh.unlink(missing_ok=True)
            raise InputError(Problem(str(copy), f"the copy cannot be written: {reason(error)}")) from None
        return copy

    def is_at(self, file: Path) -> bool:
        """Whether the store is in this file, by whatever name or link; PostgreSQL's is in none."""
        try:
            return self._file is not None and self._file.samefile(file)
        except OSError:
            return False

    def copies(self) -> list[Path]:
        """What :meth:`copy_beside` has written, the oldest first."""
        if self._file is None:
            return []
        return sorted(
            self._file.parent.glob(f"{glob.escape(self._file.name)}.bak*"), key=lambda copy: (len(copy.name), copy)
        )

    def scrub(self) -> None:
        """Leaves nothing of deleted rows in the free space of SQLite's file and log; PostgreSQL sees to its own.

        Raises:
          InputError: others use the store, or the disk has no room for a second copy; the rows are gone all the same.
        """
        if self._file is None:
            return
        address = f"{self._file.as_uri()}?mode=rw"
        try:
            with closing(
                sqlite3.connect(address, uri=True, timeout=self.patience.write, isolation_level=None)
            ) as database:
                database.execute("VACUUM")
                busy, *_ = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                why = "another program reads it" if busy else ""
        except sqlite3.Error as error:
            why = reason(error)
        if why:
            expected = f"the rows are gone, but the free space of the file may still have their text: {why}"
            raise InputError(Problem(self.name, expected, hint="repeat the command when nobody uses the store"))

    def writable(self) -> None:
        """Whether writing is worth a try: at once as long as the last writer could, else by a short try.

        Raises:
          Unavailable: it is not.
        """
        if self._line.stuck:
            with self.write(STEP):
                pass

    def state(self) -> str:
        """``ok``, or why the store cannot be read or written to just now: a kind of :data:`outages.REASONS`."""
        try:
            with self.read() as connection:
                connection.execute(text("SELECT 1 FROM objectives LIMIT 1"))
            with self.write(STEP):
                pass
        except Unavailable as error:
            # Writers of this very process show that all is well.
            return "ok" if error.kind == "busy" else error.kind
        return "ok" if self._file is None or has_room(self._file) else "full"

    @contextmanager
    def _outages(self) -> Iterator[None]:
        """Says in the store's own words why it cannot be used."""
        try:
            yield
        except Refused:
            raise Unavailable("held" if self._line.stuck else "busy", self.name) from None
        except SQLAlchemyError as error:
            kind = outage_of(error, self._file)
            if kind is None:
                raise
            raise Unavailable(kind, self.name) from error

    def _unmoved(self) -> None:
        """Whether store and log are still the files that were opened: SQLite would go on to read and write them under
        no name at all, and what it acknowledges would be lost with them."""
        identity = self._files()
        if identity != self._identity:
            raise Unavailable("gone" if identity[0] is None else "replaced", self.name)

    def _files(self) -> tuple[tuple[int, int] | None, ...]:
        """Which files hold the store: SQLite's, and its log of what was written last."""
        if self._file is None:
            return ()
        return identity(self._file), identity(self._file.with_name(f"{self._file.name}-wal"))

    def _alone(self, connection: Connection, patience: float) -> None:
        """Takes PostgreSQL's lock of the store's writers."""
        first = min(STEP, patience)
        for seconds in (first, max(0.0, patience - first)):
            # Not 0, which is forever.
            connection.execute(text(f"SET LOCAL lock_timeout = {max(1, int(1000 * seconds))}"))
            try:
                with connection.begin_nested():
                    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
                self._line.stuck = False
                return
            except OperationalError as error:
                if outage_of(error, None) != "held":
                    raise
                self._line.stuck = True
        raise Unavailable("held", self.name)

    def _immediate(self, connection: Connection, patience: float) -> None:
        """Begins a writing transaction in SQLite."""
        first = min(STEP, patience)
        for seconds in (first, max(0.0, patience - first)):
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(1000 * seconds)}")
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                self._line.stuck = False
                return
            except OperationalError as error:
                if outage_of(error, self._file) != "held":
                    raise
                self._line.stuck = True
        raise Unavailable("held", self.name)

    def _engine(self) -> Engine:
        if self._file is None:
            return _postgres(self.url, self.patience)
        # Not a file that SQLite would make where the store has gone from.
        address = f"{self._file.as_uri()}?mode=rw"

        def connect() -> sqlite3.Connection:
            return sqlite3.connect(address, uri=True, timeout=self._reading(), check_same_thread=False)

        engine = create_engine(self.url, creator=connect, pool_size=10, max_overflow=60)

        @event.listens_for(engine, "connect")
        def _connected(connection, _record) -> None:
            # The driver is to begin no transactions of its own: it would begin too late.
            connection.isolation_level = None
            connection.execute("PRAGMA journal_mode = WAL")
            # A label that was acknowledged survives a power cut, too.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")

        @event.listens_for(engine, "begin")
        def _begun(connection: Connection) -> None:
            options = connection.get_execution_options()
            if options.get("writes"):
                self._immediate(connection, options.get("patience", self.patience.write))
            else:
                connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(1000 * self._reading())}")
                connection.exec_driver_sql("BEGIN")

        return engine

    def _reading(self) -> float:
        return 0.0 if self._unread else self.patience.read


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


def _postgres(url: URL, patience: Patience) -> Engine:
    given = url.query.get("options", "")
    options = f"{given if isinstance(given, str) else ' '.join(given)} -c lock_timeout={int(1000 * patience.read)}"
    # Fewer seconds than two are not waited for.
    arguments = {"options": options.strip(), "connect_timeout": max(2, int(patience.write))}
    return create_engine(url, connect_args=arguments, pool_size=10, max_overflow=40, pool_pre_ping=True)
