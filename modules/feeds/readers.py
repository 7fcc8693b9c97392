"""Reads the records of one file in constant memory: JSON Lines, CSV, Parquet.

A reader yields :class:`Record` for what could be read and :class:`~modules.feeds.quarantine.BadRecord` for what could
not, in file order. A file that cannot be read to its end (truncated gzip, no Parquet file) raises InputError: unlike a
bad record it says nothing about how much is missing.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, NamedTuple

import orjson

from modules.errors import InputError, Problem, reason
from modules.feeds.files import UNREADABLE, Format, open_plain
from modules.feeds.quarantine import BadRecord, raw_text
from modules.settings.feed import FeedSettings

_BLOCK = 1 << 20
_ROWS = 4096
_SPARE = 16 << 20
_BOM = b"\xef\xbb\xbf"


class Record(NamedTuple):
    """One record as the file has it.

    Attributes:
      line: 1-based line it starts at (Parquet: 1-based row).
      data: the parsed JSON value, or column to value.
      raw: the record's text, for quarantine; None where it is to be made from ``data``.
    """

    line: int
    data: Any
    raw: bytes | str | None


def read_records(
    path: str, kind: Format, settings: FeedSettings, part: int = 0, of: int = 1, *, mapped: bool = True
) -> Iterator[Record | BadRecord]:
    """The records of ``path``; with ``of`` > 1 only each ``of``-th stretch of it, starting with stretch ``part``.

    All parts together give every record exactly once, with its line in the whole file.

    Args:
      mapped: the id column must be there, and of Parquet only the columns that ``settings`` map are read; False: for a
        look at a file whose columns nobody has mapped yet.

    Raises:
      InputError: the file is missing, truncated, no such file, or has no id column.
    """
    read = {"jsonl": _read_jsonl, "csv": _read_csv, "parquet": _read_parquet}[kind]
    try:
        yield from read(path, settings, part, of, mapped)
    except UNREADABLE as error:
        raise _unreadable(path, kind, error) from error


def columns_of(path: str, kind: Format, settings: FeedSettings) -> tuple[str, ...]:
    """Dotted names of all columns of a CSV or Parquet file; none of JSON Lines, which states none.

    Raises:
      InputError: the file is missing, truncated or no such file.
    """
    try:
        if kind == "csv":
            with open_plain(path) as stream:
                lines, reader = _csv_reader(path, stream, settings)
                return tuple(_header(path, lines, reader, settings))
        if kind == "parquet":
            with _parquet(path) as file:
                return tuple(dict.fromkeys(leaf for field in file.schema_arrow for leaf in _leaves(field)))
    except UNREADABLE as error:
        raise _unreadable(path, kind, error) from error
    return ()


def is_blank(path: str, settings: FeedSettings) -> bool:
    """Whether a file holds nothing but white space."""
    try:
        with open_plain(path) as stream:
            blocks = line_blocks(stream, settings.max_record_bytes)
            return not any(line.strip() for _, lines in blocks for line in lines)
    except UNREADABLE as error:
        raise _unreadable(path, "jsonl", error) from error


def _unreadable(path: str, kind: Format, error: Exception) -> InputError:
    return InputError(Problem(path, f"expected a complete, readable {kind} file ({reason(error)})"))


def line_blocks(stream: IO[bytes], limit: int) -> Iterator[tuple[int, list[bytes]]]:
    """Lines without their newline, in blocks of about a megabyte: (number of the first line, lines).

    A line of more than ``limit`` bytes comes as its first ``limit`` + 1 bytes, so that memory stays bounded.
    """
    number = 1
    rest = b""
    first = True
    while block := stream.read(_BLOCK):
        if first:
            block = block.removeprefix(_BOM)
            first = False
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        if len(rest) > limit:
            rest = rest[: limit + 1]
        if lines:
            yield number, lines
            number += len(lines)
    if rest:
        yield number, [rest]


def _read_jsonl(path: str, settings: FeedSettings, part: int, of: int, mapped: bool) -> Iterator[Record | BadRecord]:
    limit = settings.max_record_bytes
    with open_plain(path) as stream:
        for index, (number, lines) in enumerate(line_blocks(stream, limit)):
            if index % of != part:
                continue
            for line, raw in enumerate(lines, number):
                if len(raw) > limit:
                    yield BadRecord(path, line, "too_long", f"more than {limit:,} bytes", raw_text(raw))
                    continue
                try:
                    yield Record(line, orjson.loads(raw), raw)
                except orjson.JSONDecodeError as error:
                    if raw.strip():
                        yield _broken_line(path, line, raw, error)


def _broken_line(path: str, line: int, raw: bytes, error: Exception) -> BadRecord:
    try:
        raw.decode()
    except UnicodeDecodeError as undecodable:
        detail = f"byte {raw[undecodable.start]:#04x} at position {undecodable.start} is no UTF-8"
        return BadRecord(path, line, "undecodable", detail, raw_text(raw))
    return BadRecord(path, line, "broken_json", str(error), raw_text(raw))


class _TooLong(Exception):
    pass


class _CsvLines:
    """What csv.reader reads from; remembers the lines of the record that is being read."""

    def __init__(self, stream: IO[bytes], limit: int):
        self._lines = ((n, raw) for first, lines in line_blocks(stream, limit) for n, raw in enumerate(lines, first))
        self._limit = limit
        self.start = 0
        self.size = 0
        self.pieces: list[str] = []
        self.undecodable = False

    def begin(self) -> None:
        """A new record starts with the next line."""
        self.pieces.clear()
        self.size = 0
        self.undecodable = False

    def __iter__(self) -> _CsvLines:
        return self

    def __next__(self) -> str:
        number, raw = next(self._lines)
        if not self.pieces:
            self.start = number
        try:
            text = raw.decode() + "\n"
        except UnicodeDecodeError:
            text = raw.decode("utf-8", "surrogateescape") + "\n"
            self.undecodable = True
        self.pieces.append(text)
        self.size += len(raw) + 1
        if self.size > self._limit + 1:
            raise _TooLong
        return text


def _read_csv(path: str, settings: FeedSettings, part: int, of: int, mapped: bool) -> Iterator[Record | BadRecord]:
    limit = settings.max_record_bytes
    with open_plain(path) as stream:
        lines, reader = _csv_reader(path, stream, settings)
        header = _header(path, lines, reader, settings)
        if mapped and header:
            _check_columns(path, header, settings, "header")
        index = -1
        while True:
            lines.begin()
            try:
                row = next(reader)
            except StopIteration:
                break
            except _TooLong:
                index += 1
                if (index // _ROWS) % of == part:
                    raw = raw_text("".join(lines.pieces)[:4000])
                    yield BadRecord(path, lines.start, "too_long", f"more than {limit:,} bytes", raw)
                continue
            except csv.Error as error:
                index += 1
                if (index // _ROWS) % of == part:
                    yield BadRecord(path, lines.start, "broken_csv", str(error), raw_text("".join(lines.pieces)))
                continue
            if not row:
                continue
            index += 1
            if (index // _ROWS) % of != part:
                continue
            raw = "".join(lines.pieces)
            if lines.undecodable:
                yield BadRecord(path, lines.start, "undecodable", "bytes that are no UTF-8", raw_text(raw))
            elif len(row) != len(header):
                detail = f"{len(row)} fields where the header has {len(header)}"
                yield BadRecord(path, lines.start, "broken_csv", detail, raw_text(raw))
            else:
                yield Record(lines.start, dict(zip(header, row, strict=True)), raw)


def _csv_reader(path: str, stream: IO[bytes], settings: FeedSettings) -> tuple[_CsvLines, Any]:
    delimiter = "\t" if path.lower().removesuffix(".gz").endswith(".tsv") else settings.delimiter
    limit = settings.max_record_bytes
    # The limit is the process's, so it is only ever raised; the record's own limit is held by _CsvLines.
    csv.field_size_limit(max(csv.field_size_limit(), limit + 1))
    lines = _CsvLines(stream, limit)
    return lines, csv.reader(lines, delimiter=delimiter)


def _header(path: str, lines: _CsvLines, reader: Any, settings: FeedSettings) -> list[str]:
    """The names in the first row that is not empty; none in a file without one."""
    try:
        while True:
            lines.begin()
            if row := next(reader):
                return [name.strip() for name in row]
    except StopIteration:
        return []
    except _TooLong:
        expected = f"expected a header of at most {settings.max_record_bytes:,} bytes"
        raise InputError(Problem(path, expected, lines.start)) from None
    except csv.Error as error:
        raise InputError(Problem(path, f"expected a CSV header ({error})", lines.start)) from None


def _check_columns(path: str, names: list[str], settings: FeedSettings, where: str) -> None:
    """Without the id column every record would be bad, and the reason would drown."""
    wanted = settings.fields.id
    if wanted not in names and wanted.split(".")[0] not in names:
        shown = ", ".join(names[:30]) or "none"
        problem = Problem(path, f"a column of the {where}; it has: {shown}", 1, "feed.fields.id", wanted)
        raise InputError(problem)


def mapped_columns(settings: FeedSettings) -> list[str]:
    """The feed's columns that the mapping and the split name."""
    fields = settings.fields.model_dump()
    columns = [column for column in (*fields.values(), settings.split.column) if column]
    return list(dict.fromkeys(columns))


def _read_parquet(path: str, settings: FeedSettings, part: int, of: int, mapped: bool) -> Iterator[Record | BadRecord]:
    with _parquet(path) as file:
        columns = file.schema_arrow.names
        if mapped:
            _check_columns(path, columns, settings, "schema")
            wanted = mapped_columns(settings)
            columns = [name for name in columns if name in wanted or any(c.startswith(name + ".") for c in wanted)]
        first = 1
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            _check_sizes(path, file.metadata.row_group(group), columns, first, settings.max_record_bytes)
            if group % of == part:
                yield from _read_row_group(path, file, group, columns, first, settings.max_record_bytes)
            first += rows


def _check_sizes(path: str, group: Any, columns: list[str], row: int, limit: int) -> None:
    """A value is unpacked as a whole before anything can look at it: what cannot be rows of ``limit`` bytes is not."""
    for place in range(group.num_columns):
        chunk = group.column(place)
        name = chunk.path_in_schema
        wanted = name.split(".")[0] in columns or name in columns
        if wanted and chunk.total_uncompressed_size > group.num_rows * limit + _SPARE:
            size = f"{chunk.total_uncompressed_size / 1e6:,.0f} MB in {group.num_rows:,} rows"
            expected = f"expected rows of at most feed.max_record_bytes ({limit:,}); a row group has {size}"
            raise InputError(Problem(path, expected, row, name))


@contextmanager
def _parquet(path: str) -> Iterator[Any]:
    """The file, opened; what Arrow says of it becomes an InputError."""
    import tempfile

    import pyarrow as pa
    import pyarrow.parquet as pq

    with open_plain(path) as stream, tempfile.TemporaryFile() as plain:
        source: Any = stream
        if isinstance(stream, gzip.GzipFile):
            # Parquet is read from its end, so an outer gzip has to be unpacked first.
            while block := stream.read(_BLOCK):
                plain.write(block)
            plain.seek(0)
            source = plain
        try:
            # With a buffer a column's pages are read as they are needed; without, all of a row group's at once.
            with pq.ParquetFile(source, buffer_size=_BLOCK) as file:
                yield file
        except pa.ArrowException as error:
            raise _unreadable(path, "parquet", error) from error


def _leaves(field: Any, prefix: str = "") -> Iterator[str]:
    import pyarrow as pa

    if pa.types.is_struct(field.type):
        for child in field.type:
            yield from _leaves(child, f"{prefix}{field.name}.")
    else:
        yield prefix + field.name


def _read_row_group(
    path: str, file: Any, group: int, columns: list[str], row: int, limit: int
) -> Iterator[Record | BadRecord]:
    for batch in file.iter_batches(batch_size=1024, row_groups=[group], columns=columns):
        try:
            records = batch.to_pylist()
        except UnicodeDecodeError:
            records = _decode_each(batch)
        for row, data in enumerate(records, row):  # noqa: B020 - goes on counting over the batches
            undecodable = [name for name, value in data.items() if isinstance(value, UnicodeDecodeError)]
            if undecodable:
                raw = raw_text(repr({name: str(value) for name, value in data.items()}))
                yield BadRecord(path, row, "undecodable", f"{undecodable[0]}: bytes that are no UTF-8", raw)
            elif sum(len(value) for value in data.values() if isinstance(value, str | bytes)) > limit:
                yield BadRecord(path, row, "too_long", f"more than {limit:,} characters", raw_text(repr(data)[:4000]))
            else:
                yield Record(row, data, None)
        row += 1


def _decode_each(batch: Any) -> list[dict[str, Any]]:
    """A batch's rows, where text that is no UTF-8 comes as the error that decoding it gives."""
    import pyarrow as pa

    columns = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            binary = column.cast(pa.large_binary() if pa.types.is_large_string(column.type) else pa.binary())
            columns[name] = [_decoded(value) for value in binary.to_pylist()]
        else:
            columns[name] = column.to_pylist()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _decoded(value: bytes | None) -> str | UnicodeDecodeError | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError as error:
        return error
