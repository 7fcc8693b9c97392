"""Written prices: a table that people judged, what a column says of its marks, and that nothing makes it fail."""

from __future__ import annotations

import decimal
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.feeds.mapping import Mapper
from modules.feeds.prices.cell import MAX_AMOUNT
from modules.feeds.prices.reader import ColumnMarks, PriceReader
from modules.settings.feed import FeedSettings
from tests.modules.feeds.prices.table import TOLD, UNTOLD

READER = PriceReader()


def is_price_or_none(value: Any) -> bool:
    """Whether a value is read as no price, or as an amount that can be one."""
    price = READER.read(value)
    if price is None or price.amount is None:
        return True
    return 0 <= price.amount < MAX_AMOUNT and math.isfinite(price.amount)


def told(value: Any, column: list[Any] | None = None, currency: str = "") -> float | None:
    price = PriceReader(lambda: column or []).read(value, currency)
    assert price is not None
    return price.amount


@pytest.mark.parametrize(("text", "amount", "currency"), TOLD)
def test_written_prices(text: str, amount: float, currency: str) -> None:
    assert READER.read(text) == (amount, currency)


@pytest.mark.parametrize("text", UNTOLD)
def test_what_tells_no_price(text: str) -> None:
    price = READER.read(text)
    assert price is not None and price.amount is None


def test_the_table_is_large_and_says_each_thing_once() -> None:
    texts = [text for text, _, _ in TOLD] + UNTOLD
    assert len(TOLD) >= 200 and len(set(texts)) == len(texts)


@pytest.mark.parametrize("value", [None, math.nan, decimal.Decimal("NaN"), "  ", "<p></p>", "\u200b", "\x00"])
def test_missing(value: Any) -> None:
    assert READER.read(value) is None


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        (12, 12.0), (0, 0.0), (19.99, 19.99), (0.30000000000000004, 0.3), (79.99000000000001, 79.99), (0.001, 0.001),
        (1.299, 1.299), (12.3456789, 12.3456789), (float(np.float32(19.99)), 19.99),
        (float(np.float32(129999.99)), 129999.99),
        (decimal.Decimal("79.9900"), 79.99), (decimal.Decimal("1.299"), 1.299), (119.98999999999998, 119.99),
        (["12.50"], 12.5), ([12.5], 12.5), (1e3, 1000.0),
    ],
)  # fmt: skip
def test_numbers(value: Any, amount: float) -> None:
    assert told(value) == amount


@pytest.mark.parametrize(
    "value",
    [
        -1,
        -0.01,
        math.inf,
        -math.inf,
        10**400,
        1e12,
        True,
        [],
        ["1", "2"],
        {"amount": "12"},
        b"12",
        decimal.Decimal("-5"),
    ],
)
def test_values_that_tell_no_price(value: Any) -> None:
    assert told(value) is None


def test_parquet_columns_of_any_number_type() -> None:
    for kind in (pa.float32(), pa.float64(), pa.decimal128(12, 4)):
        cells = [decimal.Decimal(text) for text in ("19.99", "79.9", "0.30", "1299", "34.99")]
        array = pa.array(cells, kind) if pa.types.is_decimal(kind) else pa.array(map(float, cells), kind)
        assert [told(value) for value in array.to_pylist()] == [19.99, 79.9, 0.3, 1299.0, 34.99]


@pytest.mark.parametrize(
    ("text", "column", "currency", "amount"),
    [
        # A dot that is a decimal mark elsewhere in the column, and a comma that is.
        ("1.299", ["12.50", "7.5", "1.299"], "", 1.299),
        ("1.299", ["12,50", "7,5", "1.299"], "", 1299),
        ("1,299", ["12.50", "7.5", "1,299"], "", 1299),
        ("1,299", ["12,50", "7,5", "1,299"], "", 1.299),
        # Three decimals throughout: a value below one or of four digits before the mark shows it.
        ("10.990", ["0.990", "10.990", "1299.000"], "", 10.99),
        ("10,990", ["0,990", "10,990"], "", 10.99),
        ("10.990", ["1.299.000", "10.990"], "", 10990),
        # Nothing says it, or as much for as against it.
        ("10.990", ["10.990", "5.500", "499"], "", 10990),
        ("10.990", ["10.990", "12.5", "12,5"], "", 10990),
        # A slip among many open values does not turn the column.
        ("10.990", ["10.990"] * 500 + ["9.5"], "", 10990),
        ("10.990", ["10.990"] * 500 + ["9.5"] * 6, "", 10.99),
        # Currencies: none without decimals has any, whatever the column has; those of three have them by default.
        ("12.500", ["12.99", "10.5"], "IDR", 12500),
        ("12.500", ["12.500"], "KWD", 12.5),
        ("12,500", ["12.500", "1.5"], "KWD", 12500),
        ("12.500", ["12,50"], "EUR", 12500),
        # Numbers, lists and words in the column say nothing.
        ("1.299", [1.5, None, ["12.50"], "call", True], "", 1299),
        # The cell itself says more than the column.
        ("1.299 - 1.499,00", ["12.50"], "", 1299),
    ],
)  # fmt: skip
def test_a_mark_with_three_digits_behind_it(text: str, column: list[Any], currency: str, amount: float) -> None:
    assert told(text, column, currency) == amount


def test_the_column_is_asked_once_and_only_where_a_mark_is_open() -> None:
    asked = []

    def column() -> list[str]:
        asked.append(1)
        return ["12.50"]

    reader = PriceReader(column)
    assert [reader.read(text) for text in ("12.99", "1.299,00 €", "Rp 12.500", "call", 1.299)] and asked == []
    assert [reader.read(text) for text in ("1.299", "2.499")] == [(1.299, ""), (2.499, "")] and asked == [1]


def test_marks_of_a_column_without_values() -> None:
    assert ColumnMarks().is_decimal(".") is None


def test_a_product_has_the_number_and_the_currency() -> None:
    mapper = Mapper(FeedSettings())
    product = mapper.product({"id": 1, "price": "1.299,00 €"})
    assert (product.text, product.numbers, product.untold) == ({"currency": "EUR"}, {"price": 1299.0}, ())
    product = mapper.product({"id": 1, "title": "t", "price": "12 €", "currency": "CHF"})
    assert (product.text, product.numbers) == ({"title": "t", "currency": "CHF"}, {"price": 12.0})
    product = mapper.product({"id": 1, "title": "t", "price": "call"})
    assert (product.text, product.numbers, product.untold) == ({"title": "t"}, {}, ("price",))
    product = mapper.product({"id": 1, "title": "t", "price": ""})
    assert (product.numbers, product.untold) == ({}, ())


def test_the_head_of_the_file_is_the_evidence() -> None:
    head = [{"price": "12.50"}, {"price": "1.299"}, "no record", {}]
    record = {"id": 1, "price": "1.299"}
    assert Mapper(FeedSettings(), head=lambda: head).product(record).numbers == {"price": 1.299}
    assert Mapper(FeedSettings()).product(record).numbers == {"price": 1299.0}


MARKS = [
    (",", "."),
    (".", ","),
    (" ", ","),
    (" ", "."),
    ("'", "."),
    ("\u00a0", ","),
    ("\u202f", ","),
    ("’", "."),
    ("٬", "٫"),
]
AROUND = [
    ("", ""),
    ("€", ""),
    ("", " €"),
    ("EUR ", ""),
    ("", "EUR"),
    ("ab ", " zł"),
    ("US$", ""),
    ("from $", "*"),
    ("Rs. ", ""),
]


@given(
    st.integers(0, 10**11), st.integers(0, 99), st.sampled_from(MARKS), st.sampled_from(AROUND),
    st.sampled_from(["0123456789", "٠١٢٣٤٥٦٧٨٩", "０１２３４５６７８９", "०१२३४५६७८९"]),
)  # fmt: skip
@settings(max_examples=500, deadline=None)
def test_any_way_to_write_two_decimals(
    whole: int, cents: int, marks: tuple[str, str], around: tuple[str, str], digits: str
) -> None:
    grouping, mark = marks
    number = f"{whole:,}".replace(",", grouping) + f"{mark}{cents:02}"
    text = around[0] + number.translate(str.maketrans("0123456789", digits)) + around[1]
    assert told(text) == float(f"{whole}.{cents:02}")


@given(st.integers(0, 10**11), st.integers(0, 10**8), st.integers(4, 8), st.sampled_from(",."))
@settings(max_examples=300, deadline=None)
def test_four_or_more_digits_behind_the_only_mark_are_decimals(
    whole: int, fraction: int, width: int, mark: str
) -> None:
    decimals = f"{fraction:0{width}}"[-width:]
    assert told(f"{whole}{mark}{decimals}") == pytest.approx(float(f"{whole}.{decimals}"), rel=1e-14)


@given(st.integers(0, 10**8), st.integers(2, 4))
@settings(max_examples=300, deadline=None)
def test_the_noise_of_floats_goes(units: int, decimals: int) -> None:
    """Whatever binary float a price went through, the reader gives the decimal number that it was."""
    price = float(decimal.Decimal(units).scaleb(-decimals))
    assert told(price) == price
    assert told(price * 3 / 3) == price
    if price < 10_000:
        assert told(float(np.float32(price))) == pytest.approx(price, rel=0 if decimals == 2 else 3e-7)


@given(
    st.one_of(
        st.text(max_size=400),
        st.text("0123456789.,'- /€$%krRs()", max_size=40),
        st.integers(),
        st.floats(),
        st.decimals(),
        st.binary(max_size=20),
    )
)
@settings(max_examples=1000, deadline=None)
def test_anything_is_a_price_or_none(value: Any) -> None:
    assert is_price_or_none(value)


@pytest.mark.parametrize("piece", ["1 ", "1.", "1,000 ", "€ ", "- ", "a", "save ", "1-", "(", "١", "12€"])
def test_a_long_cell_is_read_to_its_end(piece: str) -> None:
    """As a price or as none: an expression that tries all ways through it would not end."""
    assert all(is_price_or_none(text) for text in ((piece * 400)[:300], piece * 100_000) for _ in range(50))
