"""Shopify's product taxonomy: ``gid://shopify/TaxonomyCategory/aa-8 : Apparel & Accessories > Shoes``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from modules.taxonomy.formats.base import Entry, Source, TaxonomyFormat
from modules.taxonomy.formats.lines import unreadable

_LINE = re.compile(r"\s*(gid://shopify/TaxonomyCategory/[\w-]+)\s+: (\S.*)")


class Shopify(TaxonomyFormat):
    """``categories.txt`` of Shopify's repository, in any of its languages; ids are padded to one width."""

    kind: ClassVar[str] = "shopify"
    title: ClassVar[str] = "Shopify's product taxonomy (categories.txt)"

    def sniff(self, source: Source) -> float:
        return 1.0 if source.sample and all(_LINE.fullmatch(line) for line in source.sample) else 0.0

    def entries(self, source: Source) -> Iterator[Entry]:
        for number, line in source.lines():
            match = _LINE.fullmatch(line)
            if match is None:
                raise unreadable(source, number, line, "gid://shopify/TaxonomyCategory/aa : Apparel & Accessories")
            yield Entry(tuple(match[2].split(">")), number, match[1])
