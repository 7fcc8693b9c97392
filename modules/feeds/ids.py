"""Ids of products where several retailers' feeds make one catalogue, and which product a label's id means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from modules.labels.ids import other_spelling
from modules.settings.feed import FeedSettings

SEPARATOR = ":"
"""Between a retailer's name, which has none, and an id of its feed."""


@dataclass(frozen=True)
class IdSpace:
    """Where the ids of one feed's products come from.

    Attributes:
      retailer: whose feed it is; None where ids stay as the feed has them.
    """

    retailer: str | None = None

    @classmethod
    def of(cls, settings: FeedSettings) -> IdSpace:
        """That of a feed with these settings."""
        return cls(settings.retailer if settings.ids == "retailer" else None)

    def product_id(self, feed_id: str) -> str:
        """The product's id, from the feed's."""
        return feed_id if self.retailer is None else f"{self.retailer}{SEPARATOR}{feed_id}"


@dataclass(frozen=True)
class LabelIds:
    """Which product the id on a label means.

    Labels may be older than the second feed of a workflow: their ids are then those of the first feed, without a
    retailer.

    Attributes:
      retailers: of all feeds in the workflow's order; none where ids stay as the feed has them.
    """

    retailers: tuple[str, ...] = ()

    @classmethod
    def of(cls, sources: Sequence[FeedSettings]) -> LabelIds:
        """Those of a workflow with these feeds."""
        names = (source.retailer for source in sources if source.ids == "retailer")
        return cls(tuple(name for name in names if name is not None))

    def product_id(self, label_id: str) -> str:
        """The product's id: an id without a retailer's name before it belongs to the first feed."""
        if not self.retailers or self._retailer(label_id) is not None:
            return label_id
        return IdSpace(self.retailers[0]).product_id(label_id)

    def plain_id(self, product_id: str) -> str | None:
        """A second id under which labels may have a product; None for most.

        A shop's own ids may start as if a retailer's name stood before them (``shop:17``). Then only the products tell
        whether a label with that id is older than the second feed: it is if no product has this id in full.
        """
        if not self.retailers or self._retailer(product_id) != self.retailers[0]:
            return None
        rest = product_id.partition(SEPARATOR)[2]
        return rest if self._retailer(rest) == self.retailers[0] else None

    def spellings(self, product_id: str) -> Iterator[str]:
        """The ids under which labels may have a product, the likeliest first: a spreadsheet makes 42.0 of 42."""
        yield product_id
        plain = self.plain_id(product_id)
        if plain is not None:
            yield plain
        name, colon, rest = product_id.partition(SEPARATOR)
        own = rest if self._retailer(product_id) is not None else product_id
        other = other_spelling(own)
        if other != own:
            yield f"{name}{colon}{other}" if own is rest else other

    def among(self, product_ids: Iterable[str]) -> Callable[[str], str]:
        """As :meth:`product_id`, for who knows all products, so that :meth:`plain_id` is heeded, too."""
        older = {plain: full for full in product_ids if (plain := self.plain_id(full)) is not None}
        return lambda label_id: older.get(label_id) or self.product_id(label_id)

    def _retailer(self, text: str) -> str | None:
        name, colon, _ = text.partition(SEPARATOR)
        return name if colon and name in self.retailers else None
