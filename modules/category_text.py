"""A category as feeds write it, as the tuple of its names."""

from __future__ import annotations

import json
from typing import Any


def names_of(value: Any, separator: str = ">") -> tuple[str, ...]:
    """The names of a category path, from the top down; empty where the value names none.

    Takes a list of names, a list of objects with a ``name``, text with ``separator`` between the names, and text that
    holds such a list in JSON. Blanks are collapsed and empty names left out. Never raises.
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


def _clean(names: list[str]) -> tuple[str, ...]:
    return tuple(name for name in (" ".join(name.split()) for name in names) if name)
