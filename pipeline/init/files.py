"""Which files there are, and what they are: told by their content, not only by their names."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from modules.errors import InputError, Problem, reason
from modules.feeds.files import UNREADABLE, Format, open_plain
from pipeline.peek import MAX_CELL, format_of, records

DELIMITERS = (",", ";", "\t", "|")
HEAD_BYTES = 262_144


@dataclass(frozen=True)
class FeedFiles:
    """The feed's files, all of one shape.

    Attributes:
      paths: sorted.
      format: what ``feed.format`` must say; ``auto`` where the names tell it.
      delimiter: of the CSV files.
      kinds: each file's format.
      undecodable: share of the looked-at lines that are no UTF-8.
    """

    paths: tuple[Path, ...]
    format: Literal["auto", "jsonl", "csv", "parquet"]
    delimiter: str
    kinds: tuple[Format, ...]
    undecodable: float

    def records(self, per_file: int | None = None) -> Iterator[dict[str, Any]]:
        """Streams the readable records of all files, flat, at most ``per_file`` of each."""
        for path, kind in zip(self.paths, self.kinds, strict=True):
            for index, record in enumerate(records(path, kind, self.delimiter)):
                if per_file is not None and index >= per_file:
                    break
                yield record


def find_files(feeds: Sequence[Path]) -> FeedFiles:
    """The files that ``feeds`` (files and folders) name.

    Raises:
      InputError: something is missing, unreadable or of an unknown format, or the files do not go together.
    """
    problems: list[Problem] = []
    paths: dict[Path, Path] = {}
    for feed in feeds:
        inside = [feed] if feed.is_file() else _inside(feed) if feed.is_dir() else []
        if not inside:
            problems.append(Problem(str(feed), "expected a .jsonl, .csv or .parquet file, or a folder with some"))
        paths.update((path.resolve(), path) for path in inside)
    kinds: list[Format] = []
    delimiters: set[str] = set()
    bad = total = 0
    ordered = sorted(paths.values())
    for path in ordered:
        try:
            kind, delimiter, lines, undecodable = _look(path)
        except InputError as error:
            problems += error.problems
            continue
        kinds.append(kind)
        bad, total = bad + undecodable, total + lines
        if kind == "csv":
            delimiters.add(delimiter)
    if len(delimiters) > 1:
        found = " and ".join(sorted(map(repr, delimiters)))
        problems.append(Problem("", f"expected one delimiter in all CSV files, found {found}; take them one by one"))
    by_name = all(format_of(path) == kind for path, kind in zip(ordered, kinds, strict=False))
    if not by_name and len(set(kinds)) > 1:
        problems.append(Problem("", "expected names ending in .jsonl, .csv or .parquet, for files of several formats"))
    if problems:
        raise InputError(problems)
    form = "auto" if by_name else kinds[0]
    delimiter = next(iter(delimiters), ",")
    return FeedFiles(tuple(ordered), form, delimiter, tuple(kinds), bad / max(total, 1))  # type: ignore[arg-type]


def _inside(folder: Path) -> list[Path]:
    """A folder's own feed files, else those of the folders in it."""
    for candidates in (folder.glob("*"), folder.rglob("*")):
        found = [path for path in candidates if _is_feed(path)]
        if found:
            return found
    return []


def _is_feed(path: Path) -> bool:
    """By its name; a .txt that nobody named is more likely a note than a feed."""
    return path.is_file() and format_of(path) is not None and path.suffix != ".txt" and not path.name.startswith(".")


def _look(path: Path) -> tuple[Format, str, int, int]:
    """Format, delimiter, number of lines looked at, and how many of them are no UTF-8."""
    try:
        with open_plain(str(path)) as file:
            head = file.read(HEAD_BYTES)
    except UNREADABLE as error:
        raise InputError(Problem(str(path), f"expected a file that can be read: {reason(error)}")) from None
    if head[:4] == b"PAR1":
        return "parquet", ",", 0, 0
    if head[:2] in (b"PK", b"BZ") or head[:4] in (b"\xfd7zX", b"(\xb5/\xfd"):
        raise InputError(Problem(str(path), "expected a plain or gzip file", hint="unpack it first"))
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(Problem(str(path), "expected UTF-8, found UTF-16", hint="iconv converts files"))
    whole = len(head) < HEAD_BYTES
    lines = head.splitlines() if whole else head.splitlines()[:-1]
    undecodable = sum(not _decodes(line) for line in lines)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text:
        raise InputError(Problem(str(path), "expected products; the file is empty"))
    if text[:1] == b"{":
        return "jsonl", ",", len(lines), undecodable
    if text[:1] == b"[":
        hint = "jq -c '.[]' FILE > FILE.jsonl converts it"
        expected = "expected JSON Lines (one object on each line), found a JSON array"
        raise InputError(Problem(str(path), expected, hint=hint))
    if text[:1] == b"<":
        raise InputError(Problem(str(path), "expected JSON Lines, CSV or Parquet, found XML or HTML"))
    delimiter = guess_delimiter(text.decode("utf-8", "replace"), whole)
    if delimiter is None:
        expected = "expected CSV with a header and two or more columns, JSON Lines, or Parquet"
        raise InputError(Problem(str(path), expected, line=1))
    return "csv", delimiter, len(lines), undecodable


def _decodes(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def guess_delimiter(head: str, whole: bool = True) -> str | None:
    """The delimiter under which most rows have as many columns as the header; None if none makes a table."""
    csv.field_size_limit(MAX_CELL)
    lines = head.replace("\0", "").splitlines(keepends=True)
    best: tuple[float, int, str] | None = None
    for delimiter in DELIMITERS:
        try:
            rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
        except csv.Error:
            continue
        rows = rows[:200] if whole or len(rows) > 200 else rows[:-1]
        if not rows or len(rows[0]) < 2:
            continue
        width = len(rows[0])
        fitting = sum(len(row) == width for row in rows) / len(rows)
        key = (round(fitting, 1), width, delimiter)
        if best is None or key[:2] > best[:2]:
            best = key
    return best[2] if best and best[0] >= 0.5 else None
