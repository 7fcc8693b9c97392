"""Plain text with a category in each line: whole paths, or names whose indent is their level."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import ClassVar

from modules.category_separators import guess_separator
from modules.category_text import CategoryCells
from modules.errors import InputError, Problem
from modules.taxonomy.formats.base import Entry, Source, TaxonomyFormat

_BULLET = re.compile(r"(?:[-*+\u2022\u2013] )?\s*")
_OWN = re.compile(r"%YAML|- [{\[]|(?:- )?(?:categories|path|id|name|exclusive|parent|description|synonyms)\s*:")
"""How a file of this project's own form begins."""
_CERTAIN = (" > ", ">", "\u00bb", "\u203a", "\u2192")
_NO_TEXT_LISTS = frozenset((".yaml", ".yml", ".json", ".jsonl", ".csv", ".tsv", ".xml", ".xlsx"))


def unreadable(source: Source, line: int, text: str, example: str) -> InputError:
    """That a line of a text file is not as the lines before it."""
    return InputError(Problem(source.path, f"expected a line as all before it, such as {example!r}", line, value=text))


def _is_text(source: Source) -> bool:
    return bool(source.sample) and not source.is_binary and source.suffix not in _NO_TEXT_LISTS


def _is_markup(source: Source) -> bool:
    first = source.sample[0].lstrip()
    return first.startswith(("<", "{", "[", "---")) or bool(_OWN.match(first))


def path_cells(texts: Collection[str]) -> CategoryCells:
    """How these texts, each a path, part its names."""
    separator = next((mark for mark in _CERTAIN if any(mark in text for text in texts)), None)
    if separator is None:
        guesses = guess_separator(dict.fromkeys(texts, 1))
        separator = guesses[0].separator if guesses else "\n"
    return CategoryCells(separator)


class PathLines(TaxonomyFormat):
    """A path in each line, as Google's taxonomy without ids is; the lines themselves tell what parts the names."""

    kind: ClassVar[str] = "paths"
    title: ClassVar[str] = "text with a path in each line (Shoes > Boots)"

    def sniff(self, source: Source) -> float:
        if not _is_text(source) or _is_markup(source) or any(line[0].isspace() for line in source.sample):
            return 0.0
        if "Google_Product_Taxonomy" in source.head[:200]:
            return 1.0
        return 0.6 if any(mark in line for line in source.sample for mark in _CERTAIN) else 0.4

    def entries(self, source: Source) -> Iterator[Entry]:
        lines = dict(source.lines())
        cells = path_cells(lines.values())
        for number, line in lines.items():
            yield Entry(cells.names(line), number)


class Indented(TaxonomyFormat):
    """A name in each line, by tabs or blanks further in than the one above it; bullets before names go."""

    kind: ClassVar[str] = "indented"
    title: ClassVar[str] = "indented text (a name in each line, its indent is its level)"

    def sniff(self, source: Source) -> float:
        if not _is_text(source) or _is_markup(source):
            return 0.0
        indented = sum(line[0].isspace() for line in source.sample)
        return 0.7 if indented and not source.sample[0][0].isspace() else 0.0

    def entries(self, source: Source) -> Iterator[Entry]:
        above: list[tuple[int, str]] = []
        for number, line in source.lines():
            name = line.lstrip()
            indent = len(line[: len(line) - len(name)].expandtabs(8))
            while above and above[-1][0] >= indent:
                above.pop()
            above.append((indent, _BULLET.sub("", name, count=1)))
            yield Entry(tuple(text for _, text in above), number)
