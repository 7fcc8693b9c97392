"""A model card (Mitchell et al. 2019, "Model Cards for Model Reporting"), as Markdown and as a page.

A card is sections of facts and tables; what stands in them is told by whoever gathers them. Every text may be a feed's:
Markdown's characters are escaped here, HTML's by the template.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from modules.counting import counted
from modules.errors import shorten
from modules.reporting.page import render, write_page

MISSING = "missing: nothing has recorded it"
_LONGEST = 2000
_ESCAPED = {ord(mark): f"\\{mark}" for mark in string.punctuation}


@dataclass(frozen=True)
class CardTable:
    """A table; ``left_out``: rows that have no place in it."""

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    left_out: int = 0


@dataclass(frozen=True)
class CardSection:
    """One of the sections of Mitchell et al.; ``facts``: name and value."""

    title: str
    facts: Sequence[tuple[str, str]] = ()
    tables: Sequence[CardTable] = ()


@dataclass(frozen=True)
class ModelCard:
    """A model, in what is recorded of it. ``missing``: sentences about what could not be read."""

    title: str
    sections: Sequence[CardSection]
    missing: Sequence[str] = ()


def write_model_card(card: ModelCard, markdown: Path) -> Path:
    """Writes the Markdown and, beside it, the page; each is whole or not there.

    Returns:
      The page's path.
    """
    page = markdown.with_suffix(".html")
    write_page(markdown, render_markdown(card))
    write_page(page, render("model_card.html.j2", card=card, told=_told))
    return page


def render_markdown(card: ModelCard) -> str:
    """The card as CommonMark with GitHub's tables."""
    return "\n".join(_lines(card)) + "\n"


def _lines(card: ModelCard) -> Iterable[str]:
    yield f"# {_escaped(card.title)}"
    for section in card.sections:
        yield f"\n## {_escaped(section.title)}"
        if section.facts:
            yield ""
            yield from (f"- **{_escaped(name)}**: {_escaped(value)}" for name, value in section.facts)
        for table in section.tables:
            yield f"\n{_escaped(table.caption)}:\n"
            yield _row(table.headings)
            yield "|" + " --- |" * len(table.headings)
            yield from map(_row, table.rows)
            if table.left_out:
                yield f"\nNot shown: {counted(table.left_out, 'row')} more."
    if card.missing:
        yield "\n## Could not be read\n"
        yield from (f"- {_escaped(sentence)}" for sentence in card.missing)


def _row(cells: Iterable[str]) -> str:
    return "".join(f"| {_escaped(cell)} " for cell in cells) + "|"


def _told(text: str) -> str:
    """One line, without what does not show."""
    return " ".join(shorten(text, _LONGEST).split())


def _escaped(text: str) -> str:
    """Text that Markdown takes as it is: no markup, link, HTML or end of a cell."""
    return _told(text).translate(_ESCAPED)
