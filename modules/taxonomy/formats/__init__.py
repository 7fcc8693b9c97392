"""The formats of other people's taxonomy files. A format is a class of a file of this folder and a line of FORMATS."""

from __future__ import annotations

from modules.taxonomy.formats.base import Entry, Source, TaxonomyFormat
from modules.taxonomy.formats.google import GoogleWithIds
from modules.taxonomy.formats.gpc import GpcJson, GpcTable, GpcXml
from modules.taxonomy.formats.lines import Indented, PathLines
from modules.taxonomy.formats.shopify import Shopify
from modules.taxonomy.formats.table import CategoryTable

__all__ = ["FORMATS", "Entry", "Source", "TaxonomyFormat", "format_of", "formats_shown"]

FORMATS: tuple[TaxonomyFormat, ...] = (
    GoogleWithIds(), Shopify(), GpcXml(), GpcJson(), GpcTable(), CategoryTable(), Indented(), PathLines(),
)  # fmt: skip


def format_of(source: Source, least: float) -> TaxonomyFormat | None:
    """The format that the content looks most like; None if it looks like none by more than ``least``."""
    best = max(FORMATS, key=lambda format: format.sniff(source))
    return best if best.sniff(source) > least else None


def formats_shown() -> str:
    """All formats, for a message."""
    return "; ".join(dict.fromkeys(format.title for format in FORMATS))
