"""What each product was last published as, per target, so that a publication sends what changed and nothing else.

One SQLite file per target, beside the run folder. A product's row is written after the target has acknowledged it: what
a killed publication had not noted is sent again, and nothing else is.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO

from modules import sqlite
from modules.errors import InputError, Problem, reason
from modules.locks import lock
from modules.paths import near
from modules.sqlite import tables_of

_TABLES = """
create table if not exists target (name text not null);
-- A digest without bytes: the product was sent, and not acknowledged.
create table if not exists products (id text primary key, digest blob not null, version integer not null) without rowid;
create table if not exists dead_letters (
  id text primary key, version integer not null, status integer, reason text not null, document blob not null
) without rowid;
create table if not exists publications (
  version integer primary key, run text not null, started real not null, ended real, sent integer, gone integer,
  number integer, model text, rows text, products integer, back_to integer
);
create temp table seen (id text primary key) without rowid;
"""
_ADDED = {"number": "integer", "model": "text", "rows": "text", "products": "integer", "back_to": "integer"}
"""Columns that publications of an older version lack."""
_WHAT, _THEN = "the publication log", "everything is then published once more, which doubles nothing"
_CHUNK = 500
_PAGE = 1000
_KEPT = 100
"""Publications that are remembered."""


@dataclass(frozen=True)
class DeadLetter:
    """A product that the target refused.

    Attributes:
      status: of HTTP, None where the target has none. reason: without secrets. document: as it was sent.
    """

    id: str
    status: int | None
    reason: str
    document: bytes


@dataclass(frozen=True)
class Status:
    """How far a target's publications are.

    Attributes:
      products: published now. started, ended: seconds since 1970 of the last publication; ``ended`` None: it was cut
      off. sent, gone: documents and removals that the last one sent; None while it is not over.
    """

    target: str
    products: int
    dead_letters: int
    version: int | None = None
    run: str | None = None
    started: float | None = None
    ended: float | None = None
    sent: int | None = None
    gone: int | None = None


@dataclass(frozen=True)
class Publication:
    """One publication.

    Attributes:
      number: counts up for each target. started, ended: seconds since 1970; ``ended`` None: it was cut off.
      sent, gone, products: documents and removals that were sent, and products of the feed; None while it is not over.
      model: fingerprint. rows: where the predictions were read from, as whoever published said.
      back_to: number of the publication that it went back to.
      All four are None where nobody said so.
    """

    version: int
    run: str
    started: float
    ended: float | None
    sent: int | None
    gone: int | None
    number: int
    model: str | None
    rows: str | None
    products: int | None
    back_to: int | None


class PublicationLog:
    """One target's log; a context manager. One thread uses it, and one process at a time.

    Args:
      path: the file, which is made if it is not there; None: an empty log in memory.
      target: the target's name, without secrets.

    Raises:
      InputError: another publication to the target is under way, or the file is damaged or cannot be written.
    """

    def __init__(self, path: Path | None, target: str):
        self.path = path
        self._lock: IO[bytes] | None = None
        if path is not None:
            self._lock = _locked(path)
        try:
            with said(path):
                if path is not None and path.exists() and tables_of(path, write=True) is None:
                    raise InputError(damaged(path))
                # SQLite begins a transaction only where this file says so.
                self._database = sqlite3.connect(path or ":memory:", isolation_level=None, timeout=10.0)
                self._database.execute("pragma journal_mode = wal")
                self._database.execute("pragma synchronous = full")
                self._database.executescript(_TABLES)
                with self._transaction():
                    _add_columns(self._database)
                    self._database.execute("delete from target")
                    self._database.execute("insert into target values (?)", (target,))
        except BaseException:
            self._unlock()
            raise

    def __enter__(self) -> PublicationLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._database.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def begin(
        self, run: str, clock: Callable[[], float] = time.time, *, model: str | None = None, rows: str | None = None,
        back_to: int | None = None,
    ) -> int:  # fmt: skip
        """Opens a publication; its version is larger than that of any before, also of a log that was lost.

        What is said of it beside its run is for :class:`Publication`.

        Returns:
          Microseconds since 1970, unless the clock went back.
        """
        now = clock()
        with said(self.path), self._transaction():
            (last,) = self._database.execute("select coalesce(max(version), 0) from publications").fetchone()
            version = max(last + 1, int(now * 1e6))
            self._database.execute(
                "insert into publications (version, run, started, model, rows, back_to, number) values"
                " (?, ?, ?, ?, ?, ?, (select coalesce(max(number), 0) + 1 from publications))",
                (version, run, now, model, rows, back_to),
            )
            oldest = "select version from publications order by version desc limit -1 offset ?"
            self._database.execute(f"delete from publications where version in ({oldest})", (_KEPT,))  # noqa: S608 - of a constant
        return version

    def end(
        self, version: int, sent: int, gone: int, clock: Callable[[], float] = time.time, *, products: int | None = None
    ) -> None:
        """The publication has seen every product. Refusals of products that the feed has no longer are forgotten."""
        with said(self.path), self._transaction():
            self._database.execute(
                "update publications set ended = ?, sent = ?, gone = ?, products = ? where version = ?",
                (clock(), sent, gone, products, version),
            )
            # What the target refused to remove is still published, and stays in the list.
            self._database.execute("delete from dead_letters where id not in (select id from temp.seen)"
                                   " and id not in (select id from products)")  # fmt: skip

    def digests(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Id to the digest of its published document, of those that are published."""
        published: dict[str, bytes] = {}
        with said(self.path):
            for start in range(0, len(ids), _CHUNK):
                chunk = ids[start : start + _CHUNK]
                marks = ",".join("?" * len(chunk))
                query = f"select id, digest from products where digest <> x'' and id in ({marks})"  # noqa: S608 - of question marks alone
                published.update(self._database.execute(query, chunk))
        return published

    def see(self, ids: Iterable[str]) -> None:
        """Notes for this publication that the feed has the products."""
        with said(self.path), self._transaction():
            self._database.executemany("insert or ignore into temp.seen values (?)", ((name,) for name in ids))

    def gone(self) -> int:
        """How many products that the target has, or may have, were not seen."""
        query = "select count(*) from products where id not in (select id from temp.seen)"
        with said(self.path):
            return int(self._database.execute(query).fetchone()[0])

    def gone_ids(self) -> Iterator[str]:
        """Their ids; more may be acknowledged meanwhile."""
        last = ""
        query = "select id from products where id > ? and id not in (select id from temp.seen) order by id limit ?"
        while True:
            with said(self.path):
                rows = self._database.execute(query, (last, _PAGE)).fetchall()
            yield from (row[0] for row in rows)
            if len(rows) < _PAGE:
                return
            last = rows[-1][0]

    def announce(self, ids: Iterable[str], version: int) -> None:
        """What the target has of them is unknown until it acknowledges: they are sent again, or removed."""
        with said(self.path), self._transaction():
            self._database.executemany(
                "insert or replace into products values (?, x'', ?)", ((name, version) for name in ids)
            )

    def acknowledge(self, rows: Sequence[tuple[str, bytes | None]], version: int) -> None:
        """The target has them for good: ids and the digests of their documents, None for products that are gone."""
        with said(self.path), self._transaction():
            self._database.executemany(
                "insert or replace into products values (?, ?, ?)",
                ((name, digest, version) for name, digest in rows if digest is not None),
            )
            self._database.executemany("delete from products where id = ?", ((n,) for n, d in rows if d is None))
            self._database.executemany("delete from dead_letters where id = ?", ((name,) for name, _ in rows))

    def bury(self, letter: DeadLetter, version: int) -> None:
        """Keeps a product that the target refused."""
        with said(self.path), self._transaction():
            self._database.execute(
                "insert or replace into dead_letters values (?, ?, ?, ?, ?)",
                (letter.id, version, letter.status, letter.reason, letter.document),
            )

    def dead_letters(self) -> Iterator[DeadLetter]:
        """Those that are there, by id."""
        with said(self.path):
            query = "select id, status, reason, document from dead_letters order by id"
            for row in self._database.execute(query):
                yield DeadLetter(*row)

    def status(self) -> Status:
        """How far the target is."""
        with said(self.path):
            return _status(self._database)

    def publications(self) -> list[Publication]:
        """Those that are remembered, oldest first."""
        with said(self.path):
            return _publications(self._database)

    def _transaction(self) -> AbstractContextManager[None]:
        return sqlite.transaction(self._database)


def status_of(path: Path) -> Status:
    """A log's status, without a lock: a publication may be under way.

    Raises:
      InputError: the file is damaged or cannot be read.
    """
    with _reading(path) as database:
        return _status(database)


def publications_of(path: Path) -> list[Publication]:
    """A log's publications, oldest first; as :func:`status_of`."""
    with _reading(path) as database:
        return _publications(database)


def holds(path: Path, product: str) -> bool:
    """Whether a target has, or may have, a product, or has refused it; as :func:`status_of`."""
    query = "select 1 from products where id = :id union all select 1 from dead_letters where id = :id"
    with _reading(path) as database:
        return database.execute(query, {"id": product}).fetchone() is not None


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    with said(path):
        if not {"target", "products", "publications"} <= (tables_of(path, mode="ro") or set()):
            raise InputError(damaged(path))
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            yield database


def _columns(database: sqlite3.Connection) -> list[str]:
    return [row[1] for row in database.execute("pragma table_info(publications)")]


def _add_columns(database: sqlite3.Connection) -> None:
    """Gives a log of an older version the columns of this one, and its publications numbers."""
    have = _columns(database)
    for name, kind in _ADDED.items():
        if name not in have:
            database.execute(f"alter table publications add column {name} {kind}")
    if "number" not in have:
        earlier = "select count(*) from publications as p where p.version <= publications.version"
        database.execute(f"update publications set number = ({earlier})")  # noqa: S608 - of a constant


def _publications(database: sqlite3.Connection) -> list[Publication]:
    have = _columns(database)
    columns = ", ".join(name if name in have else f"null as {name}" for name in Publication.__dataclass_fields__)
    rows = database.execute(f"select {columns} from publications order by version").fetchall()  # noqa: S608 - of constants
    publications = [Publication(*row) for row in rows]
    if "number" in have:
        return publications
    return [replace(publication, number=at) for at, publication in enumerate(publications, 1)]


def _status(database: sqlite3.Connection) -> Status:
    def value(query: str) -> int:
        return int(database.execute(query).fetchone()[0])

    (target,) = database.execute("select name from target").fetchone() or ("",)
    counts = value("select count(*) from products where digest <> x''"), value("select count(*) from dead_letters")
    columns = "version, run, started, ended, sent, gone"
    last = database.execute(f"select {columns} from publications order by version desc limit 1").fetchone()  # noqa: S608 - of a constant
    return Status(target, *counts, *(last or ()))


def damaged(path: Path) -> Problem:
    """That the log cannot be used, and how to do without it."""
    return sqlite.damaged(path, _WHAT, _THEN)


@contextmanager
def said(path: Path | None) -> Iterator[None]:
    """Raises an InputError in place of SQLite's errors."""
    with nullcontext() if path is None else sqlite.usable(path, _WHAT, _THEN):
        yield


def _locked(path: Path) -> IO[bytes]:
    """What holds the lock until it is closed, be it by a kill."""
    try:
        handle = lock(path.with_suffix(".lock"))
    except OSError as error:
        raise InputError(Problem(near(path), f"the publication log cannot be made: {reason(error)}")) from None
    if handle is None:
        raise InputError(Problem(near(path), "another publication to this target is under way",
                                 hint="wait for it"))  # fmt: skip
    return handle
