"""Categories as feeds write them, as tuples of their names; and what a name may not hold."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from modules.feeds.cleaning import unescaped

Names = tuple[str, ...]

_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
_JOINERS = "\u200c\u200d"
_ROUNDS = 8
_CACHED = 1000
_DEEPEST = 64
"""Below this level no path is looked at for being another's beginning; taxonomies end long before."""
NUMBER = re.compile(r"\s*[0-9]{1,12}\s+[-\u2013]\s+(?=[^\W\d_])")
"""The number before a path (``166 - Apparel & Accessories``); ages (``0 - 3 Months``) are none."""


@dataclass(frozen=True)
class CategoryCells:
    """How a column writes the categories of a product.

    A backslash before a separator makes it a part of the name (``T-Shirts\\/Polos``), unless the separator itself has
    one. Entities are characters (``Shoes &gt; Boots``), also where they were escaped twice.

    Attributes:
      separator: stands between the names of a path. Blanks around it go; one that is written with blanks (``" / "``)
        needs them, so that ``TV/Video`` stays a name.
      paths_separator: stands between several paths of one cell; None: a text is one path. A comma alone is one without
        a blank behind it, ``", "`` one with a blank, since names have commas, too; any other stands with or without.
      numbered: a number and a dash before a path (``166 - Apparel & Accessories``) belong to no name.
    """

    separator: str = ">"
    paths_separator: str | None = None
    numbered: bool = False

    def names(self, value: Any) -> Names:
        """The names of the value's first path, from the top down; empty where the value names none."""
        paths = self.paths(value)
        return paths[0] if paths else ()

    def paths(self, value: Any) -> tuple[Names, ...]:
        """All paths that a value names, each once, in their order; never raises.

        Takes text, a whole number (an id, as of Google's categories), a list of names, a list of objects with a
        ``name``, a list of such lists or of texts that all have the separator (several paths), and text that holds a
        list in JSON. What does not show goes (:func:`unseen`), blanks are collapsed, names are in NFC, and empty ones
        are left out. A path that another one goes on from says nothing of its own: the longer one takes its place.
        """
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = str(int(value)) if value == value // 1 and abs(value) < 2**53 else ""
        if isinstance(value, str):
            # A worker's memory may not grow with what a feed has for a cell.
            return (_paths_of_text if len(value) <= _CACHED else _paths_of_text.__wrapped__)(value, self)
        return _distinct(self._listed(value)) if isinstance(value, (list, tuple)) else ()

    def pieces(self, text: str) -> list[str]:
        """The texts of the paths in ``text``, as they are written there."""
        return between_paths(self.paths_separator).split(text) if self.paths_separator else [text]

    def _written(self, text: str) -> list[Names]:
        return [self._split(piece) for piece in self.pieces(unescaped(text))]

    def _split(self, text: str) -> Names:
        if self.numbered and (number := NUMBER.match(text)):
            text = text[number.end() :]
        return _clean([self._literal(name) for name in between_names(self.separator).split(text)])

    def _literal(self, name: str) -> str:
        if "\\" not in name:
            return name
        for mark in (self.separator.strip(), (self.paths_separator or "").strip()):
            if mark and "\\" not in mark:
                name = name.replace("\\" + mark, mark)
        return name

    def _listed(self, value: list[Any] | tuple[Any, ...]) -> list[Names]:
        if value and all(isinstance(item, (list, tuple)) for item in value):
            return [_clean(_texts(item)) for item in value]
        texts = _texts(value)
        if texts and all(self.separator in unescaped(text) for text in texts):
            return [path for text in texts for path in self._written(text)]
        return [_clean(texts)]


@lru_cache(maxsize=20_000)
def _paths_of_text(text: str, cells: CategoryCells) -> tuple[Names, ...]:
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        try:
            inner = json.loads(text)
        except (ValueError, RecursionError):
            inner = None
        if isinstance(inner, list):
            return cells.paths(inner)
    return _distinct(cells._written(text))


def names_of(value: Any, separator: str = ">") -> Names:
    """The names of a category path of a column that has one per product: :meth:`CategoryCells.names`."""
    return CategoryCells(separator).names(value)


@lru_cache(maxsize=64)
def between_names(separator: str) -> re.Pattern[str]:
    """Matches a separator of names where it is one."""
    return re.compile(_not_escaped(separator))


@lru_cache(maxsize=64)
def between_paths(separator: str) -> re.Pattern[str]:
    """Matches a separator of paths where it is one."""
    mark = separator.strip()
    if not mark:
        return re.compile(r"[\r\n]+" if set(separator) & {"\r", "\n"} else re.escape(separator))
    if mark == ",":
        return re.compile(_not_escaped(mark) + (r"(?=\s)" if separator[-1:].isspace() else r"(?!\s)"))
    return re.compile(_not_escaped(mark))


def _not_escaped(separator: str) -> str:
    return re.escape(separator) if "\\" in separator else r"(?<!\\)" + re.escape(separator)


def _texts(items: list[Any] | tuple[Any, ...]) -> list[str]:
    names = [item.get("name") if isinstance(item, dict) else item for item in items]
    return [name for name in names if isinstance(name, str)]


def _distinct(paths: list[Names]) -> tuple[Names, ...]:
    """Each path once, without empty ones; the first longer path that goes on from one takes its place."""
    given = list(dict.fromkeys(path for path in paths if path))
    if len(given) < 2:
        return tuple(given)
    longer: dict[Names, Names] = {}
    for path in given:
        for depth in range(1, min(len(path), _DEEPEST)):
            longer.setdefault(path[:depth], path)
    kept: dict[Names, None] = {}
    for path in given:
        longest = path
        while longest in longer:
            longest = longer[longest]
        kept.setdefault(longest)
    return tuple(kept)


def unseen(text: str) -> list[int]:
    """Where ``text`` has characters that do not show, and could make two names look the same or turn a line around:
    control characters, line ends, marks of direction, zero-width and other format characters, half surrogates.

    A joiner or non-joiner between two letters, marks or symbols is none: Persian, Indic scripts and emoji need them.
    """
    if text.isprintable():
        return []
    return [
        place for place, c in enumerate(text)
        if unicodedata.category(c) in _UNSEEN and not (c in _JOINERS and _between(text, place))
    ]  # fmt: skip


def _between(text: str, place: int) -> bool:
    sides = (text[place - 1 : place], text[place + 1 : place + 2])
    return all(side and unicodedata.category(side)[0] in "LMS" for side in sides)


def _clean(names: list[str]) -> Names:
    return tuple(name for name in map(_plain, names) if name)


def _plain(name: str) -> str:
    for _ in range(_ROUNDS):
        # What does not show may have stood within an entity.
        before, name = name, unescaped(_seen(name))
        if name == before:
            return name
    return _seen(name.replace("&", " "))


def _seen(name: str) -> str:
    while places := unseen(name):
        # White space and control characters part words; the others stand within them.
        blank = {place for place in places if unicodedata.category(name[place]) in ("Cc", "Zl", "Zp")}
        gone = set(places)
        name = "".join(" " if i in blank else "" if i in gone else c for i, c in enumerate(name))
    return unicodedata.normalize("NFC", " ".join(name.split()))
