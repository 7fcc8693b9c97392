"""Whether a file can be ML Metadata's SQLite database, said before ML Metadata opens it. Light: no TensorFlow."""

from __future__ import annotations

import os
import shlex
import sqlite3
from pathlib import Path

from modules.errors import InputError, Problem
from modules.paths import near
from modules.sqlite import aside_command, code_of, tables_of

RUN = "shelfmark run"
"""What makes a new database, where nobody says with which workflow."""
_TABLE = "MLMDEnv"
"""The table that every database of ML Metadata has."""
_AGAIN = "the same command helps once that is so"


def check_sqlite(path: Path, *, write: bool = False, run_command: str = RUN) -> None:
    """Opens the file with SQLite itself, which also rolls back what a killed program had begun.

    Args:
      path: an existing file.
      write: it is to be written to; an empty file is then a database that is yet to be made.
      run_command: what fills a new database, for messages.

    Raises:
      InputError: it is damaged, empty, of something else, locked, or cannot be read (or written).
    """
    name = near(path)
    if not path.is_file():
        raise InputError(
            Problem(name, "ML Metadata's database is a file; this is none", hint=_remedy(path, run_command))
        )
    if not os.access(path, os.R_OK):
        raise InputError(Problem(name, "no right to read ML Metadata's database", hint=_right(path, "r")))
    if write and not os.access(path, os.W_OK):
        raise InputError(Problem(name, "no right to write to ML Metadata's database", hint=_right(path, "w")))
    if write and not os.access(path.parent, os.W_OK):
        raise InputError(Problem(near(path.parent), "no right to write to this folder", hint=_right(path.parent, "w")))
    if path.stat().st_size == 0:
        if write:
            return
        expected = "ML Metadata's database is empty: no run was recorded in it, or it was truncated"
        raise InputError(
            Problem(name, expected, hint=f"the same command will not help; this makes a new one: {run_command}")
        )
    mode = "rw" if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK) else "ro"
    try:
        tables = tables_of(path, mode=mode, write=write)
    except sqlite3.Error as error:
        raise InputError(_problem(path, error, run_command)) from None
    if tables is None:
        raise InputError(damaged(path, run_command))
    if tables and _TABLE not in tables:
        expected = "a database of ML Metadata; this SQLite database is something else's"
        raise InputError(Problem(name, expected, hint=_remedy(path, run_command)))
    if not tables and not write:
        raise InputError(Problem(name, "no run is recorded in ML Metadata", hint=f"run the workflow: {run_command}"))


def damaged(path: Path, run_command: str = RUN) -> Problem:
    """The database is damaged, and what helps."""
    return Problem(near(path), "ML Metadata's database is damaged", hint=_remedy(path, run_command))


def _problem(path: Path, error: sqlite3.Error, run_command: str) -> Problem:
    code = code_of(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        expected = "another program holds ML Metadata's database"
        return Problem(near(path), expected, hint="the same command helps once that program lets it go")
    if code == sqlite3.SQLITE_FULL:
        return Problem(near(path), "the disk is full", hint=f"make room; {_AGAIN}")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN):
        return Problem(near(path), f"ML Metadata's database cannot be opened ({error})", hint=_right(path.parent, "w"))
    return damaged(path, run_command)


def _right(path: Path, right: str) -> str:
    return f"{_AGAIN}: chmod u+{right} {shlex.quote(near(path))}"


def _remedy(path: Path, run_command: str) -> str:
    return (
        "the same command will not help; put it aside and run the workflow again (its history is lost with it, "
        f"pushed models and labels stay): {aside_command(path)} && {run_command}"
    )
