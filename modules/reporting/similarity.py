"""Embeddings compared by their neighbours, as a page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from modules.counting import counted
from modules.metrics.intervals import Interval
from modules.reporting.page import render, write_page
from modules.reporting.svg import bar
from modules.similarity_quality.compare import EmbeddingComparison

NOTES = {
    "same leaf": "Share of the first neighbours that are in the query's own leaf category.",
    "same cluster": "How well an offer finds the others of the same product.",
    "photo to product": "How often a photo's own product is among the first.",
}


@dataclass(frozen=True)
class Row:
    """A line of a table: embedding, figure, its value, the difference from the first embedding, and a bar."""

    embedding: str
    figure: str
    value: Interval
    difference: Interval | None
    bar: Markup


@dataclass(frozen=True)
class ProxyTable:
    """A proxy's table."""

    key: str
    title: str
    note: str
    caption: str
    rows: Sequence[Row]


def render_similarity(comparison: EmbeddingComparison, title: str, facts: Sequence[str] = ()) -> str:
    """The page as HTML.

    Args:
      facts: what stands under the title.
    """
    return render(
        "similarity.html.j2",
        title=title,
        facts=facts,
        comparison=comparison,
        embeddings=list(zip(comparison.embedded, comparison.products, strict=True)),
        sections=sections(comparison),
        triplets=list(zip(comparison.embedded, comparison.triplets, strict=False)),
        interval=interval_text,
        signed=signed_text,
    )


def write_similarity(comparison: EmbeddingComparison, path: str | Path, title: str, facts: Sequence[str] = ()) -> None:
    """Writes the page, complete or not at all."""
    write_page(path, render_similarity(comparison, title, facts))


def sections(comparison: EmbeddingComparison) -> list[ProxyTable]:
    """A table per proxy: figure by figure, the embeddings below each other."""
    tables = []
    for measured in comparison.measured:
        rows = []
        for figure in measured.proxies[0].figures:
            parts = zip(comparison.embedded, measured.proxies, measured.differences, strict=True)
            for number, (embedded, proxy, less) in enumerate(parts):
                value = proxy.figures[figure]
                length = bar([value.value if value.defined else 0.0], 1.0)
                rows.append(Row(embedded.name, figure, value, less[figure] if number else None, length))
        first = measured.proxies[0]
        caption = f"{counted(first.queries, 'query')} among {counted(first.products, 'product')}; 95% intervals"
        key = measured.title.replace(" ", "-")
        tables.append(ProxyTable(key, measured.title.capitalize(), NOTES.get(measured.title, ""), caption, rows))
    return tables


def interval_text(interval: Interval, digits: int = 3) -> str:
    """ "0.812 (0.741-0.867)", or "-"."""
    if not interval.defined:
        return "-"
    return f"{interval.value:.{digits}f} ({interval.lower:.{digits}f}-{interval.upper:.{digits}f})"


def signed_text(interval: Interval | None) -> str:
    """ "+0.021 (+0.010 to +0.032)", or nothing."""
    if interval is None:
        return ""
    return f"{interval.value:+.3f} ({interval.lower:+.3f} to {interval.upper:+.3f})" if interval.defined else "-"
