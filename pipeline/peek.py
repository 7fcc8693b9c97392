"""The first records of a feed file, read as a run reads them; nothing heavy is imported unless the file is Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from modules.errors import InputError, Problem
from modules.feeds import files
from modules.feeds.files import Format
from modules.feeds.readers import Record, columns_of, is_blank, read_records
from modules.settings.feed import FeedSettings

MAX_CELL = 1_048_576


@dataclass(frozen=True)
class Peek:
    """What the beginning of a file shows.

    Attributes:
      columns: dotted names; of CSV and Parquet all of them, of JSONL those that the records have.
      records: flat, dotted name to value; records that cannot be read are left out.
      complete: whether ``columns`` are all there are (CSV and Parquet state them).
    """

    columns: tuple[str, ...]
    records: tuple[dict[str, Any], ...]
    complete: bool


def format_of(path: Path) -> Format | None:
    """The format that the file's name tells, None if it tells none."""
    try:
        return files.format_of(str(path), FeedSettings())
    except InputError:
        return None


def flatten(record: dict[str, Any], prefix: str = "", depth: int = 0) -> dict[str, Any]:
    """Nested objects as dotted names: ``{"extra": {"url": 1}}`` gives ``extra.url``."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, dict) and depth < 3:
            flat.update(flatten(value, f"{prefix}{key}.", depth + 1))
        else:
            flat[prefix + key] = value
    return flat


def records(path: Path, kind: Format, delimiter: str = ",") -> Iterator[dict[str, Any]]:
    """Streams the records that a run could read, flat; those that it would put into quarantine are left out.

    Raises:
      InputError: the file cannot be read to its end, or is not of this format at all.
    """
    settings = FeedSettings(delimiter=delimiter)
    for record in read_records(str(path), kind, settings, mapped=False):
        if isinstance(record, Record) and isinstance(record.data, dict):
            yield flatten(record.data)


def peek(path: Path, kind: Format, delimiter: str = ",", limit: int = 200) -> Peek:
    """The first ``limit`` records.

    Raises:
      InputError: the file cannot be opened or is not of this format at all.
    """
    settings = FeedSettings(delimiter=delimiter)
    columns = columns_of(str(path), kind, settings)
    head = tuple(islice(records(path, kind, delimiter), limit))
    if kind == "jsonl":
        columns = tuple(dict.fromkeys(name for record in head for name in record))
        if not head and not is_blank(str(path), settings):
            raise InputError(Problem(str(path), "expected JSON Lines: one object on each line", line=1))
    return Peek(columns, head, complete=kind != "jsonl")
