"""Reads the records of one file in constant memory, whatever its format: the run, `validate` and `init` alike.

A reader yields :class:`Record` for what could be read and :class:`~modules.feeds.quarantine.BadRecord` for what could
not, in file order. A file that cannot be read to its end (truncated gzip, no Parquet file) raises InputError.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from modules.errors import InputError, Problem, reason
from modules.feeds.formats import format_named
from modules.feeds.formats.base import ReadOptions, Record
from modules.feeds.opening import UNREADABLE
from modules.feeds.quarantine import BadRecord
from modules.settings.feed import FeedSettings

__all__ = ["Record", "columns_of", "mapped_columns", "notes_of", "read_records"]

Columns = Literal["required", "mapped", "all"]


def read_records(
    path: str,
    kind: str,
    settings: FeedSettings,
    part: int = 0,
    of: int = 1,
    *,
    columns: Columns = "required",
    passed_over: Counter[str] | None = None,
) -> Iterator[Record | BadRecord]:
    """The records of ``path``; with ``of`` > 1 only each ``of``-th stretch of it, starting with stretch ``part``.

    All parts together give every record exactly once, with its line in the whole file.

    Args:
      kind: the name of the file's format.
      columns: ``required``: those that ``settings`` map, of which the id must be there. ``mapped``: the same, whether
        the id is there or not. ``all``: every column, for a look at a file whose columns nobody has mapped yet.
        Formats that read no single columns give all of them in any case.
      passed_over: counts what is no record, such as blank lines.

    Raises:
      InputError: the file is missing, truncated, no such file, or has no id column.
    """
    format = format_named(kind)
    if not format.splittable:
        if part:
            return
        of = 1
    options = replace(
        _options(settings),
        columns=None if columns == "all" else mapped_columns(settings),
        required=settings.fields.id if columns == "required" else None,
        passed_over=Counter() if passed_over is None else passed_over,
        part=part,
        of=of,
    )
    try:
        yield from format.read(path, options)
    except UNREADABLE as error:
        raise _unreadable(path, kind, error) from error


def columns_of(path: str, kind: str, settings: FeedSettings) -> tuple[str, ...] | None:
    """Dotted names of all columns of a file whose format states them; None of any other.

    Raises:
      InputError: the file is missing, truncated or no such file.
    """
    try:
        return format_named(kind).columns(path, _options(settings))
    except UNREADABLE as error:
        raise _unreadable(path, kind, error) from error


def notes_of(path: str, kind: str, settings: FeedSettings) -> tuple[str, ...]:
    """What somebody should know of how a file is read: its encoding, odd names in its header and the like, in words.

    Raises:
      InputError: the file is missing, truncated or no such file.
    """
    try:
        notes = format_named(kind).notes(path, _options(settings))
    except UNREADABLE as error:
        raise _unreadable(path, kind, error) from error
    return tuple(f"{os.path.basename(path)}: {note}" for note in notes)


def mapped_columns(settings: FeedSettings) -> tuple[str, ...]:
    """The feed's columns that the mapping, attributes included, and the split name."""
    own = (*settings.fields.model_dump().values(), *settings.attributes.values())
    return tuple(dict.fromkeys(c for c in (*own, settings.split.column, *settings.label_columns) if c))


def _options(settings: FeedSettings) -> ReadOptions:
    return ReadOptions(settings.max_record_bytes, settings.delimiter, settings.encoding)


def _unreadable(path: str, kind: str, error: Exception) -> InputError:
    return InputError(Problem(path, f"expected a complete, readable {kind} file ({reason(error)})"))
