"""Whether a file can be a label store, said before labels are looked for in it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from modules.errors import InputError, Problem
from modules.paths import near
from modules.sqlite import aside_command, tables_of

_TABLE = "alembic_version"


def check_sqlite(file: Path) -> None:
    """Labels are people's work, which no run makes again: what is no whole store is never written to.

    Args:
      file: an existing one.

    Raises:
      InputError: it is damaged, empty, or a database of something else.
    """
    if file.stat().st_size == 0:
        raise InputError(Problem(near(file), "the label store is empty: it was truncated", hint=_remedy(file)))
    try:
        tables = tables_of(file)
    except sqlite3.Error:
        # Locked, or without a right to it: opening it says so, or waits.
        return
    if tables is None:
        raise InputError(Problem(near(file), "no label store, or a damaged one", hint=_remedy(file)))
    if tables and _TABLE not in tables:
        expected = "a label store; this SQLite database is something else's"
        raise InputError(Problem(near(file), expected, hint="name another file"))


def _remedy(file: Path) -> str:
    return (
        "the same command will not help; put it aside, then bring back a copy, or begin a new one with labels "
        f"that were exported (`shelfmark label import`): {aside_command(file)}"
    )
