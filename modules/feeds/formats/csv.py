"""CSV with a header, however it is written: delimiter, quotes and encoding are told from the file itself."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import IO

from modules.counting import counted
from modules.errors import InputError, Problem
from modules.feeds.formats.base import BLANK, FeedFormat, Head, ReadOptions, Record, Sniffed, check_required
from modules.feeds.formats.csv_dialect import Dialect, Header, dialect_of, fits, header_of, separator_of
from modules.feeds.formats.shopify import PICTURE, VariantRows
from modules.feeds.formats.text import encoding_notes, line_blocks
from modules.feeds.opening import BOM, content_name, open_text
from modules.feeds.quarantine import BadRecord, raw_text

ROWS = 4096
"""Rows of a stretch."""
_HEAD_BYTES = 262_144
_NO_HEADER = (b"{", b"[", b"<")
"""What JSON, XML and HTML begin with."""
_TSV = ".tsv"


class Csv(FeedFormat):
    """Stretches are runs of rows: a quoted line break leaves no other way than to read all rows."""

    kind = "csv"
    title = "CSV with a header and two or more columns"
    suffixes = (".csv", _TSV, ".txt")
    splittable = True

    def read(self, path: str, options: ReadOptions) -> Iterator[Record | BadRecord]:
        dialect = _dialect(path, options)
        with open_text(path, options.encoding) as stream:
            rows = _Rows(path, stream, options, dialect)
            names = list(rows.header.names)
            check_required(path, names, options.required if names else None, "header")
            variants = VariantRows.of(names)
            index = -1
            while (row := rows.next()) is not None:
                # What is passed over belongs to the stretch of the record that follows it.
                is_mine = options.is_mine((index + 1) // ROWS)
                if not isinstance(row, Exception) and not any(cell.strip() for cell in row):
                    options.passed_over[BLANK] += is_mine
                    continue
                record = rows.record(row)
                if variants is not None and isinstance(record, Record) and not variants.complete(record.data):
                    options.passed_over[PICTURE] += is_mine
                    continue
                index += 1
                if is_mine:
                    yield record
            rows.check_lines()

    def columns(self, path: str, options: ReadOptions) -> tuple[str, ...] | None:
        dialect = _dialect(path, options)
        with open_text(path, options.encoding) as stream:
            return _Rows(path, stream, options, dialect).header.names

    def notes(self, path: str, options: ReadOptions) -> tuple[str, ...]:
        dialect = _dialect(path, options)
        with open_text(path, options.encoding) as stream:
            header = _Rows(path, stream, options, dialect).header
        notes = [*encoding_notes(path, options), *header.notes]
        if dialect.backslashes:
            notes.append('quotes are written as \\" and read as quotes')
        if VariantRows.of(header.names) is not None:
            notes.append(
                "rows of the same Handle are one product's variants: they take what is empty from its first row"
            )
        return tuple(notes)

    def sniff(self, head: Head) -> Sniffed | None:
        """By the delimiter under which most rows have as many fields as the header."""
        data = head.data.removeprefix(BOM)
        if data.lstrip()[:1] in _NO_HEADER:
            return None
        _, fitting = dialect_of(_lines(data, head.whole), head.whole, "\t" if head.name.endswith(_TSV) else None)
        return Sniffed(0.8 * fitting) if fitting >= 0.5 else None


def _dialect(path: str, options: ReadOptions) -> Dialect:
    with open_text(path, options.encoding) as stream:
        data = stream.read(_HEAD_BYTES)
    whole = len(data) < _HEAD_BYTES
    delimiter = "\t" if content_name(path).endswith(_TSV) else options.delimiter
    return dialect_of(_lines(data.removeprefix(BOM), whole), whole, delimiter)[0]


def _lines(data: bytes, whole: bool) -> list[str]:
    csv.field_size_limit(max(csv.field_size_limit(), _HEAD_BYTES + 1))
    lines = data.splitlines()
    if not whole and lines and len(lines) > 1:
        # The last one may be cut off.
        lines.pop()
    return [line.decode("utf-8", "surrogateescape") for line in lines]


class _TooLong(Exception):
    pass


class _Rows:
    """The rows of one file; remembers the lines of the row that is being read.

    Attributes:
      header: the names in the first row that is not empty; empty in a file without one.
    """

    def __init__(self, path: str, stream: IO[bytes], options: ReadOptions, dialect: Dialect):
        limit = options.max_record_bytes
        # The module's limit is the process's, so it is only ever raised; the record's own is held by __next__.
        csv.field_size_limit(max(csv.field_size_limit(), limit + 1))
        self._path = path
        self._limit = limit
        self._dialect = dialect
        self._lines = ((n, raw) for first, lines in line_blocks(stream, limit) for n, raw in enumerate(lines, first))
        # Strict: a quote in the middle of a quoted field, and one that is never closed, are errors and no text.
        self._reader = csv.reader(self, delimiter=dialect.delimiter, strict=True)
        self._start = 0
        self._size = 0
        self._pieces: list[str] = []
        self._undecodable = False
        self._last = self._covered = 0
        self.header = self._read_header()

    def __iter__(self) -> _Rows:
        return self

    def __next__(self) -> str:
        number, raw = next(self._lines)
        self._last = number
        if not self._pieces:
            self._start = number
        try:
            text = raw.decode() + "\n"
        except UnicodeDecodeError:
            text = raw.decode("utf-8", "surrogateescape") + "\n"
            self._undecodable = True
        self._pieces.append(text)
        self._size += len(raw) + 1
        if self._size > self._limit + 1:
            raise _TooLong
        return self._dialect.line(text)

    def next(self) -> list[str] | Exception | None:
        """The next row's fields (none of an empty line), why it cannot be read, or None at the end."""
        self._covered += len(self._pieces)
        self._pieces.clear()
        self._size = 0
        self._undecodable = False
        try:
            return next(self._reader)
        except StopIteration:
            return None
        except (_TooLong, csv.Error) as error:
            return error

    def check_lines(self) -> None:
        """Raises InputError unless every line of the file was in a row, a blank one or the header."""
        if self._covered != self._last:
            expected = (
                f"expected each line in one row; {counted(self._last, 'line was', 'lines were')} read, and "
                f"{counted(self._covered, 'is', 'are')} in rows"
            )
            raise InputError(Problem(self._path, expected, hint="please report this as a bug"))

    def record(self, row: list[str] | Exception) -> Record | BadRecord:
        """What :meth:`next` gave, as a record."""
        raw = "".join(self._pieces)
        if isinstance(row, _TooLong):
            return self._bad("too_long", f"more than {self._limit:,} bytes", raw[:4000])
        if isinstance(row, Exception):
            return self._bad("broken_csv", f"{row}{self._span()}", raw)
        if self._undecodable:
            return self._bad("undecodable", "bytes that are not UTF-8", raw)
        names = self.header.names
        if not fits(row, self.header):
            detail = f"{counted(len(row), 'field')} where the header has {len(names)}{self._span()}"
            return self._bad("broken_csv", detail, raw)
        data = dict(zip(names, row, strict=False))
        for name in names[self.header.required :]:
            if not data.get(name, "").strip():
                data.pop(name, None)
        return Record(self._start, data, raw)

    def _span(self) -> str:
        last = self._start + len(self._pieces) - 1
        return f" (lines {self._start:,} to {last:,})" if last > self._start else ""

    def _bad(self, why: str, detail: str, raw: str) -> BadRecord:
        return BadRecord(self._path, self._start, why, detail, raw_text(raw))

    def _read_header(self) -> Header:
        separator_line = self._dialect.separator_line
        while (row := self.next()) is not None:
            if separator_line and separator_of("".join(self._pieces)) is not None:
                separator_line = False
                continue
            if isinstance(row, Exception):
                too_long = isinstance(row, _TooLong)
                expected = f"a header of at most {self._limit:,} bytes" if too_long else f"a CSV header ({row})"
                raise InputError(Problem(self._path, f"expected {expected}", self._start))
            if any(cell.strip() for cell in row):
                return header_of(row)
        return Header((), 0)
