"""The first records of a feed file, read as a run reads them; nothing heavy is imported unless the file is Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from modules.errors import InputError, Problem
from modules.feeds.formats import format_named
from modules.feeds.formats.sniffing import read_head
from modules.feeds.quarantine import BadRecord, Tally
from modules.feeds.readers import Columns, Record, columns_of, read_records
from modules.feeds.values import flatten
from modules.settings.feed import FeedSettings


@dataclass(frozen=True)
class Peek:
    """The beginning of a feed file.

    Attributes:
      columns: dotted names; all of them where the format states them, else those that the records have.
      records: flat, dotted name to value; records that cannot be read are left out.
    """

    columns: tuple[str, ...]
    records: tuple[dict[str, Any], ...]


def flat_records(
    path: Path, kind: str, settings: FeedSettings, columns: Columns = "all", tally: Tally | None = None
) -> Iterator[dict[str, Any]]:
    """Streams the records that a run with these settings could read, flat; bad ones are left out.

    Args:
      columns: as of :func:`modules.feeds.readers.read_records`.
      tally: gets the bad ones.

    Raises:
      InputError: the file cannot be read to its end, or is not of this format at all.
    """
    for record in read_records(str(path), kind, settings, columns=columns):
        if isinstance(record, Record) and isinstance(record.data, dict):
            yield flatten(record.data)
        elif tally is not None and isinstance(record, BadRecord):
            tally.add(record)


def peek(path: Path, kind: str, settings: FeedSettings, limit: int = 200) -> Peek:
    """The first ``limit`` records, with the columns that ``settings`` map.

    Raises:
      InputError: the file cannot be opened or is not of this format at all.
    """
    columns = columns_of(str(path), kind, settings)
    head = tuple(islice(flat_records(path, kind, settings, "mapped"), limit))
    if columns is None:
        columns = tuple(dict.fromkeys(name for record in head for name in record))
        if not head and read_head(str(path)).data.strip():
            raise InputError(Problem(str(path), f"expected {format_named(kind).title}", line=1))
    return Peek(columns, head)
