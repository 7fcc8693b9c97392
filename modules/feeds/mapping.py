"""From a feed's record to a product: columns to fields, values to cleaned text and vectors."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import orjson

from modules.category_text import Names
from modules.counting import counted
from modules.examples import CURRENCY, IMAGE, PRICE, RETAILER, ProductColumns
from modules.feeds.cleaning import clean
from modules.feeds.identifiers import gtins_of, item_groups_of
from modules.feeds.ids import IdSpace
from modules.feeds.numbers import UNTOLD, NumberReader
from modules.feeds.prices.reader import PriceReader
from modules.feeds.values import NotUsable, as_text, getter, kind_of
from modules.images.cells import first_picture
from modules.settings.feed import FeedSettings

MAX_ID_CHARS = 1000


@dataclass(slots=True)
class Product:
    """A product as the feed describes it.

    Attributes:
      id: as in the feed, without white space around it; with ``ids: retailer`` behind the retailer's name.
      text: text field or attribute to cleaned, non-empty text; a missing one is absent.
      numbers: field or attribute with a price or another number to it; a missing one is absent.
      untold: fields and attributes that should have a number and have a value that tells none.
      vectors: vector field or attribute to float32 array of its dimension; a missing one is absent.
      split: the value of the feed's split column, None if there is none.
      truth: names of the true category from the root down, empty if there is none.
      truths: all true categories, ``truth`` first; more than one where the feed puts a product in several.
      assigned: column of ``label_columns`` to its value, as it stands in the feed.
      item_groups, gtins: what it shares with its variants, for the split; mostly one of each, or none.
    """

    id: str
    text: dict[str, str]
    vectors: dict[str, np.ndarray]
    numbers: dict[str, float] = dataclasses.field(default_factory=dict)
    untold: tuple[str, ...] = ()
    split: str | None = None
    truth: Names = ()
    truths: tuple[Names, ...] = ()
    assigned: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    item_groups: tuple[str, ...] = ()
    gtins: tuple[str, ...] = ()


class Mapper:
    """Turns records into products by ``settings.fields`` and ``settings.attributes``."""

    def __init__(
        self,
        settings: FeedSettings,
        dimensions: Mapping[str, int] | None = None,
        head: Callable[[], Iterable[Any]] = tuple,
        columns: ProductColumns | None = None,
    ):
        """A mapper for the records of one file.

        Args:
          dimensions: vector field to the number of values its vectors must have.
          head: gives the file's first records, as evidence of what its prices and numbers mean; asked at most once
            for each of their columns, and only when a value leaves it open.
          columns: what the attributes hold (:attr:`modules.settings.workflow.Workflow.product_columns`); None: texts.
        """
        if columns is None:
            columns = ProductColumns(dict.fromkeys(settings.attributes, "text"))
        fields = settings.fields
        self._id = fields.id, getter(fields.id)
        self._ids = IdSpace.of(settings)
        self._retailer = settings.retailer
        texts = {name: settings.column(name) for name in columns.texts}
        if self._retailer is not None:
            # What a feed writes of itself may change in spelling, or be missing: its figures would fall apart.
            texts[RETAILER] = None
        self._text = [(name, column, getter(column)) for name, column in texts.items() if column]
        self._prices = [
            (name, getter(c), PriceReader(partial(_column_of, head, getter(c))))
            for name in columns.prices
            if (c := settings.column(name))
        ]
        self._numbers = [
            (name, getter(c), NumberReader(partial(_column_of, head, getter(c))))
            for name in columns.numbers
            if (c := settings.column(name))
        ]
        self._vectors = [(name, c, getter(c)) for name in columns.vectors if (c := settings.column(name))]
        self._dimensions = dict(dimensions or {})
        self._truth = getter(fields.truth) if fields.truth else None
        self._cells = settings.truth_cells
        self._split = (settings.split.column, getter(settings.split.column)) if settings.split.column else None
        self._label_columns = [(column, getter(column)) for column in settings.label_columns]
        self._item_group = (fields.item_group_id, getter(fields.item_group_id)) if fields.item_group_id else None
        self._gtin = (fields.gtin, getter(fields.gtin)) if fields.gtin else None
        self._max_chars = settings.max_field_chars

    def product(self, record: Any) -> Product:
        """The product that a record describes.

        Raises:
          NotUsable: the record goes to quarantine.
        """
        if not isinstance(record, dict):
            raise NotUsable("not_a_product", f"{kind_of(record)}, not an object")
        own_id = self.id(record)
        text = {}
        limit = self._max_chars
        for field, column, get in self._text:
            value = get(record)
            if value is None:
                continue
            if type(value) is not str:
                value = _one_text(field, column, value)
            if field == IMAGE:
                value = first_picture(value)
            value = clean(value, limit)
            if value:
                text[field] = value
        vectors = {}
        for field, column, get in self._vectors:
            value = get(record)
            if value is not None and value != "":
                vectors[field] = as_vector(column, value, self._dimensions.get(field))
        product = Product(own_id, text, vectors)
        if self._prices:
            self._read_prices(record, product)
        for field, get, reader in self._numbers:
            _put_number(product, field, reader.read(get(record)))
        if not (text or vectors or product.numbers or product.untold):
            raise NotUsable("not_a_product", "none of the mapped columns has a value")
        if self._retailer is not None:
            text[RETAILER] = self._retailer
        if self._split is not None:
            column, get = self._split
            value = get(record)
            product.split = None if value is None else as_text(column, value).strip()
        product.truths = self.truths(record)
        product.truth = product.truths[0] if product.truths else ()
        if self._label_columns:
            product.assigned = {column: get(record) for column, get in self._label_columns}
        self._read_identifiers(record, product)
        return product

    def id(self, record: Any) -> str:
        """The id of the product that a record describes; raises as :meth:`product` does."""
        column, get = self._id
        return self._ids.product_id(product_id(column, get(record)))

    def _read_identifiers(self, record: dict[str, Any], product: Product) -> None:
        if self._item_group is not None:
            column, get = self._item_group
            product.item_groups = item_groups_of(column, get(record))
        if self._gtin is not None:
            column, get = self._gtin
            product.gtins = gtins_of(column, get(record))

    def _read_prices(self, record: dict[str, Any], product: Product) -> None:
        """Puts the prices into the product, and the currency that the price names where no column has one."""
        for name, get, reader in self._prices:
            value = get(record)
            if value is None or value == "":
                continue
            price = reader.read(value, product.text.get(CURRENCY, ""))
            if price is None:
                continue
            _put_number(product, name, UNTOLD if price.amount is None else price.amount)
            if price.currency and name == PRICE and name in product.numbers:
                product.text.setdefault(CURRENCY, price.currency)

    def truths(self, record: Any) -> tuple[Names, ...]:
        """The record's true categories, each as its names from the root down; the first is the exclusive one."""
        if self._truth is None or not isinstance(record, dict):
            return ()
        return self._cells.paths(self._truth(record))

    def truth(self, record: Any) -> Names:
        """Names of the record's true category from the root down; empty where it has none."""
        truths = self.truths(record)
        return truths[0] if truths else ()


def _put_number(product: Product, name: str, number: float | None) -> None:
    """Puts a number into the product: nothing of a missing one, and a count of one that cannot be told."""
    if number is None:
        return
    if math.isnan(number):
        product.untold += (name,)
    else:
        product.numbers[name] = number


def _column_of(head: Callable[[], Iterable[Any]], get: Callable[[dict[str, Any]], Any]) -> Iterable[Any]:
    return (get(record) for record in head() if isinstance(record, dict))


def product_id(column: str, value: Any) -> str:
    """The id that a value is, without white space around it.

    Raises:
      NotUsable: it is none.
    """
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


def _one_text(field: str, column: str, value: Any) -> str:
    """Text of a value; of several, such as sizes, and elements that XML repeats, all of them, of pictures the first."""
    if not isinstance(value, list):
        return as_text(column, value)
    texts = [text for item in value if item is not None and (text := as_text(column, item).strip())]
    return ", ".join(texts[:1] if field == IMAGE else texts)


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
        raise NotUsable(
            "wrong_type", f"{column}: a vector of {counted(len(value), 'value')} where {expected} are expected"
        )
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
