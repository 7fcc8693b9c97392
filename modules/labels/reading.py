"""Streams label files into columns, and says everything that is wrong with them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from modules.errors import InputError, Problem, Problems, reason
from modules.feeds.opening import UNREADABLE
from modules.labels.assumed import ANNOTATOR, SOURCE
from modules.labels.model import NO, NONE_OF_THESE, VALUES, YES, LabelLog
from modules.labels.tables import COLUMNS, is_table, table_rows
from modules.objectives import kind_named
from modules.taxonomy import Taxonomy, UnknownCategory
from modules.taxonomy.documents import SUGGESTIONS, did_you_mean

MAX_LINE = 64 << 10
MAX_TEXT = 1000
UNDATED = datetime(1970, 1, 1, tzinfo=UTC)
"""Time of a row that has none: older than any answer, and the same in every run."""
_KEYS = frozenset(COLUMNS)
# Without json.loads' guess at the encoding and its two regular expressions.
_decode = json.JSONDecoder().raw_decode
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_VALUE_CODES = {value: code for code, value in enumerate(VALUES)}


def read_labels(
    paths: Iterable[str | Path] | str | Path,
    taxonomy: Taxonomy,
    objectives: Mapping[str, str],
    undated: datetime = UNDATED,
) -> LabelLog:
    """Reads JSON Lines or CSV (``.csv``, ``.tsv``), gzipped (``.gz``) or not, one row per answer.

    A row has ``product_id`` and ``category`` (path or id), and where they are known ``objective``, ``value``,
    ``annotator``, ``time`` (ISO 8601; UTC where it has no offset), ``source``, ``batch`` and ``inclusion_probability``
    (over 0, at most 1). What it leaves out is assumed, and the log says what: the only objective (or the only one by
    which a product is in one category at most), the value ``yes``, annotator and source ``import``, the time
    ``undated``.

    Args:
      paths: the files, in the order in which ties in time are settled: later counts.
      objectives: objective name to the name of its kind.
      undated: the time of rows without one; by default older than any answer.

    Raises:
      InputError: what is wrong with the rows, each mistake with file and line.
    """
    reader = _Reader(taxonomy, objectives, undated)
    for path in [paths] if isinstance(paths, str | Path) else paths:
        reader.read(Path(path), str(path))
    if reader.problems:
        raise InputError(reader.problems)
    return reader.finish()


class _Bad(Exception):
    """A row cannot be used."""

    def __init__(self, expected: str, key: str = "", value: Any = None, hint: str = ""):
        super().__init__(expected)
        text = None if value is None else value if isinstance(value, str) else json.dumps(value)
        self.details = (expected, key, text, hint)


class _Reader:
    def __init__(self, taxonomy: Taxonomy, objectives: Mapping[str, str], undated: datetime):
        self.problems = Problems()
        self._taxonomy = taxonomy
        self._log = LabelLog(taxonomy, dict(objectives))
        self._hash = hashlib.sha256()
        self._objectives = {
            name: (code, kind_named(kind).single_label) for code, (name, kind) in enumerate(objectives.items())
        }
        self._exclusive = [category.exclusive for category in taxonomy]
        self._categories: dict[str, int] = {}
        self._unknown: dict[str, str] = {}
        self._products: dict[str, int] = {}
        self._annotators: dict[str, int] = {}
        self._batches: dict[str | None, int] = {None: 0}
        self._sources: dict[str, int] = {}
        single_label = [name for name, (_, single) in self._objectives.items() if single]
        candidates = list(objectives) if len(objectives) == 1 else single_label
        self._defaults = {"value": VALUES[YES], "annotator": ANNOTATOR, "source": SOURCE, "time": undated.isoformat()}
        if len(candidates) == 1:
            self._defaults["objective"] = candidates[0]
        self._append = [column.append for column in self._log.columns]

    def finish(self) -> LabelLog:
        log = self._log
        log.products, log.annotators = list(self._products), list(self._annotators)
        log.batches, log.sources = list(self._batches), list(self._sources)
        log.fingerprint = self._hash.hexdigest()
        return log

    def read(self, path: Path, name: str) -> None:
        number = 0
        self._hash.update(b"\0")
        try:
            if is_table(name):
                for number, row in table_rows(name, self._good_lines(path, name), self._log.assumed):
                    self._add(name, number, row)
                return
            for number, line in self._good_lines(path, name):
                if not line.isspace():
                    self._add(name, number, line)
        except InputError as error:
            for problem in error.problems:
                self.problems.add(problem)
        except UNREADABLE as error:
            self.problems.add(Problem(name, f"cannot be read: {reason(error)}", number + 1 if number else None))

    def _good_lines(self, path: Path, name: str) -> Iterator[tuple[int, bytes]]:
        """The lines that can be looked at, and which the fingerprint is of."""
        for number, line in _lines(path):
            if isinstance(line, str):
                self.problems.add(Problem(name, line, number))
                continue
            self._hash.update(line)
            yield number, line

    def _add(self, name: str, number: int, content: bytes | dict[str, Any]) -> None:
        """Adds a row, or the problem with it."""
        try:
            self._row(_parse(content) if isinstance(content, bytes) else content)
        except _Bad as bad:
            expected, key, value, hint = bad.details
            self.problems.add(Problem(name, expected, number, key, value, hint))

    def _completed(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row with defaults for what it leaves out."""
        for key, default in self._defaults.items():
            if key not in row:
                row[key] = default
                self._log.assumed.rows[key, default] += 1
        if "objective" not in row:
            raise _Bad("expected the name of an objective, as there are several", "objective",
                       hint=f"there are {', '.join(self._objectives)}")  # fmt: skip
        return row

    def _row(self, row: Any) -> None:
        if type(row) is not dict:
            raise _Bad("expected an object with 'product_id', 'category' and so on")
        get = row.get
        if not _KEYS.issuperset(row):
            key = next(key for key in row if key not in _KEYS)
            raise _Bad("unknown key", key, hint=did_you_mean(key, _KEYS))
        if not row.keys() >= self._defaults.keys() or "objective" not in row:
            row = self._completed(row)
        objective, exclusive = self._objectives.get(_text(row, "objective")) or self._no_objective(row["objective"])
        value = _VALUE_CODES.get(_text(row, "value"))
        if value is None:
            expected = f"expected one of {', '.join(VALUES)}"
            raise _Bad(expected, "value", row["value"], did_you_mean(row["value"], VALUES))
        row["product_id"] = id_text(row.get("product_id"))
        product = _code(self._products, row, "product_id")
        annotator = _code(self._annotators, row, "annotator")
        source = _code(self._sources, row, "source")
        batch = self._batches[None] if get("batch") is None else _code(self._batches, row, "batch")
        category = self._category(get("category"), value, exclusive)
        probability = get("inclusion_probability")
        if probability is None:
            probability = math.nan
        elif type(probability) not in (float, int) or not 0 < probability <= 1:
            raise _Bad("expected null or a number over 0 and at most 1", "inclusion_probability", probability)
        codes = (product, objective, category, value, annotator, _seconds(get("time")), batch, source, probability)
        for append, code in zip(self._append, codes, strict=True):
            append(code)

    def _no_objective(self, name: str) -> NoReturn:
        hint = did_you_mean(name, self._objectives) or f"there are {', '.join(self._objectives)}"
        raise _Bad("the workflow has no such objective", "objective", name, hint)

    def _category(self, given: Any, value: int, exclusive: bool) -> int:
        """The index of the row's category in the taxonomy, or -1."""
        if given is None:
            if value in (YES, NO):
                raise _Bad(f"expected a category, as the value is {VALUES[value]!r}", "category")
            return -1
        if value == NONE_OF_THESE:
            raise _Bad("expected null, as the value is 'none_of_these'", "category", given)
        index = self._categories.get(given) if type(given) is str else self._find(given)
        if index is None:
            index = self._categories[given] = self._find(given)
        if exclusive and not self._exclusive[index]:
            raise _Bad("expected an exclusive category, which this one is not", "category", given)
        return index

    def _find(self, given: Any) -> int:
        if not given or not (
            isinstance(given, str) or (isinstance(given, list) and all(isinstance(name, str) for name in given))
        ):
            raise _Bad("expected null, an id, a path or a list of names", "category", given)
        text = given if isinstance(given, str) else " > ".join(given)
        _check_unicode(text, "category")
        if text in self._unknown:
            raise _Bad("not in the taxonomy", "category", text, self._unknown[text])
        try:
            return self._taxonomy.find(given, suggest=len(self.problems) < SUGGESTIONS).index
        except UnknownCategory as error:
            self._unknown[text] = error.problems[0].hint
            raise _Bad("not in the taxonomy", "category", text, self._unknown[text]) from None


def _lines(path: Path) -> Iterator[tuple[int, bytes | str]]:
    """Numbered lines; in place of one that is too long, a complaint."""
    with (
        path.open("rb") as stored,
        io.BufferedReader(gzip.GzipFile(fileobj=stored) if path.suffix == ".gz" else stored, 1 << 20) as file,
    ):
        number = 0
        while line := file.readline(MAX_LINE + 1):
            number += 1
            if number == 1 and line.startswith(b"\xef\xbb\xbf"):
                line = line[3:]
            if len(line) <= MAX_LINE:
                yield number, line
                continue
            yield number, f"expected a line of at most {MAX_LINE >> 10} KiB"
            while line and not line.endswith(b"\n"):
                line = file.readline(1 << 20)


def _parse(line: bytes) -> Any:
    try:
        text = line.decode().strip()
        value, end = _decode(text)
        if end < len(text):
            raise _Bad("not JSON: something follows the object")
        return value
    except UnicodeDecodeError:
        raise _Bad("not UTF-8") from None
    except RecursionError:
        raise _Bad("not JSON: nested too deeply") from None
    except ValueError as error:
        raise _Bad(f"not JSON: {reason(error)}") from None


def id_text(given: Any) -> Any:
    """A product's id as feeds' ids are read, or the label would be no product's; what can be none is given back."""
    if type(given) is str:
        return given.strip()
    if type(given) is int or (type(given) is float and given.is_integer() and abs(given) < 2.0**53):
        return str(int(given))
    return given


def _text(row: dict[str, Any], key: str) -> str:
    text = row.get(key)
    if type(text) is not str or not text or len(text) > MAX_TEXT:
        raise _Bad(f"expected a text of 1 to {MAX_TEXT} characters", key, text)
    return text


def _code(table: dict[Any, int], row: dict[str, Any], key: str) -> int:
    """The text's number in ``table``; a new one is checked and added."""
    text = _text(row, key)
    code = table.get(text)
    if code is None:
        _check_unicode(text, key)
        code = table[text] = len(table)
    return code


def _check_unicode(text: str, key: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _Bad("not valid Unicode", key, ascii(text)) from None
    if _CONTROL.search(text):
        raise _Bad("expected a text without control characters", key, text)


def _seconds(time: Any) -> float:
    """Seconds since 1970 of an ISO 8601 time."""
    try:
        moment = datetime.fromisoformat(time)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        raise _Bad("expected an ISO 8601 time, like 2026-03-01T09:30:00Z", "time", time) from None
