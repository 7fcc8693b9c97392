"""What names an article, as shops write it: item groups, and Global Trade Item Numbers (EAN, UPC, ISBN-13)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from modules.feeds.values import NotUsable, as_text, says_none

ITEM_GROUP: Final = "item_group_id"
GTIN: Final = "gtin"
VARIANT_FIELDS = (ITEM_GROUP, GTIN)
"""Keys of ``feed.fields`` that say which products are variants, and are no features."""

_NO_GROUP = frozenset({"0", "false", "no", "default"})
"""Words that say of an item group that there is none, beside those that say it of anything."""
_LENGTHS = frozenset({8, 12, 13, 14})
_BETWEEN = re.compile(r"[,;|/\n\t]+")
_BLANKS = re.compile(r"\s+")
_WITHIN = str.maketrans("", "", " -'\"\u00a0\u2009\u202f\u2010\u2011\u2013\u2019")
"""Characters that shops, books and spreadsheets put into a number, or before it to keep it a text."""
_FROM_A_TABLE = re.compile(r"(\d+)\.0+")
_AS_A_FLOAT = re.compile(r"(\d)\.(\d{6,13})E\+?(\d\d?)", re.IGNORECASE)
"""``4.006381333931E12``, as Java writes floats."""
_ASCENDING = "01234567890123456789"


def texts_of(column: str, value: Any) -> Iterator[str]:
    """The texts of a cell, or of a list of them; what is no text is left out, as no product fails for it."""
    for item in value if isinstance(value, list | tuple) else (value,):
        try:
            text = "" if item is None else as_text(column, item).strip()
        except NotUsable:
            continue
        if text:
            yield text


def item_groups_of(column: str, value: Any) -> tuple[str, ...]:
    """The item groups that a cell names, without the words for none."""
    return tuple(text for text in texts_of(column, value) if text.casefold() not in _NO_GROUP and not says_none(text))


def gtins_of(column: str, value: Any) -> tuple[str, ...]:
    """The GTINs that a cell, or a list, names, as 14 digits."""
    return tuple(dict.fromkeys(gtin for text in texts_of(column, value) for gtin in gtins_in(text)))


def gtins_in(text: str) -> Iterator[str]:
    """The GTINs of a cell, which may name several, as 14 digits.

    What has another number of digits than 8, 12, 13 or 14, or a wrong check digit, is none, nor is a placeholder such
    as ``00000000`` or ``1234567890128``.
    """
    for part in _BETWEEN.split(text):
        whole = gtin_of(part)
        if whole is not None:
            yield whole
            continue
        for word in _BLANKS.split(part):
            number = gtin_of(word)
            if number is not None:
                yield number


def gtin_of(text: str) -> str | None:
    """The GTIN that a text writes, as 14 digits; None if it is none."""
    digits = text.translate(_WITHIN)
    from_table = _FROM_A_TABLE.fullmatch(digits)
    if from_table is not None:
        digits = from_table[1]
    as_float = _AS_A_FLOAT.fullmatch(digits)
    # One last zero may be missing; where more are, digits were rounded away (`4.00638E+12`).
    if as_float is not None and 0 <= int(as_float[3]) - len(as_float[2]) <= 1:
        digits = (as_float[1] + as_float[2]).ljust(int(as_float[3]) + 1, "0")
    if len(digits) not in _LENGTHS or not digits.isascii() or not digits.isdigit():
        return None
    number = digits.zfill(14)
    weighted = 3 * sum(map(int, number[::2])) + sum(map(int, number[1::2]))
    return None if weighted % 10 or _is_placeholder(digits[:-1]) else number


def is_internal(gtin: str) -> bool:
    """Whether a GTIN (14 digits) is of a range that each shop may use as it likes, so that two shops' are unrelated.

    These are GS1's restricted circulation numbers: the prefixes 02, 04 and 20 to 29 of 13 digits, and 0 and 2 of 8.
    """
    if gtin.startswith("000000"):
        return gtin[6] in "02"
    return gtin[1] == "2" or gtin[1:3] in ("02", "04")


def _is_placeholder(body: str) -> bool:
    """Whether the digits before the check digit count up or down, or are one digit again and again."""
    digits = body.lstrip("0")
    counted = digits in _ASCENDING or digits in _ASCENDING[::-1]
    return len(set(digits)) < 2 or counted
