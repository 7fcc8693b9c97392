"""What the values of each column look like, over a sample of the products."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from itertools import islice
from typing import Any

from modules.feeds.mapping import as_vector
from modules.feeds.prices.reader import PriceReader
from modules.feeds.values import NotUsable, as_text
from modules.images.cells import first_picture

MAX_DISTINCT = 200_000
_URL = re.compile(r"(?:https?:)?//\S+\.\S+", re.I)
_IMAGE = re.compile(r"\S+\.(?:jpe?g|png|webp|gif|avif|tiff?|bmp)(?:[?#]\S*)?", re.I)
_HTML = re.compile(r"<[a-zA-Z/]")

_LEAST_NUMBERS = 8
"""Of a vector: shorter lists of numbers are sizes, prices or ids."""
_LOOKED_AT = 2000
"""Characters of a cell that may name several pictures."""
_UNIT, _IN_NUMBERS = 3, frozenset(".,'’+-%*/")
"""Letters of a unit or a currency, and marks that stand in numbers."""
_SHOWN = 50
"""Characters that tell whether a value is a figure."""
_PRICED = 500
"""Different values that are read as prices."""


def _names_picture(text: str) -> bool:
    return _IMAGE.fullmatch(text[:500]) is not None


def _is_figure(text: str) -> bool:
    """Whether a text is a number, perhaps with a unit or a currency: a path or a model's name of digits is none."""
    digits, letters = sum(map(str.isdigit, text)), sum(map(str.isalpha, text))
    rest = (c for c in text if not (c.isalnum() or c.isspace() or unicodedata.category(c) == "Sc"))
    return digits > letters and letters <= _UNIT and set(rest) <= _IN_NUMBERS


def _vector_of(column: str, text: str) -> str | list[float]:
    """The vector that a table writes as text (``[0.5, 1, ...]``); the text if it is none."""
    try:
        vector = as_vector(column, text, None)
    except NotUsable:
        return text
    return list(vector.tolist()) if len(vector) >= _LEAST_NUMBERS else text


@dataclass
class SampledColumn:
    """One column's sample.

    Attributes:
      rows: records looked at, whether they have the column or not.
      filled: how many have a value that is not blank.
      distinct: the distinct values' texts (up to a limit).
      figures: values that are numbers, perhaps with a unit or a currency.
      texts, numbers, lists, vectors: values of each kind; a number in text counts as text.
    """

    name: str
    rows: int = 0
    filled: int = 0
    characters: int = 0
    words: int = 0
    urls: int = 0
    images: int = 0
    figures: int = 0
    html: int = 0
    texts: int = 0
    numbers: int = 0
    lists: int = 0
    vectors: int = 0
    vector_length: int = 0
    nested: int = 0
    distinct: dict[str, int] = field(default_factory=dict)

    def add(self, value: Any) -> None:
        if isinstance(value, (list, tuple)) and value and isinstance(value[0], str) and _names_picture(value[0]):
            # Several pictures of a product: the first is what a run takes.
            value = value[0]
        if isinstance(value, str) and value[:1] == "[":
            value = _vector_of(self.name, value)
        if isinstance(value, (list, tuple)):
            if not value:
                return
            self.filled += 1
            if len(value) >= _LEAST_NUMBERS and all(isinstance(item, (int, float)) for item in value):
                self.vectors += 1
                self.vector_length = len(value)
                return
            path = value[0] if isinstance(value[0], (list, tuple)) else value
            if all(isinstance(item, str) for item in path):
                self.lists += 1
                self._count(" > ".join(path))
            else:
                self.nested += 1
            return
        try:
            text = "" if value is None else as_text(self.name, value).strip()
        except NotUsable:
            return
        if not text:
            return
        if _names_picture(first := first_picture(text[:_LOOKED_AT])):
            text = first
        self.filled += 1
        self.numbers += isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
        self.texts += not isinstance(value, (int, float))
        self.characters += len(text)
        self.words += len(text.split())
        self.images += _IMAGE.fullmatch(text[:500]) is not None
        self.urls += _URL.fullmatch(text[:500]) is not None
        self.figures += _is_figure(text[:_SHOWN])
        self.html += _HTML.search(text[:500]) is not None
        self._count(text)

    def _count(self, text: str) -> None:
        if text in self.distinct or len(self.distinct) < MAX_DISTINCT:
            self.distinct[text] = self.distinct.get(text, 0) + 1

    def share(self, count: int) -> float:
        """``count`` as a share of the filled values."""
        return count / self.filled if self.filled else 0.0

    @property
    def fill(self) -> float:
        return self.filled / self.rows if self.rows else 0.0

    @property
    def uniqueness(self) -> float:
        """1: every filled value is another one."""
        return self.share(len(self.distinct))

    @cached_property
    def prices(self) -> float:
        """The share of the values that the run could read as prices, once all are added."""
        looked_at = list(islice(self.distinct.items(), _PRICED))
        texts = [text for text, _ in looked_at]
        reader = PriceReader(lambda: texts)
        told = sum(n for text, n in looked_at if (price := reader.read(text)) is not None and price.amount is not None)
        return told / sum(n for _, n in looked_at) if looked_at else 0.0

    @property
    def mean_characters(self) -> float:
        return self.share(self.characters)

    @property
    def mean_words(self) -> float:
        return self.share(self.words)

    def examples(self, count: int = 3, limit: int = 48) -> list[str]:
        """The first distinct values, on one line each, cut."""
        shortened = []
        for value in self.distinct:
            text = " ".join(value.split())
            shortened.append(text if len(text) <= limit else text[: limit - 1] + "…")
            if len(shortened) == count:
                break
        return shortened


def summarise(records: Iterable[dict[str, Any]]) -> tuple[dict[str, SampledColumn], list[dict[str, Any]]]:
    """Columns by name, in the order they were met, and the records themselves."""
    columns: dict[str, SampledColumn] = {}
    kept = []
    for record in records:
        kept.append(record)
        for name, value in record.items():
            if name not in columns:
                columns[name] = SampledColumn(name)
            columns[name].add(value)
    for column in columns.values():
        column.rows = len(kept)
    return columns, kept
