"""Whether a row of a batch or a review holds what its columns are for."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from labelling.content import Suggestions
from modules.errors import Problem, Problems
from modules.predictions.guesses import NAMES

MAX_TEXT = 1000
MAX_LIST = 1000
_MAX_WHOLE = {"seed": 2**63 - 1}
"""Of the rest, what a database's usual integer holds."""


class _Bad(Exception):
    """The value is none for its column; the text says what would be."""


def checked_row(
    file: str, line: int | None, row: Mapping[str, Any], required: Sequence[str], problems: Problems
) -> dict[str, Any]:
    """The row's values as the store takes them, without what is null; adds what is wrong with it to ``problems``.

    Columns that nobody knows are left as they are: a strategy may add numbers of its own.

    Args:
      line: of the row, or None of a document.
      required: columns in which there must be text.
    """
    values: dict[str, Any] = {}
    bad_columns = set()
    for name, value in row.items():
        read = _COLUMNS.get(name)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            continue
        try:
            values[name] = value if read is None else read(name, value)
        except _Bad as bad:
            problems.add(Problem(file, str(bad), line, name, _shown(value)))
            bad_columns.add(name)
    for name in required:
        if not values.get(name) and name not in bad_columns:
            problems.add(Problem(file, f"expected text in the columns {', '.join(required)}", line, name))
    return values


def number_or_none(value: Any) -> float | None:
    """A finite number as a float; None for all else."""
    try:
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
    except OverflowError:
        return None


def _shown(value: Any) -> str:
    try:
        return value if isinstance(value, str) else json.dumps(value, default=repr)
    except (ValueError, RecursionError):
        return "a value that is too large to show"


def _text(_name: str, value: Any) -> str:
    # No NUL and no half surrogate: a database would not take them.
    fine = isinstance(value, str) and len(value) <= MAX_TEXT and "\0" not in value
    if not fine or not value.encode("utf-8", "replace").decode() == value:
        raise _Bad(f"expected text of at most {MAX_TEXT:,} characters")
    return str(value)


def _whole(name: str, value: Any) -> int:
    largest = _MAX_WHOLE.get(name, 2**31 - 1)
    number = isinstance(value, int | float) and not isinstance(value, bool) and -largest <= value <= largest
    if not number or value != int(value):
        raise _Bad(f"expected a whole number of at most {largest:,}")
    return int(value)


def _number(_name: str, value: Any) -> float:
    number = None if isinstance(value, bool) else number_or_none(value)
    if number is None:
        raise _Bad("expected a finite number")
    return number


def _names(name: str, value: Any) -> list[str]:
    if not isinstance(value, list | tuple) or len(value) > MAX_LIST:
        raise _Bad(f"expected a list of at most {MAX_LIST:,} names")
    return [_text(name, text) for text in value]


def _pairs(value: Any, first: str, second: str) -> list[tuple[str, Any]]:
    """The items of a map, of a list of pairs, or of a list of objects with two keys."""
    rows = list(value.items()) if isinstance(value, Mapping) else value
    if not isinstance(rows, list | tuple) or len(rows) > MAX_LIST:
        raise _Bad(f"expected a list of at most {MAX_LIST:,} items with {first} and {second}")
    pairs = []
    for one in rows:
        if isinstance(one, Mapping) and first in one and second in one:
            pairs.append((_text(first, one[first]), one[second]))
        elif isinstance(one, list | tuple) and len(one) == 2:
            pairs.append((_text(first, one[0]), one[1]))
        else:
            raise _Bad(f"expected items with {first} and {second}")
    return pairs


def _suggestions(_name: str, value: Any) -> Suggestions:
    suggestions: list[tuple[str, float] | tuple[str, float, str]] = []
    guessed = {id for id, source in _sources(value) if source == NAMES}
    for category, given in _pairs(value, "category", "probability"):
        probability = _number("probability", given)
        suggestions.append((category, probability, NAMES) if category in guessed else (category, probability))
    return tuple(suggestions)


def _sources(value: Any) -> Iterator[tuple[Any, Any]]:
    """(category, source) of the suggestions that say what they stand on."""
    for suggestion in value if isinstance(value, list | tuple) else ():
        if isinstance(suggestion, Mapping) and isinstance(suggestion.get("category"), str):
            yield suggestion["category"], suggestion.get("source")


def _parts(_name: str, value: Any) -> dict[str, float]:
    """Numbers by name; a part that is null or not finite is none."""
    numbers = {}
    for name, part in _pairs(value, "name", "number"):
        if part is not None and (not isinstance(part, int | float) or isinstance(part, bool)):
            raise _Bad("expected numbers by name")
        if (number := number_or_none(part)) is not None:
            numbers[name] = number
    return numbers


_COLUMNS: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(
        ("id", "run", "product_id", "objective", "reason", "category", "strategy", "source", "model", "split", "given",
         "suggested", "rule"),
        _text,
    ),
    **dict.fromkeys(("rank", "round", "seed"), _whole),
    **dict.fromkeys(("utility", "inclusion_probability", "score"), _number),
    "suggestions": _suggestions,
    "parts": _parts,
    "annotators": _names,
}  # fmt: skip
