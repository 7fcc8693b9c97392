"""How many there are of something, as a person would write it."""

from __future__ import annotations

_WITH_ES = ("s", "x", "z", "ch", "sh")


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """``1 file``, ``1,200 files``, ``0 batches``.

    Args:
      singular: the noun with what belongs to it, such as ``labelled product`` or ``category was merged``.
      plural: the same of several; None: a regular plural of the last word.
    """
    if count == 1:
        return f"1 {singular}"
    return f"{count:,} {_plural(singular) if plural is None else plural}"


def sized(count: int) -> str:
    """Bytes for people: ``512 B``, ``12.3 kB``, ``1.2 GB``."""
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:,.0f} {unit}" if unit == "B" else f"{value:,.1f} {unit}"


def _plural(noun: str) -> str:
    if noun.endswith(_WITH_ES):
        return noun + "es"
    if noun.endswith("y") and noun[-2:-1] not in tuple("aeiou"):
        return noun[:-1] + "ies"
    return noun + "s"
