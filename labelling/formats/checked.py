"""Rows of any format through the one check that label files get, :func:`modules.labels.read_labels`."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson

from labelling.store.rows import EPOCH, Label, microseconds
from modules.errors import InputError, Problem, reason
from modules.feeds.opening import UNREADABLE, open_plain
from modules.labels import read_labels
from modules.labels.assumed import Assumed
from modules.taxonomy import Taxonomy, UnknownCategory

MORE: dict[str, type] = {
    "suggestion": str, "suggestion_probability": float, "model": str, "seconds": float, "note": str,
    "confidence": float,
}  # fmt: skip
_LONGEST = 5000
MAX_LINE = 64 << 10


@dataclass(frozen=True)
class Given:
    """A row as it came, and its line (of JSON that is no list of lines: its number)."""

    line: int
    row: dict[str, Any]


def lines_of(file: Path) -> Iterator[tuple[int, bytes]]:
    """Numbered lines of a file, gzipped or not, without a byte order mark.

    Raises:
      InputError: the file cannot be read to its end, or a line is longer than 64 KiB.
    """
    try:
        with open_plain(str(file)) as stream:
            number = 0
            while line := stream.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    raise InputError(Problem(str(file), f"expected a line of at most {MAX_LINE >> 10} KiB", number))
                yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
    except UNREADABLE as error:
        raise InputError(Problem(str(file), f"cannot be read: {reason(error)}")) from None


def json_lines(file: Path) -> Iterator[Given]:
    """The objects of a JSON Lines file, gzipped or not."""
    for number, line in lines_of(file):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise InputError(Problem(str(file), f"not JSON: {error}", number)) from None
        if not isinstance(row, dict):
            raise InputError(Problem(str(file), "expected an object", number))
        yield Given(number, row)


@dataclass(frozen=True)
class CheckedLabels:
    """A file's labels.

    Attributes:
      undated: those that had no time, and were given the import's.
    """

    dated: list[Label]
    undated: list[Label]


def checked(
    file: str, given: Iterable[Given], taxonomy: Taxonomy, objectives: Mapping[str, str], now: int, assumed: Assumed
) -> CheckedLabels:
    """The rows as labels.

    Args:
      now: time of rows that have none, in microseconds since 1970.
      assumed: what the rows left out is noted there.

    Raises:
      InputError: everything that is wrong with them, each with its line in ``file``.
    """
    lines: list[int] = []
    more: list[dict[str, Any]] = []
    dated: list[bool] = []
    problems: list[Problem] = []
    with tempfile.NamedTemporaryFile("wb", suffix=".jsonl") as plain:
        for given_label in given:
            row = {name: value for name, value in given_label.row.items() if name not in MORE}
            try:
                plain.write(orjson.dumps(row, default=str) + b"\n")
            except TypeError:
                # It reads what it does not write: lists in lists, more than some 250 deep.
                problems.append(Problem(file, "expected texts and numbers, not values nested deeply", given_label.line))
                continue
            lines.append(given_label.line)
            dated.append("time" in row)
            more.append(_more(file, given_label, taxonomy, problems))
        plain.flush()
        try:
            log = read_labels(plain.name, taxonomy, objectives, EPOCH + timedelta(microseconds=now))
        except InputError as error:
            located = [replace(p, file=file, line=lines[p.line - 1] if p.line else None) for p in error.problems]
            raise InputError([*located, *problems]) from None
    if problems:
        raise InputError(problems)
    for (column, value), count in log.assumed.rows.items():
        assumed.rows[column, "now" if column == "time" else value] += count
    made = CheckedLabels([], [])
    for checked, extra, has_time in zip(log, more, dated, strict=True):
        label = Label(
            checked.product_id, checked.objective, checked.category, checked.value, checked.annotator,
            microseconds(checked.time), checked.source, checked.batch, checked.inclusion_probability, **extra,
        )  # fmt: skip
        (made.dated if has_time else made.undated).append(label)
    return made


def _more(file: str, given_label: Given, taxonomy: Taxonomy, problems: list[Problem]) -> dict[str, Any]:
    """The columns that a label file does not have."""
    values: dict[str, Any] = {}
    for name, kind in MORE.items():
        value = given_label.row.get(name)
        if isinstance(value, int) and kind is float and not isinstance(value, bool):
            value = float(value)
        good = isinstance(value, kind)
        if isinstance(value, str):
            good = good and len(value) <= _LONGEST
        elif isinstance(value, float):
            good = good and math.isfinite(value)
        if value is not None and not good:
            what = f"text of at most {_LONGEST:,} characters" if kind is str else "a number"
            problems.append(
                Problem(file, f"expected {what}", given_label.line, name, json.dumps(value, default=str)[:80])
            )
        elif name == "suggestion" and value is not None:
            # A category that is gone from the taxonomy says nothing any more.
            try:
                values[name] = taxonomy.find(value).id
            except UnknownCategory:
                values[name] = None
        else:
            values[name] = value
    return values
