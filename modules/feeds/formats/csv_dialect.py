"""How a CSV file is written: what stands between fields, how quotes are escaped, what its header names."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

DELIMITERS = (",", ";", "\t", "|")
"""Those that are tried where nothing says which."""
_SNIFFED_ROWS = 200
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_BACKSLASH_QUOTE = re.compile(r'(?<!\\)((?:\\\\)*)\\"')


@dataclass(frozen=True)
class Dialect:
    """How one file is written.

    Attributes:
      backslashes: a quote inside of a quoted field is written as backslash and quote, as MySQL and PHP do.
      separator_line: the first line, ``sep=;``, is no row: spreadsheets write and read it.
    """

    delimiter: str
    backslashes: bool = False
    separator_line: bool = False

    def line(self, text: str) -> str:
        """A line as RFC 4180 has it: quotes doubled."""
        return _BACKSLASH_QUOTE.sub(r'\1""', text) if self.backslashes else text


@dataclass(frozen=True)
class Header:
    """A header's names.

    Attributes:
      names: of the columns, each once; what the header leaves without a name is called by its place.
      required: how many fields a row must have: as many as names are written, for what is behind them is optional.
      notes: what somebody should know, in words.
    """

    names: tuple[str, ...]
    required: int
    notes: tuple[str, ...] = field(default=())


def separator_of(line: str) -> str | None:
    """The delimiter that a line ``sep=;`` names; None of any other line."""
    match = _SEPARATOR_LINE.fullmatch(line.strip("\ufeff\r\n "))
    if match is None:
        # What Excel writes for tabs ends with one, which strip() takes from other lines.
        match = _SEPARATOR_LINE.fullmatch(line.strip("\ufeff\r\n"))
    return match[1] if match else None


def header_of(row: Sequence[str]) -> Header:
    """The names of a header's fields, without blanks around them."""
    written = [" ".join(name.replace("\ufeff", "").split()) for name in row]
    required = max((place for place, name in enumerate(written, 1) if name), default=0)
    taken = Counter(written)
    # In the header's order; a set alone would lose it, and a list takes a look at every name before.
    names: dict[str, None] = {}
    numbers: Counter[str] = Counter()
    for place, name in enumerate(written, 1):
        own = candidate = name or f"column {place}"
        while candidate in names or (candidate != name and candidate in taken):
            numbers[own] += 1
            candidate = f"{own} ({numbers[own] + 1})"
        names[candidate] = None
    notes = [
        f"the header names {name!r} {count} times: the others are called {name + ' (2)'!r} and so on"
        for name, count in taken.items()
        if name and count > 1
    ]
    return Header(tuple(names), required, tuple(notes))


def fits(row: Sequence[str], header: Header) -> bool:
    """Whether a row's fields are those that a header names; empty ones behind them are of no matter."""
    return header.required <= len(row) and not any(cell.strip() for cell in row[len(header.names) :])


def dialect_of(lines: Sequence[str], whole: bool, delimiter: str | None = None) -> tuple[Dialect, float]:
    """The dialect under which most rows have the header's fields, and the share of those that do.

    Args:
      lines: the file's first ones, without their ends; whole lines.
      whole: whether they are the whole file.
      delimiter: the only one that is tried, whatever the file says.
    """
    first = next((number for number, line in enumerate(lines) if line.strip("\ufeff\t ")), None)
    said = separator_of(lines[first]) if first is not None else None
    if said is not None and first is not None:
        lines = lines[first + 1 :]
    tried = (delimiter,) if delimiter else (said,) if said else DELIMITERS
    best: tuple[float, int] = 0.0, 0
    dialect = Dialect(delimiter or said or ",", separator_line=said is not None)
    has_backslashes = any('\\"' in line for line in lines)
    for character in tried:
        for backslashes in (False, True) if has_backslashes else (False,):
            candidate = Dialect(character, backslashes, said is not None)
            share, width = _judge(lines, candidate, whole)
            if (width > 1 or delimiter or said) and (round(share, 2), width) > best:
                best, dialect = (round(share, 2), width), candidate
    return dialect, best[0]


def _judge(lines: Iterable[str], dialect: Dialect, whole: bool) -> tuple[float, int]:
    """The share of the first rows that fit their header, and its number of names."""
    rows: list[list[str] | None] = []
    reader = csv.reader((dialect.line(line) + "\n" for line in lines), delimiter=dialect.delimiter, strict=True)
    while len(rows) <= _SNIFFED_ROWS:
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error:
            rows.append(None)
            continue
        if any(cell.strip() for cell in row):
            rows.append(row)
    if not whole or len(rows) > _SNIFFED_ROWS:
        # The last row may be cut off.
        rows = rows[:-1]
    if not rows or rows[0] is None:
        return 0.0, 0
    header = header_of(rows[0])
    return sum(row is not None and fits(row, header) for row in rows) / len(rows), header.required
