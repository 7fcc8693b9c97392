"""Google's product taxonomy with its numbers: ``166 - Apparel & Accessories > Shoes``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from modules.taxonomy.formats.base import Entry, Source, TaxonomyFormat
from modules.taxonomy.formats.lines import unreadable

_LINE = re.compile(r"\s*(\d{1,12}) - (\S.*)")


class GoogleWithIds(TaxonomyFormat):
    """``# Google_Product_Taxonomy_Version: 2021-09-21``, then a number, a dash and a path in each line."""

    kind: ClassVar[str] = "google"
    title: ClassVar[str] = "Google's product taxonomy (.txt, with or without ids)"

    def sniff(self, source: Source) -> float:
        if not source.sample or not all(_LINE.fullmatch(line) for line in source.sample):
            return 0.0
        return 1.0 if "Google_Product_Taxonomy" in source.head[:200] else 0.9

    def entries(self, source: Source) -> Iterator[Entry]:
        for number, line in source.lines():
            match = _LINE.fullmatch(line)
            if match is None:
                raise unreadable(source, number, line, "166 - Apparel & Accessories > Shoes")
            yield Entry(tuple(match[2].split(">")), number, match[1])
