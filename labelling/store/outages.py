"""Why a store cannot be used just now, in words that people on the pages may read: no paths, no SQL."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from modules.errors import InputError, Problem

REASONS = {
    "held": "another program has locked the label store",
    "busy": "more answers wait than the label store can keep in time",
    "gone": "the label store's file is gone",
    "replaced": "the label store's files were replaced or removed while the server ran",
    "read-only": "the label store can be read, but not written to",
    "full": "there is no room left on the label store's disk",
    "unreachable": "the label store's database cannot be reached",
    "damaged": "the label store is damaged or is no label store",
    "unreadable": "the label store's disk reports errors",
}
"""Kinds of outages, and what is the matter."""

ADVICE = {
    "held": "find the program that holds it, such as an import or a backup, and let it end",
    "busy": "try again; if it stays so, the disk is too slow",
    "gone": "put the file back in its place; a server goes on by itself",
    "replaced": "stop all programs that use the store, put the right file in its place, and start the server again",
    "read-only": "give the user who runs this the right to write the file and its folder",
    "full": "make room on the disk",
    "unreachable": "start the database, and check that this machine reaches it",
    "damaged": "stop all programs that use the store, and put a backup in its place",
    "unreadable": "check the disk and the rights to the file and its folder",
}
"""What its operator does about each kind."""

# SQLite's primary result codes; https://www.sqlite.org/rescode.html has them all.
_SQLITE = {
    sqlite3.SQLITE_BUSY: "held",
    sqlite3.SQLITE_LOCKED: "held",
    sqlite3.SQLITE_PROTOCOL: "held",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_PERM: "read-only",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_IOERR: "unreadable",
    sqlite3.SQLITE_CANTOPEN: "unreadable",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "damaged",
}
# PostgreSQL's classes of errors and single ones; https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRES = {
    "08": "unreachable",
    "25006": "read-only",
    "28": "unreachable",
    "3D": "gone",
    "53100": "full",
    "53": "unreachable",
    "55P03": "held",
    "40P01": "held",
    "57": "unreachable",
    "58": "unreadable",
    "42P01": "damaged",
    "XX001": "damaged",
    "XX002": "damaged",
}
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Unavailable(InputError):
    """A store that cannot be used just now. Nothing was written.

    Attributes:
      kind: one of :data:`REASONS`.
      reason: what is the matter, for people on the pages.
    """

    def __init__(self, kind: str, name: str = ""):
        self.kind, self.reason = kind, REASONS[kind]
        super().__init__(Problem(name, self.reason, hint=ADVICE[kind]))


def outage_of(error: SQLAlchemyError, file: Path | None) -> str | None:
    """The kind of outage that a database's error stands for; None: it is a mistake in a statement.

    Args:
      file: SQLite's; None: the database is PostgreSQL.
    """
    if isinstance(error, PoolTimeout):
        return "busy"
    if not isinstance(error, DBAPIError) or error.orig is None:
        return None
    if file is None:
        state = getattr(error.orig, "sqlstate", None)
        if state is None:
            # The driver has no state to tell of where nobody answered.
            return "unreachable" if isinstance(error, OperationalError | InterfaceError) else None
        return _POSTGRES.get(state) or _POSTGRES.get(state[:2])
    code = getattr(error.orig, "sqlite_errorcode", None)
    kind = _SQLITE.get(code & 0xFF) if code is not None else None
    if code == sqlite3.SQLITE_ERROR and "no such table" in str(error.orig):
        # The tables are made before anything is asked of them.
        return "damaged"
    if kind in ("unreadable", "read-only") and not file.exists():
        return "gone"
    if kind == "unreadable" and not has_room(file):
        return "full"
    # SQLite makes two files beside the store, and says only that it could not.
    if kind == "unreadable" and not all(os.access(place, os.W_OK) for place in (file, file.parent)):
        return "read-only"
    return kind


def identity(file: Path) -> tuple[int, int] | None:
    """Which file this is, whatever it is called; None: there is none."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def has_room(file: Path) -> bool:
    """Whether the file's disk has room: SQLite cannot tell a full disk where it maps its index into memory."""
    try:
        file_system = os.statvfs(file.parent)
    except OSError:
        return True
    return file_system.f_bavail > 0
