"""Which split a product falls into: a hash of its normalised title, stable across runs and machines.

Of variants with different titles (:mod:`modules.feeds.variants`) one title decides for all.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence

from modules.feeds.mapping import Product
from modules.feeds.variants import TitleKey, VariantRows, Variants, find_variants
from modules.settings.feed import Split, SplitSettings

_NOT_ALPHANUMERIC_ASCII = re.compile(r"[^0-9a-z]+")
_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")
_TWO_64 = 2.0**64


def normalised(text: str) -> str:
    """Case-folded NFKC with every run of other characters than letters and digits as one blank."""
    if text.isascii():
        return _NOT_ALPHANUMERIC_ASCII.sub(" ", text.lower()).strip()
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return _NOT_ALPHANUMERIC.sub(" ", text).strip()


def group_of(product: Mapping[str, str]) -> str:
    """What products that must not be separated share: the normalised title without its variant.

    Trailing words that the product's own size and colour name are dropped, so that "Runner 2, blue, 42" and
    "Runner 2, red, 43" stay together. Empty if there is no title.
    """
    title = normalised(product.get("title", ""))
    variant = f"{product.get('size', '')} {product.get('color', '')}"
    if variant == " " or not title:
        return title
    names = set(normalised(variant).split())
    words = title.split()
    end = len(words)
    while end and words[end - 1] in names:
        end -= 1
    return " ".join(words[:end]) if end else title


class Splitter:
    """Gives each product its split by ``settings``."""

    def __init__(self, settings: SplitSettings, variants: Variants | None = None):
        """``variants``: the title groups that belong together; None: each stands for itself."""
        self._variants = variants if variants else None
        self._values = settings.values if settings.column else {}
        self._test_share = settings.test_share
        self._eval_share = settings.eval_share
        # Of the hashed products that are not test, this many are eval.
        self._eval_of_rest = settings.eval_share / (1.0 - settings.test_share)
        self._salt = settings.seed.to_bytes(16, "big")
        self._cut_eval = bool(settings.column) and "eval" not in settings.values.values()

    @classmethod
    def among(cls, settings: SplitSettings, products: Sequence[Product]) -> Splitter:
        """One that knows which of all ``products`` are variants of one another."""
        alone, rows = cls(settings), VariantRows()
        for product in products:
            rows.add(product, alone.key(product.text, product.id))
        return cls(settings, find_variants([rows.take()]))

    def key(self, product: Mapping[str, str], product_id: str) -> TitleKey:
        """The hash of a product's own title group, in two halves of 64 bits.

        Args:
          product: cleaned text fields.
          product_id: stands for the title where that is empty.
        """
        group = group_of(product)
        # The prefixes keep a title and an equal id apart.
        key = f"title\0{group}" if group else f"id\0{product_id}"
        digest = hashlib.blake2b(
            key.encode("utf-8", "surrogatepass"), digest_size=16, person=b"split", salt=self._salt
        ).digest()
        return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")

    def variants_of(self, key: TitleKey) -> TitleKey | None:
        """The key that decides for a title group with variants of other titles; None: it has none."""
        return self._variants.of(key) if self._variants is not None else None

    def split(self, product: Mapping[str, str], product_id: str, given: str | None = None) -> Split:
        """The split of a product.

        Args:
          product: cleaned text fields.
          product_id: decides where the title is empty.
          given: the value in the feed's own split column, if it has one; an unknown value counts as none.
        """
        key = self.key(product, product_id)
        return self.split_of(self.variants_of(key) or key, given)

    def split_of(self, key: TitleKey, given: str | None = None) -> Split:
        """The split of the products for which ``key`` decides; ``given`` as for :meth:`split`."""
        split = self._values.get(given) if given is not None else None
        if split is not None and not (split == "train" and self._cut_eval):
            return split
        # Test and eval are cut by independent bits: the share of one says nothing about the other's products.
        for_test, for_eval = (half / _TWO_64 for half in key)
        if split is not None:
            return "eval" if for_eval < self._eval_share else split
        if for_test < self._test_share:
            return "test"
        return "eval" if for_eval < self._eval_of_rest else "train"
