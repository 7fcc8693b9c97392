"""A category as feeds write it, as the tuple of its names; and what a name may not hold."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
_JOINERS = "\u200c\u200d"


def names_of(value: Any, separator: str = ">") -> tuple[str, ...]:
    """The names of a category path, from the top down; empty where the value names none.

    Takes a list of names, a list of objects with a ``name``, text with ``separator`` between the names, and text that
    holds such a list in JSON. What does not show goes (:func:`unseen`), blanks are collapsed, names are in NFC, and
    empty ones are left out. Never raises.
    """
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("[") and text.endswith("]"):
            try:
                inner = json.loads(text)
            except (ValueError, RecursionError):
                inner = None
            if isinstance(inner, list):
                return names_of(inner, separator)
        return _clean(text.split(separator))
    if isinstance(value, (list, tuple)):
        names = [item.get("name") if isinstance(item, dict) else item for item in value]
        texts = [name for name in names if isinstance(name, str)]
        if len(texts) == 1 and separator in texts[0]:
            return _clean(texts[0].split(separator))
        return _clean(texts)
    return ()


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


def _clean(names: list[str]) -> tuple[str, ...]:
    return tuple(name for name in map(_plain, names) if name)


def _plain(name: str) -> str:
    while places := unseen(name):
        # White space and control characters part words; the others stand within them.
        blank = {place for place in places if unicodedata.category(name[place]) in ("Cc", "Zl", "Zp")}
        gone = set(places)
        name = "".join(" " if i in blank else "" if i in gone else c for i, c in enumerate(name))
    return unicodedata.normalize("NFC", " ".join(name.split()))
