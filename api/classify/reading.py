"""Products of a request, read as a run reads those of a feed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from api.refusals import Refused
from modules.errors import did_you_mean, shorten
from modules.examples import RETAILER
from modules.feeds.encoding import example_of
from modules.feeds.mapping import Mapper
from modules.feeds.plan import ExampleSettings
from modules.feeds.product_features import ProductFeatures
from modules.feeds.values import NotUsable
from modules.settings.workflow import Workflow

Head = Callable[[], Iterable[Any]]
"""Gives the first records of a feed's file, as evidence of what its prices and numbers mean."""


@dataclass(frozen=True)
class ReadProduct:
    """A product as the model takes it: a serialised tf.Example. ``retailer``: as predictions name it."""

    id: str
    example: bytes
    retailer: str = ""


@dataclass(frozen=True)
class Unusable:
    """Why a record is no product; ``reason`` is one of :data:`modules.feeds.quarantine.REASONS`."""

    reason: str
    detail: str


class ProductReader:
    """Reads records by the feeds' mappings, with the same cleaning and limits as a run. No picture is fetched.

    Args:
      heads: one per feed, in the order of the workflow's.
    """

    def __init__(self, workflow: Workflow, heads: Sequence[Head]):
        settings = ExampleSettings.of(workflow)
        self._feeds = {
            source.retailer or "": (
                Mapper(source, settings.dimensions, head, settings.product_columns), source.max_record_bytes
            )
            for source, head in zip(settings.sources, heads, strict=True)
        }  # fmt: skip
        self._features = ProductFeatures()

    def read(self, records: Sequence[Any], retailer: str | None) -> list[ReadProduct | Unusable]:
        """The products, in the order of the records.

        Args:
          records: parsed JSON, with the columns that the feed's mapping names.
          retailer: whose feed the records are like; None: of the only feed.

        Raises:
          Refused: There are several feeds and none was named, or there is no such one.
        """
        if retailer is None and len(self._feeds) == 1:
            retailer = next(iter(self._feeds))
        if retailer not in self._feeds:
            known = sorted(name for name in self._feeds if name)
            what = "no retailer is named" if retailer is None else f"got {shorten(retailer)!r}"
            expected = f"one of: {shorten(', '.join(known), 500)}" if known else "none: the workflow has one feed"
            raise Refused(422, what, "retailer", expected, did_you_mean(retailer or "", known))
        mapper, longest = self._feeds[retailer]
        return [self._read(record, mapper, longest) for record in records]

    def _read(self, record: Any, mapper: Mapper, longest: int) -> ReadProduct | Unusable:
        try:
            if _length(record) > longest:
                raise NotUsable("too_long", f"more than {longest:,} bytes (feed.max_record_bytes)")
            product = mapper.product(record)
            return ReadProduct(
                product.id, example_of(self._features.entries(product, None)), product.text.get(RETAILER, "")
            )
        except NotUsable as error:
            return Unusable(error.reason, error.detail)


def _length(record: Any) -> int:
    """Bytes of a record as JSON.

    Raises:
      NotUsable: It is nested more deeply than any product.
    """
    try:
        return len(orjson.dumps(record))
    except orjson.JSONEncodeError:
        raise NotUsable("not_a_product", "nested too deeply") from None
