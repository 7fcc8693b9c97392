"""The first records of a feed file, with nothing heavy imported unless the file is Parquet."""

from __future__ import annotations

import csv
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.errors import InputError, Problem
from modules.feeds import files
from modules.feeds.files import Format
from modules.settings.feed import FeedSettings

# pyarrow's errors and gzip's are among these.
_BROKEN = (OSError, EOFError, ValueError, zlib.error)

MAX_LINE = 4_194_304
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
    """Streams a file's readable records, flat. Undecodable bytes become U+FFFD; broken records are left out.

    Raises:
      InputError: the file cannot be read to its end, or is not of this format at all.
    """
    try:
        if kind == "parquet":
            yield from _parquet_records(path)
        elif kind == "jsonl":
            yield from _json_records(path)
        else:
            yield from _csv_records(path, delimiter)
    except _BROKEN as error:
        raise _unreadable(path, kind, error) from None


def _unreadable(path: Path, kind: Format, error: Exception) -> InputError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError(Problem(str(path), f"expected a readable {kind} file: {reason}"))


def _json_records(path: Path) -> Iterator[dict[str, Any]]:
    with files.open_plain(str(path)) as file:
        while line := file.readline(MAX_LINE):
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict):
                yield flatten(record)


def _csv_records(path: Path, delimiter: str) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(MAX_CELL)
    with files.open_plain(str(path)) as file, io.TextIOWrapper(file, "utf-8-sig", "replace", newline="") as text:
        rows = csv.DictReader((line.replace("\0", "") for line in text), delimiter=delimiter)
        try:
            for row in rows:
                row.pop(None, None)  # type: ignore[call-overload]
                yield {key: value for key, value in row.items() if value is not None}
        except csv.Error:
            return


def peek(path: Path, kind: Format, delimiter: str = ",", limit: int = 200) -> Peek:
    """The first ``limit`` records.

    Raises:
      InputError: the file cannot be opened or is not of this format at all.
    """
    try:
        if kind == "parquet":
            columns = _parquet_columns(path)
        elif kind == "csv":
            columns = _csv_columns(path, delimiter)
        else:
            columns = ()
        head: list[dict[str, Any]] = []
        for record in records(path, kind, delimiter):
            head.append(record)
            if len(head) >= limit:
                break
    except _BROKEN as error:
        raise _unreadable(path, kind, error) from None
    if kind == "jsonl":
        seen: dict[str, None] = {}
        for record in head:
            seen.update(dict.fromkeys(record))
        columns = tuple(seen)
        if not head and _has_content(path):
            raise InputError(Problem(str(path), "expected JSON Lines: one object on each line", line=1))
    return Peek(columns, tuple(head), complete=kind != "jsonl")


def _has_content(path: Path) -> bool:
    with files.open_plain(str(path)) as file:
        return any(line.strip() for line in file)


def _csv_columns(path: Path, delimiter: str) -> tuple[str, ...]:
    csv.field_size_limit(MAX_CELL)
    with files.open_plain(str(path)) as file, io.TextIOWrapper(file, "utf-8-sig", "replace", newline="") as text:
        try:
            return tuple(next(csv.reader((line.replace("\0", "") for line in text), delimiter=delimiter), []))
        except csv.Error as error:
            raise ValueError(str(error)) from None


def _parquet_columns(path: Path) -> tuple[str, ...]:
    import pyarrow.parquet as pq

    with files.open_plain(str(path)) as raw, pq.ParquetFile(raw) as file:
        names: dict[str, None] = {}
        for field in file.schema_arrow:
            names.update(dict.fromkeys(_leaves(field)))
        return tuple(names)


def _leaves(field: Any, prefix: str = "") -> Iterator[str]:
    import pyarrow as pa

    if pa.types.is_struct(field.type):
        for child in field.type:
            yield from _leaves(child, f"{prefix}{field.name}.")
    else:
        yield prefix + field.name


def _parquet_records(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    with files.open_plain(str(path)) as raw, pq.ParquetFile(raw) as file:
        for batch in file.iter_batches(batch_size=256):
            for record in batch.to_pylist():
                yield flatten(record)
