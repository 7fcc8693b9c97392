"""Numbers with units, as feeds write them: told by a rule, or counted as untold, and never guessed."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.feeds.numbers import NumberReader


def read(value: Any, *column: Any) -> float | None:
    return NumberReader(lambda: column).read(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (4, 4.0), (4.5, 4.5), (Decimal("4.5"), 4.5), ([3], 3.0), ("4.5", 4.5), ("4,5", 4.5), ("-3", -3.0),
        ("−3 °C", -3.0),
        ("0", 0.0), ("0.250", 0.25), ("1,299.50", 1299.5), ("1.299,5", 1299.5), ("1 299,5", 1299.5), ("1e-3", 0.001),
        ("٣", 3.0), ("<b>12</b> cm", 12.0), ("12\xa0cm", 12.0), ("45 %", 45.0), ("100 g/m²", 100.0), ("5 Stück", 5.0),
        ("4.5 / 5", 4.5), ("4,5/5", 4.5), ("4.5 out of 5 stars", 4.5), ("8 von 10", 8.0), ("1.2 kg", 1200.0),
        ("800 g", 800.0), ("12 mm", 1.2), ('10"', 25.4), ("10''", 25.4), ("1.5 l", 1500.0), ("2 TB", 2000.0),
        ("3 h", 180.0),
    ],
)  # fmt: skip
def test_what_tells_a_number(value: Any, expected: float) -> None:
    assert read(value) == pytest.approx(expected)


@pytest.mark.parametrize("value", [None, "", "  ", math.nan, "<br>", Decimal("nan")])
def test_what_is_missing(value: Any) -> None:
    assert read(value) is None


@pytest.mark.parametrize(
    "value",
    [
        True, {}, [1, 2], [], "large", "n/a", "10-12", "10 x 20 cm", "1/2", "3/4 inch", "½", "1½", "2020-01-01",
        "12.5.2020",
        "12 May 2020", "ca. 5", "from 5", "1.2M", "300K", "5 million", "7 / 5", "11 of 10", "1.2.3",
        "4006381333931", 4006381333931,
        10**400, math.inf, -math.inf, "1e40", "$ 12", "1.299", "1,299", "+49 30 123456", "5 kg (11 lb)", "9" * 400,
        "5 " + "a" * 50,
    ],
)  # fmt: skip
def test_what_is_not_guessed(value: Any) -> None:
    number = read(value)
    assert number is not None and math.isnan(number)


def test_the_column_says_what_one_value_leaves_open() -> None:
    assert read("1.299", "4.5", "3.25") == 1.299
    assert read("1.299", "4,5") == 1299.0
    assert read("5", "1 kg", "2 kg", "300 g") == 5000.0
    assert read(5, "1 kg", "2 kg", "300 g") == 5000.0
    assert read("800 g", "1 kg", "2 kg") == 800.0
    assert read(["5"], ["1 kg"], ["2 kg"]) == 5000.0
    assert math.isnan(read("5 cm", "1 kg", "2 kg") or 0.0)
    assert math.isnan(read("5 pairs", "1 Stück") or 0.0)
    assert math.isnan(read("8/10", "4/5", "3/5") or 0.0)


@given(
    st.decimals(0, 10**6, places=2), st.sampled_from([("kg", 1000.0), ("g", 1.0), ("mg", 0.001), ("lb", 453.59237)]),
    st.sampled_from(["{} {}", "{}{}", " {}  {} ", "{}\xa0{}."]), st.sampled_from(".,"), st.booleans(),
)  # fmt: skip
def test_a_weight_is_the_same_however_it_is_written(
    number: Decimal, unit: tuple[str, float], form: str, mark: str, minus: bool
) -> None:
    written = form.format(f"{'-' if minus else ''}{number:.2f}".replace(".", mark), unit[0])
    assert read(written, "1 kg") == pytest.approx(float(-number if minus else number) * unit[1])


@given(st.one_of(st.text(max_size=40), st.floats(), st.integers(), st.lists(st.text(max_size=3), max_size=3)))
def test_nothing_makes_it_fail_and_what_is_told_is_a_finite_32_bit_number(value: Any) -> None:
    number = read(value, value)
    assert number is None or math.isnan(number) or abs(number) < 1e12
