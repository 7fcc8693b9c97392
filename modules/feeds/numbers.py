"""A column's values as numbers that are no prices: ratings, weights, lengths, with the column as evidence of units.

A value is one number with at most a unit behind it. What is more than that (ranges, products such as ``10 x 20 cm``,
dates, fractions, prefixes) tells no number: it is counted, and not guessed.
"""

from __future__ import annotations

import decimal
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from modules.feeds.cleaning import clean
from modules.feeds.prices.cell import MAX_CHARACTERS, plain
from modules.feeds.prices.numbers import NUMBER, WrittenNumber, written
from modules.feeds.prices.reader import ColumnMarks
from modules.feeds.units import NO_UNIT, Unit, unit_of

UNTOLD: Final = math.nan
"""What a value that tells no number is read as."""

MAX_NUMBER = 1e12
"""What is not below it, signs aside, is an article number or a time stamp, and no measurement."""

_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,2})?")
_EXPONENT = re.compile(r"[+-]?\d+(?:\.\d*)?[eE][+-]?\d{1,3}")


class NumberReader:
    """Reads the values of one column of one file."""

    def __init__(self, column: Callable[[], Iterable[Any]] = tuple):
        """``column``: gives the column's first values; asked once, when a value leaves its unit or its mark open."""
        self._column = column
        self._known: tuple[ColumnMarks, Unit] | None = None

    def read(self, value: Any) -> float | None:
        """The number that a value of any type tells: None where it is missing, :data:`UNTOLD` where it tells none.

        Units of one quantity become that quantity's common unit (``1.2 kg`` and ``800 g`` are 1200 and 800). The
        quantity of a column is the one that most of its values name: a value of another one tells no number, and a
        value without a unit has the unit that most values have. A mark with exactly three digits behind it (``1.299``)
        is what the column's other values say, and tells no number where they say nothing.

        Args:
          value: of a feed's record; a list of one value is that value.
        """
        value = _single(value)
        if value is None or value == "":
            return None
        if isinstance(value, bool):
            return UNTOLD
        if isinstance(value, int | float | decimal.Decimal):
            if not isinstance(value, int) and math.isnan(value):
                return None
            # Compared before it is made a float: an integer may be too large for one.
            return self._in_unit(float(value), NO_UNIT) if -MAX_NUMBER < value < MAX_NUMBER else UNTOLD
        if not isinstance(value, str):
            return UNTOLD
        if _PLAIN.fullmatch(value):
            return self._in_unit(float(value), NO_UNIT)
        text = clean(value)
        return self._of_text(text) if text else None

    def _of_text(self, text: str) -> float:
        if _EXPONENT.fullmatch(text):
            return self._in_unit(float(text), NO_UNIT)
        parts = _parts(text)
        if parts is None:
            return UNTOLD
        sign, number, unit = parts
        is_decimal = False
        if number.open_mark:
            said = self._evidence()[0].is_decimal(number.open_mark)
            if said is None:
                return UNTOLD
            is_decimal = said
        return self._in_unit(sign * number.value(is_decimal), unit)

    def _in_unit(self, number: float, unit: Unit) -> float:
        """The number in the common unit of the column's quantity."""
        usual = self._evidence()[1]
        if unit == NO_UNIT:
            unit = usual
        elif usual != NO_UNIT and unit.quantity != usual.quantity:
            return UNTOLD
        is_told = number <= unit.most and abs(number * unit.factor) < MAX_NUMBER
        return number * unit.factor if is_told else UNTOLD

    def _evidence(self) -> tuple[ColumnMarks, Unit]:
        """How the column writes its marks, and its most frequent unit, of those of its most frequent quantity."""
        if self._known is None:
            values = map(_single, self._column())
            texts = [value[:MAX_CHARACTERS] for value in values if isinstance(value, str)]
            units: Counter[Unit] = Counter()
            for text in texts:
                parts = _parts(clean(text))
                if parts is not None and parts[2] != NO_UNIT:
                    units[parts[2]] += 1
            quantities: Counter[str] = Counter()
            for unit, count in units.items():
                quantities[unit.quantity] += count
            usual = NO_UNIT
            if quantities:
                # Of equals the first by name, whatever the order of the records.
                quantity = min(quantities, key=lambda name: (-quantities[name], name))
                usual = min((u for u in units if u.quantity == quantity), key=lambda u: (-units[u], u.factor))
            self._known = ColumnMarks(texts), usual
        return self._known


def _single(value: Any) -> Any:
    """The value itself; of a list of one value that value."""
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value


def _parts(text: str) -> tuple[float, WrittenNumber, Unit] | None:
    """Sign, number and unit of a cleaned text; None if it is something else."""
    if not text or len(text) > MAX_CHARACTERS:
        return None
    text = plain(text).strip()
    sign = -1.0 if text.startswith("-") else 1.0
    text = text.removeprefix("-") if sign < 0 else text.removeprefix("+")
    match = NUMBER.match(text)
    number = written(match[0]) if match is not None else None
    if match is None or number is None:
        return None
    unit = unit_of(text[match.end() :])
    return None if unit is None else (sign, number, unit)
