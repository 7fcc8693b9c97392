"""Looks into a SQLite file before a library opens it, which would say less of what is wrong."""

from __future__ import annotations

import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from modules.errors import InputError, Problem, reason
from modules.paths import near

WAIT_SECONDS = 5.0


def tables_of(path: Path, *, mode: str = "rw", write: bool = False) -> set[str] | None:
    """The names of the tables; None: the file is damaged, or no SQLite database.

    SQLite also rolls back what a killed program had begun. The whole file is read: 0.1 s for 100 MB.

    Args:
      path: an existing file.
      mode: ``rw`` or ``ro``.
      write: try whether it can be written to.

    Raises:
      sqlite3.Error: it cannot be opened now: locked, no right, the disk is full.
    """
    address = f"{path.absolute().as_uri()}?mode={mode}"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=WAIT_SECONDS, isolation_level=None)) as database:
            if write:
                database.execute("BEGIN IMMEDIATE")
                database.execute("ROLLBACK")
            tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        if code_of(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return None
        raise
    return tables if verdict == "ok" else None


def code_of(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0: none."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def aside_command(file: Path) -> str:
    """What a user types to put a database aside.

    Journal, log and index go with it: SQLite would apply them to the database that takes its place.
    """
    number = 1
    while (aside := file.with_name(f"{file.name}.damaged-{number}")).exists():
        number += 1
    ends = [end for end in ("", "-journal", "-wal", "-shm") if file.with_name(file.name + end).exists()]
    pairs = [(file.with_name(file.name + end), aside.with_name(aside.name + end)) for end in ends]
    return " && ".join(f"mv {shlex.quote(near(source))} {shlex.quote(near(target))}" for source, target in pairs)


def damaged(path: Path, what: str, then: str, how: str = "is damaged") -> Problem:
    """That a database cannot be used, and how to do without it.

    Args:
      what: the database's name, such as ``the publication log``. then: what becomes of it when it is put aside.
      how: what is wrong with it.
    """
    return Problem(near(path), f"{what} {how}", hint=f"put it aside: {aside_command(path)}; {then}")


@contextmanager
def usable(path: Path, what: str, then: str) -> Iterator[None]:
    """Raises an InputError in place of SQLite's errors; arguments as of :func:`damaged`."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = code_of(error)
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise InputError(damaged(path, what, then)) from None
        if code == sqlite3.SQLITE_ERROR:
            # A statement names a table or column that the file does not have.
            raise InputError(damaged(path, what, then, "was written by another version of Shelfmark")) from None
        is_full = code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
        hint = "is there room on the disk? then repeat the command" if is_full else ""
        raise InputError(Problem(near(path), f"{what} cannot be used: {reason(error)}", hint=hint)) from None


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Around what is written together, or not at all; the connection begins no transaction by itself."""
    database.execute("begin immediate")
    try:
        yield
        database.execute("commit")
    except BaseException:
        if database.in_transaction:
            database.execute("rollback")
        raise
