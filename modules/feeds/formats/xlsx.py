"""Excel workbooks: the first sheet that has rows and is not hidden, with a header."""

from __future__ import annotations

import datetime
import itertools
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from modules.errors import InputError, Problem, reason
from modules.feeds.formats.base import BLANK, TITLE, FeedFormat, Head, ReadOptions, Record, Sniffed, check_required
from modules.feeds.formats.csv_dialect import Header, fits, header_of
from modules.feeds.opening import UNREADABLE, seekable
from modules.feeds.quarantine import BadRecord, raw_text

_MAX_STRINGS = 512 << 20
"""Bytes, unpacked, of the parts that are held in memory: the texts, styles and the list of sheets."""
_HELD = re.compile(
    r"xl/(?:sharedStrings|styles|workbook)\.xml|xl/theme/.*|.*\.rels|\[Content_Types\]\.xml|docProps/.*", re.I
)
_MAX_SHEET = 16 << 30
_ZEROS = re.compile(r"0{2,}")
_MAX_COLUMNS = 2000
_MOST_ABOVE = 20
"""Rows above a header, at most."""
_WORKBOOK = b"PK\x03\x04"


class Xlsx(FeedFormat):
    """openpyxl streams the rows, and is imported with the first such file."""

    kind = "xlsx"
    title = "an Excel workbook (.xlsx)"
    suffixes = (".xlsx", ".xlsm")

    def read(self, path: str, options: ReadOptions) -> Iterator[Record | BadRecord]:
        with _rows(path) as rows:
            header: Header | None = None
            titles, table = _table(rows)
            if titles:
                options.passed_over[TITLE] += len(titles)
            for number, row in table:
                texts = [str(value) if value is not None else "" for value in row]
                if not any(text.strip() for text in texts):
                    options.passed_over[BLANK] += 1
                    continue
                if header is None:
                    header = header_of(texts)
                    check_required(path, list(header.names), options.required, "header")
                    continue
                yield _record(path, number, row, texts, header, options.max_record_bytes)

    def columns(self, path: str, options: ReadOptions) -> tuple[str, ...] | None:
        return _header(path).names

    def notes(self, path: str, options: ReadOptions) -> tuple[str, ...]:
        return _header(path).notes

    def sniff(self, head: Head) -> Sniffed | None:
        # Archives with a table in them are opened before; what is left is an Office document.
        return Sniffed(1.0) if head.data.startswith(_WORKBOOK) else None


def _header(path: str) -> Header:
    with _rows(path) as rows:
        titles, table = _table(rows)
        for _, row in table:
            if _filled(row):
                header = header_of([str(value) if value is not None else "" for value in row])
                shown = ", ".join(repr(raw_text(title)) for title in titles)
                above = (f"what stands above the header is left out: {shown}",) if titles else ()
                return replace(header, notes=(*above, *header.notes))
    return Header((), 0)


def _table(rows: Iterator[tuple[int, list[Any]]]) -> tuple[list[str], Iterator[tuple[int, list[Any]]]]:
    """The texts of rows with one cell alone that stand above a row with several, and the rows without those."""
    first: list[tuple[int, list[Any]]] = []
    for number, row in rows:
        first.append((number, row))
        if len(_filled(row)) > 1:
            titles = [text for _, above in first[:-1] for text in _filled(above)]
            kept = [(own, cells) for own, cells in first if len(_filled(cells)) != 1]
            return titles, itertools.chain(kept, rows)
        if len(first) > _MOST_ABOVE:
            break
    return [], itertools.chain(first, rows)


def _filled(row: list[Any]) -> list[str]:
    """The texts of cells that are not blank."""
    return [text for text in (str(value) for value in row if value is not None) if text.strip()]


def _record(path: str, number: int, row: list[Any], texts: list[str], header: Header, limit: int) -> Record | BadRecord:
    if sum(map(len, texts)) > limit:
        return BadRecord(path, number, "too_long", f"more than {limit:,} characters", raw_text(repr(row)[:4000]))
    # A row ends with its last cell that was ever written.
    padded = texts + [""] * (header.required - len(texts))
    if not fits(padded, header):
        detail = f"a value in a column that the header, of {header.required} names, does not name"
        return BadRecord(path, number, "broken_csv", detail, raw_text(repr(row)[:4000]))
    names = header.names
    data = {name: value for name, value in zip(names, row, strict=False) if value is not None}
    # The columns that are named are there in every record.
    return Record(number, {name: data.get(name) for name in names[: header.required]} | data, None)


@contextmanager
def _rows(path: str) -> Iterator[Iterator[tuple[int, list[Any]]]]:
    """(number, values) of the rows of the workbook's first sheet with any; what openpyxl says becomes an InputError."""
    with seekable(path) as stream:
        _check_sizes(path, stream)
        import openpyxl

        try:
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False)
        except (*UNREADABLE, KeyError, ValueError, TypeError, AttributeError) as error:
            raise InputError(Problem(path, f"expected a readable Excel workbook ({reason(error)})")) from error
        try:
            yield _sheet_rows(path, book)
        finally:
            book.close()


def _check_sizes(path: str, stream: Any) -> None:
    try:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise InputError(Problem(path, f"expected a readable Excel workbook ({reason(error)})")) from None
    if not any(info.filename.startswith("xl/") for info in members):
        raise InputError(Problem(path, "expected an Excel workbook, not another document"))
    held = sum(info.file_size for info in members if _HELD.fullmatch(info.filename))
    largest = max(info.file_size for info in members)
    if held > _MAX_STRINGS or largest > _MAX_SHEET:
        expected = f"expected a workbook with at most {_MAX_STRINGS >> 20} MiB of texts; this one unpacks to more"
        raise InputError(Problem(path, expected, hint="save it as CSV"))


def _sheet_rows(path: str, book: Any) -> Iterator[tuple[int, list[Any]]]:
    try:
        for sheet in book.worksheets:
            if sheet.sheet_state != "visible":
                continue
            # What the file says of the sheet's size is often wrong.
            sheet.reset_dimensions()
            empty = True
            for number, cells in enumerate(sheet.iter_rows(max_col=_MAX_COLUMNS), 1):
                row = [_value(cell) for cell in cells]
                while row and row[-1] is None:
                    row.pop()
                empty = empty and not row
                yield number, row
            if not empty:
                return
    except (*UNREADABLE, KeyError, ValueError, TypeError, IndexError, AttributeError, SyntaxError) as error:
        raise InputError(Problem(path, f"expected a readable Excel workbook ({reason(error)})")) from error


def _value(cell: Any) -> Any:
    """A cell's value, as the sheet shows it where that is another id or date."""
    value = cell.value
    if value is None or cell.data_type == "e":
        return None
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date()
    if isinstance(value, int | float) and not isinstance(value, bool):
        shown = cell.number_format or ""
        if _ZEROS.fullmatch(shown) and value == int(value):
            return f"{int(value):0{len(shown)}d}"
    if isinstance(value, str | bool | int | float | datetime.date | datetime.time):
        return value
    return str(value)
