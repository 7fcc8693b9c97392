"""GTINs and item groups as shops write them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.feeds.identifiers import gtin_of, gtins_in, gtins_of, is_internal, item_groups_of


def with_check_digit(body: str) -> str:
    """By GS1's rule as it is written: from the right, in turn three times and once."""
    total = sum(int(digit) * (3, 1)[place % 2] for place, digit in enumerate(reversed(body)))
    return body + str(-total % 10)


@given(st.sampled_from([7, 11, 12, 13]).flatmap(lambda n: st.text("0123456789", min_size=n, max_size=n)))
def test_one_check_digit_of_ten_is_right(body: str) -> None:
    number = with_check_digit(body)
    told = gtin_of(number)
    assert told in (None, number.zfill(14))
    # Only what counts up or down, or repeats one digit, is taken for a placeholder.
    digits = body.lstrip("0")
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(digits)}
    if told is None:
        assert len(digits) < 2 or steps in ({0}, {1}, {9})
    wrong = [body + str(digit) for digit in range(10) if body + str(digit) != number]
    assert not [text for text in wrong if gtin_of(text)]


@given(st.text(max_size=40))
def test_any_text_is_read(text: str) -> None:
    assert all(len(number) == 14 and gtin_of(number) == number for number in gtins_in(text))


@pytest.mark.parametrize(
    ("value", "numbers"),
    [
        ("4006381333931", ["04006381333931"]),
        (4006381333931, ["04006381333931"]),
        (4006381333931.0, ["04006381333931"]),
        ("4006381333931.0", ["04006381333931"]),
        ("'4006381333931", ["04006381333931"]),
        ("4 006381 333931", ["04006381333931"]),
        ("978-3-16-148410-0", ["09783161484100"]),
        ("036000291452", ["00036000291452"]),
        ("0036000291452", ["00036000291452"]),
        ("96385074", ["00000096385074"]),
        ("4006381333931, 036000291452", ["04006381333931", "00036000291452"]),
        ("4006381333931 036000291452", ["04006381333931", "00036000291452"]),
        (["4006381333931", 36000291452, "036000291452"], ["04006381333931", "00036000291452"]),
        ("4006381333930", []),
        ("400638133393", []),
        ("0000000000000", []),
        ("00000000", []),
        ("1234567890128", []),
        ("12345670", []),
        ("n/a", []),
        ("4.00638E+12", []),
        ("4.006381E12", []),
        ("4.006381333931E12", ["04006381333931"]),
        ("4.00638133390E+12", ["04006381333900"]),
        ("4.00638133392E+12", []),
        ("9.638507E6", []),
        ("9.6385074E7", ["00000096385074"]),
        ("9.6385074E99", []),
        (None, []),
        (True, []),
        ({"ean": "4006381333931"}, []),
        ([[1]], []),
        (b"\xff", []),
        (float("nan"), []),
    ],
)
def test_cells(value: Any, numbers: list[str]) -> None:
    assert list(gtins_of("ean", value)) == numbers


@pytest.mark.parametrize(
    ("number", "internal"),
    [("2000000000015", True), ("0200000000019", True), ("0400000000017", True), ("20000011", True),
     ("4006381333931", False), ("036000291452", False), ("96385074", False), ("12000000000017", True)],
)  # fmt: skip
def test_a_shop_may_make_up_numbers_of_its_own(number: str, internal: bool) -> None:
    assert is_internal(number.zfill(14)) == internal


@pytest.mark.parametrize(
    ("value", "groups"),
    [("A-1", ("A-1",)), (17, ("17",)), (17.0, ("17",)), (["a", "b", None], ("a", "b")), (" N/A ", ()), ("", ()),
     ("—", ()), ("default", ()), (0, ()), ("none", ()), ({"a": 1}, ()), (None, ())],
)  # fmt: skip
def test_item_groups(value: Any, groups: tuple[str, ...]) -> None:
    assert item_groups_of("parent", value) == groups
