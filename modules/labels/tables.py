"""Rows of label files that are tables: CSV as Shelfmark writes it, or as a spreadsheet does, with some columns only."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from modules.counting import counted
from modules.errors import InputError, Problem
from modules.labels.assumed import Assumed

COLUMNS = (
    "product_id", "objective", "category", "value", "annotator", "time", "batch", "source", "inclusion_probability",
)  # fmt: skip
"""What a label file has; the rest is only in a full export."""
MORE = ("suggestion", "suggestion_probability", "model", "seconds", "note", "confidence")

_NUMBERS = ("inclusion_probability", "suggestion_probability", "seconds", "confidence", "cost")
_VERBATIM = ("annotator", "batch", "model", "note")
_DELIMITERS = ",;\t|"
_SLIP = 0.8
"""From this likeness on a column's name is a slip of the pen, and below it a name of its own (``title``, ``time``)."""
_NAMED_DELIMITER = re.compile(r"sep=(.)\s*", re.IGNORECASE)
"""The line by which spreadsheets tell each other the delimiter."""


def is_table(name: str) -> bool:
    """Whether a file's name is that of a table."""
    return name.lower().removesuffix(".gz").endswith((".csv", ".tsv"))


def table_rows(
    name: str, lines: Iterable[tuple[int, bytes]], assumed: Assumed, known: Sequence[str] = (*COLUMNS, *MORE)
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, row) of a table; empty cells are left out, and blank lines and rows without an answer passed over.

    The delimiter is the one that makes the header name the most columns of a label.

    Args:
      name: of the file, for messages.
      lines: its numbered lines, without a byte order mark.
      assumed: what is passed over is noted there.
      known: the columns that a row can have.

    Raises:
      InputError: the file is no such table, or a row has more or fewer cells than the header.
    """
    texts = _Texts(name, lines, known)
    delimiter = texts.delimiter()
    reader = csv.reader(texts, delimiter=delimiter, strict=True)
    header: list[str] = []
    try:
        for cells in reader:
            line = texts.first_line + reader.line_num - 1
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = _header(name, cells, line, assumed, known)
                continue
            if len(cells) != len(header):
                expected = f"expected {counted(len(header), 'column')} as in the header, not {len(cells)}"
                raise InputError(Problem(name, expected, line))
            named = {n: _cell(n, cell) for n, cell in zip(header, cells, strict=True) if n}
            row = {n: value for n, value in named.items() if value != ""}
            if "category" in header and "category" not in row and "value" not in row:
                # As in a table that somebody has answered in part.
                assumed.passed_over["row without a category", "rows without a category"] += 1
                continue
            yield line, row
    except csv.Error as error:
        line = texts.first_line + reader.line_num - 1
        raise InputError(Problem(name, f"cannot be read as CSV: {error}", line)) from None


class _Texts:
    """The lines as text; the first ones are looked at before they are handed out."""

    def __init__(self, name: str, lines: Iterable[tuple[int, bytes]], known: Sequence[str]):
        self._name, self._known = name, known
        self._lines = iter(lines)
        self._waiting: list[str] = []
        self.first_line = 1

    def delimiter(self) -> str:
        """Of the header, which stays to be read."""
        text = self._take()
        named = _NAMED_DELIMITER.fullmatch(text) if text is not None else None
        if named is not None:
            self.first_line += 1
            return named[1]
        if text is None:
            return ","
        self._waiting.append(text)
        return max(_DELIMITERS, key=lambda mark: sum(_plain(cell) in self._known for cell in text.split(mark)))

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        text = self._waiting.pop() if self._waiting else self._take()
        if text is None:
            raise StopIteration
        return text

    def _take(self) -> str | None:
        for number, line in self._lines:
            try:
                return line.decode()
            except UnicodeDecodeError:
                hint = "save it as CSV UTF-8"
                raise InputError(Problem(self._name, "not UTF-8", number, hint=hint)) from None
        return None


def _plain(cell: str) -> str:
    return cell.strip().strip('"').strip().lower()


def _header(name: str, cells: Sequence[str], line: int, assumed: Assumed, known: Sequence[str]) -> list[str]:
    """Column names; the empty text for one that is no part of a label."""
    names = [_plain(cell) for cell in cells]
    others = [cell.strip() for cell, plain in zip(cells, names, strict=True) if plain not in known]
    labels = [plain for plain in names if plain in known]
    if "product_id" not in labels or len(set(labels)) < len(labels):
        expected = f"expected a header with product_id and category, and each of {', '.join(known)} once at most"
        raise InputError(Problem(name, expected, line, value=", ".join(cell.strip() for cell in cells)))
    for other in others:
        near = get_close_matches(other.lower(), [column for column in known if column not in labels], 1, _SLIP)
        if near:
            hint = f"did you mean {near[0]!r}?"
            raise InputError(Problem(name, "expected a column of a label", line, value=other, hint=hint))
    if others:
        assumed.columns[name] = tuple(other or "(without a name)" for other in others)
    return [plain if plain in known else "" for plain in names]


def _cell(name: str, cell: str) -> Any:
    if name in _NUMBERS:
        try:
            number = float(cell)
        except ValueError:
            return cell
        # JSON has no such number, and would have null in its place.
        return number if math.isfinite(number) else cell
    # The mark against formulas, which an export puts before texts that a spreadsheet would run.
    text = cell[1:] if cell.startswith("'") else cell
    return text if name in _VERBATIM else text.strip()
