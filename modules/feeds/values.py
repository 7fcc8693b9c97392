"""A record's values: where a column's value lies, and the text that it is."""

from __future__ import annotations

import datetime
import decimal
import math
import re
from collections.abc import Callable
from typing import Any

_NONE = frozenset(
    {
        "n/a",
        "na",
        "n.a.",
        "n.v.",
        "k.a.",
        "nan",
        "#n/a",
        "null",
        "nil",
        "none",
        "unknown",
        "undefined",
        "unbekannt",
        "todo",
        "tbd",
        "tba",
    }
)
_ONLY_MARKS = re.compile(r"[-–—\u2010\u2011\u2212_.…?/\s]*")


def says_none(text: str) -> bool:
    """Whether a text only says that there is no value: ``n/a``, ``—``, ``null``, blanks."""
    return _ONLY_MARKS.fullmatch(text) is not None or text.strip().casefold() in _NONE


class NotUsable(ValueError):
    """A record is no product; ``reason`` is one of :data:`modules.feeds.quarantine.REASONS`."""

    def __init__(self, reason: str, detail: str):
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}")


def getter(column: str) -> Callable[[dict[str, Any]], Any]:
    """Reads a column by its literal name, else by its dotted path into nested objects."""
    if "." not in column:
        return lambda record: record.get(column)
    names = column.split(".")

    def get(record: dict[str, Any]) -> Any:
        if column in record:
            return record[column]
        value: Any = record
        for name in names:
            if not isinstance(value, dict):
                return None
            value = value.get(name)
        return value

    return get


def flatten(record: dict[str, Any]) -> dict[str, Any]:
    """Every column that :func:`getter` reaches in a record, nested objects by dotted names.

    ``{"id": 1, "extra": {"url": "u"}}`` gives ``id`` and ``extra.url``. Names with a dot of their own count at the top
    only, where they come before a nested value of the same dotted name.
    """
    flat: dict[str, Any] = {}
    waiting = [(str(key), value, "." in key) for key, value in reversed(record.items())]
    while waiting:
        name, value, is_literal = waiting.pop()
        if not isinstance(value, dict) or is_literal:
            flat[name] = record.get(name, value)
            continue
        waiting += [(f"{name}.{key}", inner, False) for key, inner in reversed(value.items()) if "." not in key]
    return flat


def kind_of(value: object) -> str:
    """What a value is, for a message."""
    names = {dict: "an object", list: "a list", str: "text", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)


def as_text(column: str, value: Any) -> str:
    """Text of a single value; a number that is not finite is a missing one.

    Raises:
      NotUsable: the value is no single one, or bytes that are not UTF-8.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        # str() refuses numbers of thousands of digits.
        return str(value) if abs(value) < 10**100 else f"{value:#x}"
    if isinstance(value, float):
        if not math.isfinite(value):
            return ""
        # Whole numbers become 42.0 on their way through data frames; 42 and 42.0 are one size.
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, decimal.Decimal | datetime.date | datetime.time):
        return str(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise NotUsable("undecodable", f"{column}: bytes that are no UTF-8") from None
    raise NotUsable("wrong_type", f"{column}: {kind_of(value)} where text is expected")
