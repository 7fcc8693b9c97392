"""From a feed's record to a product: columns to fields, values to cleaned text and vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from modules.category_text import names_of
from modules.examples import RETAILER, TEXT_FIELDS, VECTOR_FIELDS
from modules.feeds.cleaning import clean
from modules.feeds.ids import IdSpace
from modules.feeds.values import NotUsable, as_text, getter, kind_of
from modules.settings.feed import FeedSettings

MAX_ID_CHARS = 1000


@dataclass(slots=True)
class Product:
    """A product as the feed describes it.

    Attributes:
      id: as in the feed, without white space around it; with ``ids: retailer`` behind the retailer's name.
      text: text field to cleaned, non-empty text; a missing field is absent.
      vectors: vector field to float32 array of its dimension; a missing one is absent.
      split: the value of the feed's split column, None if there is none.
      truth: names of the true category from the root down, empty if there is none.
    """

    id: str
    text: dict[str, str]
    vectors: dict[str, np.ndarray]
    split: str | None = None
    truth: tuple[str, ...] = ()


class Mapper:
    """Turns records into products by ``settings.fields``."""

    def __init__(self, settings: FeedSettings, dimensions: Mapping[str, int] | None = None):
        """``dimensions``: vector field to the number of values its vectors must have."""
        fields = settings.fields
        self._id = fields.id, getter(fields.id)
        self._ids = IdSpace.of(settings)
        self._retailer = settings.retailer
        columns = {field: getattr(fields, field) for field in TEXT_FIELDS}
        if self._retailer is not None:
            # What a feed writes of itself may change in spelling, or be missing: its figures would fall apart.
            columns[RETAILER] = None
        self._text = [(field, column, getter(column)) for field, column in columns.items() if column]
        self._vectors = [(f, c, getter(c)) for f in VECTOR_FIELDS if (c := getattr(fields, f))]
        self._dimensions = dict(dimensions or {})
        self._truth = getter(fields.truth) if fields.truth else None
        self._separator = settings.truth_separator
        self._split = (settings.split.column, getter(settings.split.column)) if settings.split.column else None
        self._max_chars = settings.max_field_chars

    def product(self, record: Any) -> Product:
        """The product that a record describes.

        Raises:
          NotUsable: the record goes to quarantine.
        """
        if not isinstance(record, dict):
            raise NotUsable("not_a_product", f"{kind_of(record)}, not an object")
        product_id = self.id(record)
        text = {}
        limit = self._max_chars
        for field, column, get in self._text:
            value = get(record)
            if value is None:
                continue
            if type(value) is not str:
                value = as_text(column, value)
            value = clean(value, limit)
            if value:
                text[field] = value
        vectors = {}
        for field, column, get in self._vectors:
            value = get(record)
            if value is not None and value != "":
                vectors[field] = as_vector(column, value, self._dimensions.get(field))
        if not text and not vectors:
            raise NotUsable("not_a_product", "none of the mapped columns has a value")
        if self._retailer is not None:
            text[RETAILER] = self._retailer
        product = Product(product_id, text, vectors)
        if self._split is not None:
            column, get = self._split
            value = get(record)
            product.split = None if value is None else as_text(column, value).strip()
        product.truth = self.truth(record)
        return product

    def id(self, record: Any) -> str:
        """The id of the product that a record describes; raises as :meth:`product` does."""
        column, get = self._id
        return self._ids.product_id(_id_text(column, get(record)))

    def truth(self, record: Any) -> tuple[str, ...]:
        """Names of the record's true category from the root down; empty where it has none."""
        if self._truth is None or not isinstance(record, dict):
            return ()
        return names_of(self._truth(record), self._separator)


def _id_text(column: str, value: Any) -> str:
    if isinstance(value, bool) or (isinstance(value, float) and math.isfinite(value) and not value.is_integer()):
        raise NotUsable("wrong_type", f"{column}: {value} where an id is expected")
    if isinstance(value, float) and abs(value) >= 2.0**53 and math.isfinite(value):
        # JSON numbers of this size have lost digits: two ids could become one.
        raise NotUsable("wrong_type", f"{column}: a number too large to be exact; write the id as text")
    text = "" if value is None else as_text(column, value).strip()
    if not text:
        raise NotUsable("no_id", f"{column} is missing or empty")
    if len(text) > MAX_ID_CHARS:
        raise NotUsable("wrong_type", f"{column}: an id of more than {MAX_ID_CHARS} characters")
    if not text.isprintable():
        raise NotUsable("wrong_type", f"{column}: an id with characters that cannot be shown")
    return text


def as_vector(column: str, value: Any, dimension: int | None) -> np.ndarray:
    """float32 array of a list of numbers, or of a text with numbers (``[1, 2]``, ``1 2``, ``1;2``).

    Raises:
      NotUsable: something else, a number that is not finite, or not ``dimension`` of them (None: any number).
    """
    if isinstance(value, str):
        value = _vector_from_text(column, value)
    if isinstance(value, list | tuple):
        if not set(map(type, value)) <= {int, float}:
            raise NotUsable("wrong_type", f"{column}: a vector with something else than numbers in it")
        try:
            value = np.array(value, dtype=np.float64)
        except OverflowError:
            raise NotUsable("wrong_type", f"{column}: a vector with a number that is too large") from None
    if not isinstance(value, np.ndarray) or value.ndim != 1:
        raise NotUsable("wrong_type", f"{column}: {kind_of(value)} where a vector is expected")
    if len(value) == 0 or (dimension is not None and len(value) != dimension):
        expected = "some" if dimension is None else str(dimension)
        raise NotUsable("wrong_type", f"{column}: a vector of {len(value)} values where {expected} are expected")
    with np.errstate(over="ignore"):
        vector = value.astype(np.float32)
    if not np.isfinite(vector).all():
        raise NotUsable("wrong_type", f"{column}: a vector with a number that is not finite")
    return vector


def _vector_from_text(column: str, text: str) -> list[Any] | np.ndarray:
    text = text.strip()
    if text.startswith("["):
        try:
            parsed = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise NotUsable("wrong_type", f"{column}: text that is no list of numbers") from None
        return parsed if isinstance(parsed, list) else []
    try:
        return np.array([float(word) for word in text.replace(";", " ").replace(",", " ").split()])
    except ValueError:
        raise NotUsable("wrong_type", f"{column}: text that is no list of numbers") from None
