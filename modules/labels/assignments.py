"""An older system's output: the categories that it put products into. It only says yes, several times of a product."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from modules.category_text import names_of
from modules.errors import InputError, Problem, Problems, reason
from modules.feeds.opening import UNREADABLE, open_plain
from modules.labels.assumed import Assumed
from modules.labels.reading import id_text
from modules.labels.tables import is_table, table_rows
from modules.taxonomy import Taxonomy, UnknownCategory

_BETWEEN = (re.compile(r"\s*[|;\n]\s*"), re.compile(r"\s*,\s*"))
"""What may stand between the categories of one cell, where the cell as a whole is none; names often hold a comma."""
_SUGGESTIONS = 20


def assigned(value: Any, taxonomy: Taxonomy) -> tuple[tuple[str, ...], str]:
    """The ids of the categories that a value names, each once, and the first text that names none (else empty).

    A value is a path, an id, several with ``|``, ``;``, a comma or a line end between them, or a list of any of these
    or of lists of names. A separator that is part of a category's name separates nothing.
    """
    if value is None or value == "":
        return (), ""
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("[") and text.endswith("]"):
            try:
                return assigned(orjson.loads(text), taxonomy)
            except orjson.JSONDecodeError:
                pass
        whole = _find(text, taxonomy)
        if whole is not None:
            return (whole,), ""
        for between in _BETWEEN:
            parts = [part for part in between.split(text) if part]
            if len(parts) > 1:
                ids, unknown = _all(parts, taxonomy)
                # A single category with a comma that is unknown is named as a whole.
                return (ids, unknown) if ids or between is not _BETWEEN[-1] else (ids, text)
        return (), text
    if isinstance(value, list | tuple):
        names = [item for item in value if isinstance(item, str)]
        if names and len(names) == len(value):
            whole = _find(names, taxonomy)
            if whole is not None:
                return (whole,), ""
        return _all(value, taxonomy)
    return (), str(value)[:200]


def _all(values: Any, taxonomy: Taxonomy) -> tuple[tuple[str, ...], str]:
    ids: dict[str, None] = {}
    unknown = ""
    for value in values:
        inner, missing = assigned(value, taxonomy)
        ids.update(dict.fromkeys(inner))
        unknown = unknown or missing
    return tuple(ids), unknown


def _find(text: str | list[str], taxonomy: Taxonomy) -> str | None:
    try:
        return taxonomy.find(text, suggest=False).id
    except UnknownCategory:
        names = names_of(text)
    try:
        return taxonomy.find(names, suggest=False).id if names else None
    except UnknownCategory:
        return None


def read_assignments(path: str, taxonomy: Taxonomy) -> dict[str, tuple[str, ...]]:
    """Product to the ids of its categories, out of CSV or JSON Lines with ``product_id`` and ``category``.

    A product may have several lines, and a line several categories.

    Raises:
      InputError: what is wrong, with file and line; a category that is not in the taxonomy with the nearest one.
    """
    products: dict[str, dict[str, None]] = {}
    problems = Problems()
    for line, row in _rows(path):
        product = id_text(row.get("product_id"))
        if not isinstance(product, str) or not product:
            problems.add(Problem(path, "expected a product's id", line, "product_id"))
            continue
        ids, unknown = assigned(row.get("category"), taxonomy)
        if unknown:
            near = taxonomy.nearest(unknown) if len(problems) < _SUGGESTIONS else None
            hint = f"did you mean {near.text!r}?" if near else ""
            problems.add(Problem(path, "not in the taxonomy", line, "category", unknown, hint))
        products.setdefault(product, {}).update(dict.fromkeys(ids))
    if problems:
        raise InputError(problems)
    return {product: tuple(ids) for product, ids in products.items() if ids}


def _rows(path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with open_plain(path) as stream:
            lines = (
                (number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)
                for number, line in enumerate(stream, start=1)
            )
            if is_table(path):
                yield from table_rows(path, lines, Assumed())
                return
            for number, line in lines:
                if line.strip():
                    yield number, _object(path, number, line)
    except UNREADABLE as error:
        raise InputError(Problem(path, f"cannot be read: {reason(error)}")) from None


def _object(path: str, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InputError(Problem(path, f"not JSON: {error}", number)) from None
    if not isinstance(row, dict):
        raise InputError(Problem(path, "expected an object with 'product_id' and 'category'", number))
    return row
