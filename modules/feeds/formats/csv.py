"""CSV with a header, by RFC 4180, with any single character between the fields; TSV where the name says so."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import IO

from modules.errors import InputError, Problem
from modules.feeds.formats.base import FeedFormat, Head, ReadOptions, Record, Sniffed, check_required
from modules.feeds.formats.text import line_blocks
from modules.feeds.opening import BOM, open_text
from modules.feeds.quarantine import BadRecord, raw_text

ROWS = 4096
"""Rows of a stretch."""
DELIMITERS = (",", ";", "\t", "|")
"""Those that sniffing tries."""
_SNIFFED_ROWS = 200
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
        with open_text(path) as stream:
            rows = _Rows(path, stream, options)
            check_required(path, rows.header, options.required if rows.header else None, "header")
            index = -1
            while (row := rows.next()) is not None:
                if row == []:
                    continue
                index += 1
                if options.is_mine(index // ROWS):
                    yield rows.record(row)

    def columns(self, path: str, options: ReadOptions) -> tuple[str, ...] | None:
        with open_text(path) as stream:
            return tuple(_Rows(path, stream, options).header)

    def sniff(self, head: Head) -> Sniffed | None:
        """By the delimiter under which most rows have as many fields as the header."""
        data = head.data.removeprefix(BOM)
        if data.lstrip()[:1] in _NO_HEADER:
            return None
        # The last line of a head may be cut off.
        lines = data.split(b"\n") if head.whole else data.split(b"\n")[:-1]
        texts = [line.decode("utf-8", "surrogateescape") + "\n" for line in lines]
        best: tuple[float, int, str] | None = None
        for delimiter in ("\t",) if head.name.endswith(_TSV) else DELIMITERS:
            rows = _first_rows(texts, delimiter, head.whole, len(data))
            if not rows or len(rows[0]) < 2:
                continue
            width = len(rows[0])
            fitting = round(sum(len(row) == width for row in rows) / len(rows), 1)
            if best is None or (fitting, width) > best[:2]:
                best = fitting, width, delimiter
        if best is None or best[0] < 0.5:
            return None
        return Sniffed(0.8 * best[0], {} if head.name.endswith(_TSV) else {"delimiter": best[2]})


def _first_rows(texts: list[str], delimiter: str, whole: bool, size: int) -> list[list[str]]:
    """The first rows, as the reader would see them; none where they are no CSV."""
    csv.field_size_limit(max(csv.field_size_limit(), size + 1))
    rows: list[list[str]] = []
    try:
        for row in csv.reader(iter(texts), delimiter=delimiter):
            if row:
                rows.append(row)
            if len(rows) > _SNIFFED_ROWS:
                return rows[:-1]
    except csv.Error:
        return []
    return rows if whole else rows[:-1]


class _TooLong(Exception):
    pass


class _Rows:
    """The rows of one file; remembers the lines of the row that is being read.

    Attributes:
      header: the names in the first row that is not empty; empty in a file without one.
    """

    def __init__(self, path: str, stream: IO[bytes], options: ReadOptions):
        limit = options.max_record_bytes
        # The module's limit is the process's, so it is only ever raised; the record's own is held by __next__.
        csv.field_size_limit(max(csv.field_size_limit(), limit + 1))
        self._path = path
        self._limit = limit
        self._lines = ((n, raw) for first, lines in line_blocks(stream, limit) for n, raw in enumerate(lines, first))
        is_tsv = path.lower().removesuffix(".gz").endswith(_TSV)
        self._reader = csv.reader(self, delimiter="\t" if is_tsv else options.delimiter)
        self._start = 0
        self._size = 0
        self._pieces: list[str] = []
        self._undecodable = False
        self.header = self._read_header()

    def __iter__(self) -> _Rows:
        return self

    def __next__(self) -> str:
        number, raw = next(self._lines)
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
        return text

    def next(self) -> list[str] | Exception | None:
        """The next row's fields (none of an empty line), why it cannot be read, or None at the end."""
        self._pieces.clear()
        self._size = 0
        self._undecodable = False
        try:
            return next(self._reader)
        except StopIteration:
            return None
        except (_TooLong, csv.Error) as error:
            return error

    def record(self, row: list[str] | Exception) -> Record | BadRecord:
        """What :meth:`next` gave, as a record."""
        raw = "".join(self._pieces)
        if isinstance(row, _TooLong):
            return self._bad("too_long", f"more than {self._limit:,} bytes", raw[:4000])
        if isinstance(row, Exception):
            return self._bad("broken_csv", str(row), raw)
        if self._undecodable:
            return self._bad("undecodable", "bytes that are not UTF-8", raw)
        if len(row) != len(self.header):
            return self._bad("broken_csv", f"{len(row)} fields where the header has {len(self.header)}", raw)
        return Record(self._start, dict(zip(self.header, row, strict=True)), raw)

    def _bad(self, why: str, detail: str, raw: str) -> BadRecord:
        return BadRecord(self._path, self._start, why, detail, raw_text(raw))

    def _read_header(self) -> list[str]:
        while (row := self.next()) is not None:
            if isinstance(row, Exception):
                too_long = isinstance(row, _TooLong)
                expected = f"a header of at most {self._limit:,} bytes" if too_long else f"a CSV header ({row})"
                raise InputError(Problem(self._path, f"expected {expected}", self._start))
            if row:
                return [name.strip() for name in row]
        return []
