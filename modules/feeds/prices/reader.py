"""A price column's values as numbers, with the rest of the column as evidence of how it writes them."""

from __future__ import annotations

import decimal
import math
import re
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from modules.counting import counted
from modules.feeds.cleaning import clean
from modules.feeds.prices.cell import MAX_AMOUNT, UNTOLD, CellPrice, numbers_in, read_cell
from modules.feeds.prices.currencies import WITH_THREE_DECIMALS, WITHOUT_DECIMALS, currency_of

_PLAIN = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,2})?")
_RAISED = re.compile(r"<sup\b[^<>]*>\s*([0-9]{2})\s*</sup>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")

_STRAY = 100
"""Evidence counts if it is at least one value for as many open ones: a single slip does not turn a column."""

_NOISE_64, _NOISE_32 = 1e-14, 2e-7
"""Relative errors of a decimal number that went through a few sums or products of 64-bit and 32-bit floats."""

_FLOAT_32 = struct.Struct("<f")

_DECIMALS = 4
"""The most decimals of written prices; with more, a number may be the noise of binary floats."""


class ColumnMarks:
    """How a column writes decimal and grouping marks, as far as its values leave no choice."""

    def __init__(self, values: Iterable[Any] = ()):
        self._decimal: Counter[str] = Counter()
        self._grouping: Counter[str] = Counter()
        self._open: Counter[str] = Counter()
        for value in values:
            if isinstance(value, str):
                for number in numbers_in(value):
                    self._decimal[number.decimal] += 1
                    self._grouping[number.grouping] += 1
                    self._open[number.open_mark] += 1

    def is_decimal(self, mark: str) -> bool | None:
        """Whether the column uses the mark (``.`` or ``,``) as decimal one; None where its values do not say."""
        other = "," if mark == "." else "."
        decimal_votes = self._decimal[mark] + self._grouping[other]
        grouping_votes = self._grouping[mark] + self._decimal[other]
        if max(decimal_votes, grouping_votes) * _STRAY < self._open[mark] or decimal_votes == grouping_votes:
            return None
        return decimal_votes > grouping_votes


class PriceReader:
    """Reads the values of one price column of one file."""

    def __init__(self, column: Callable[[], Iterable[Any]] = tuple):
        """``column``: gives the column's first values, asked for when a value leaves open what its mark means."""
        self._column = column
        self._marks: ColumnMarks | None = None

    def read(self, value: Any, currency: str = "") -> CellPrice | None:
        """The price that a value of any type tells; None where it is missing.

        A mark with exactly three digits behind it and at most three before it (``1.299``) may be either kind. A
        currency without decimals says that it groups; else what the column's other values say counts; else a currency
        with three decimals says that it is the decimal mark; else it groups.

        Args:
          value: of a feed's record; a list of one value is that value.
          currency: of the product, where another column says it.
        """
        if isinstance(value, list | tuple) and len(value) == 1:
            value = value[0]
        if isinstance(value, str):
            if _PLAIN.fullmatch(value):
                amount = float(value)
                return CellPrice(amount) if amount < MAX_AMOUNT else UNTOLD
            return self._of_text(value, currency)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float | decimal.Decimal):
            return UNTOLD
        return _of_number(value)

    def _of_text(self, text: str, currency: str) -> CellPrice | None:
        if "<" in text:
            # A struck-out price and the one that holds are cells of their own to people.
            text = _TAG.sub(" ", _RAISED.sub(r".\1", text))
        text = clean(text)
        if not text:
            return None
        known = currency_of(currency) or ""
        told = read_cell(text, lambda mark, own: self._is_decimal(mark, own or known))
        if told.amount is None:
            return told
        return CellPrice(without_noise(told.amount), told.currency)

    def _is_decimal(self, mark: str, currency: str) -> bool:
        if currency in WITHOUT_DECIMALS:
            return False
        if self._marks is None:
            self._marks = ColumnMarks(self._column())
        said = self._marks.is_decimal(mark)
        return currency in WITH_THREE_DECIMALS if said is None else said


def count_untold(values: Sequence[Any]) -> tuple[int, int]:
    """Of a column's values, how many tell no price, and how many are not missing."""
    reader = PriceReader(lambda: values)
    prices = [price for value in values if value != "" and (price := reader.read(value)) is not None]
    return sum(price.amount is None for price in prices), len(prices)


def untold_notes(column: str, untold: int, read: int) -> list[str]:
    """What to say of :func:`count_untold`'s figures about a column; nothing where each value tells a price."""
    if not untold:
        return []
    of = f"of the first {counted(read, 'value')}"
    said = counted(
        untold,
        f"{of} tells no price; a run counts it as missing",
        f"{of} tell no price; a run counts them as missing",
    )
    return [f"column {column!r}: {said}"]


def _of_number(value: float | decimal.Decimal) -> CellPrice | None:
    if value.is_nan() if isinstance(value, decimal.Decimal) else isinstance(value, float) and math.isnan(value):
        return None
    # Compared before it is made a float: an integer may be too large for one.
    if not 0 <= value < MAX_AMOUNT:
        return UNTOLD
    return CellPrice(without_noise(float(value)))


def without_noise(amount: float) -> float:
    """The price with the fewest decimals, two to four, that the noise of a 32- or 64-bit float was added to.

    19.989999771118164 (a 32-bit 19.99) and 79.99000000000001 are noisy; 33.333333333333336 and 0.00001 stay.
    """
    if round(amount, _DECIMALS) == amount:
        return amount
    is_32 = _FLOAT_32.unpack(_FLOAT_32.pack(amount))[0] == amount
    for noise in (_NOISE_64, _NOISE_32)[: 1 + is_32]:
        for decimals in range(2, _DECIMALS + 1):
            rounded = round(amount, decimals)
            if abs(amount - rounded) <= noise * amount:
                return rounded
    return amount
