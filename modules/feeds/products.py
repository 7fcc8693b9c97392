"""A feed's records as products, one by one, for whoever makes examples of them."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator
from itertools import islice

from modules.examples import IMAGE
from modules.feeds.files import FeedFile
from modules.feeds.mapping import Mapper, Product
from modules.feeds.plan import ExampleSettings, head_of
from modules.feeds.quarantine import BadRecord, Tally, raw_text
from modules.feeds.readers import Record
from modules.feeds.text_vectors import BATCH, TextVectors
from modules.feeds.values import NotUsable
from modules.images.loader import ImageLoader
from modules.images.outcome import Picture
from modules.progress import report

_TICK = 10_000

Numbered = tuple[int, Product] | BadRecord | None
"""A product with its line, a bad record, or None now and then."""


def raw_of(record: Record) -> str:
    """The record's text for quarantine, made from its data where the file has none."""
    return raw_text(record.raw if record.raw is not None else json.dumps(record.data, default=str)[:4000])


def numbered_products(
    file: FeedFile, settings: ExampleSettings, records: Iterable[Record | BadRecord], tally: Tally
) -> Iterator[Numbered]:
    """Products with their lines, bad records, and None every ten thousand records.

    Args:
      settings: with the dimensions that vectors must have.
      tally: counts what is read.
    """
    own = settings.sources[file.source]
    head = functools.partial(head_of, file.path, own)
    make = Mapper(own, settings.dimensions, head, settings.product_columns).product
    for record in records:
        tally.read += 1
        if tally.read % _TICK == 0:
            report(tally.read, 0, "products read")
            yield None
        if isinstance(record, BadRecord):
            yield record
            continue
        try:
            product = make(record.data)
        except NotUsable as error:
            yield BadRecord(file.path, record.line, error.reason, error.detail, raw_of(record))
            continue
        yield record.line, product


def with_vectors(numbered: Iterable[Numbered], vectors: TextVectors) -> Iterator[Numbered]:
    """The same, in the same order, with what encoders make of the products' texts among their vectors; a batch of
    products is held at a time."""
    remaining = iter(numbered)
    while batch := list(islice(remaining, BATCH)):
        products = [item[1] for item in batch if isinstance(item, tuple)]
        for product, own in zip(products, vectors.of(products), strict=True):
            product.vectors.update(own)
        yield from batch


def with_pictures(
    numbered: Iterable[Numbered], images: ImageLoader | None
) -> Iterator[tuple[Numbered, Picture | None]]:
    """The same, each product with its picture; without a loader there is none."""
    if images is None:
        return ((item, None) for item in numbered)
    return images.pictures(numbered, lambda item: item[1].text.get(IMAGE, "") if isinstance(item, tuple) else None)
