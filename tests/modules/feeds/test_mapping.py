"""Mapping: which values become what, and which records are no products."""

from __future__ import annotations

import datetime
import decimal
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.feeds.mapping import Mapper, NotUsable, as_vector
from modules.settings.feed import FeedSettings

MAPPER = Mapper(FeedSettings())


def reason(record: Any, mapper: Mapper = MAPPER) -> str:
    with pytest.raises(NotUsable) as error:
        mapper.product(record)
    assert error.value.detail
    return error.value.reason


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, "7"),
        (7.0, "7"),
        (7.25, "7.25"),
        (True, "true"),
        (False, "false"),
        (decimal.Decimal("1.50"), "1.50"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        ("  <b>x</b> ", "x"),
        (b"bytes", "bytes"),
        (10**30, str(10**30)),
        (1e300, "1e+300"),
    ],
)
def test_values_become_text(value: Any, expected: str) -> None:
    assert MAPPER.product({"id": "1", "brand": value}).text == {"brand": expected}


@pytest.mark.parametrize("value", [None, "", "  ", "<p></p>", math.nan, math.inf, "\u200b"])
def test_values_that_are_missing(value: Any) -> None:
    assert MAPPER.product({"id": "1", "title": "t", "brand": value}).text == {"title": "t"}


@pytest.mark.parametrize("value", [[["a"]], [{}], {}, {"a": 1}])
def test_text_that_is_none(value: Any) -> None:
    assert reason({"id": "1", "title": value}) == "wrong_type"


def test_several_values_are_one_text() -> None:
    mapper = Mapper(FeedSettings())
    product = mapper.product({"id": 1, "size": ["S", None, 38, " "], "title": [], "image": ["a/1.jpg", "a/2.jpg"]})
    assert product.text == {"size": "S, 38", "image": "a/1.jpg"}


@pytest.mark.parametrize(
    ("cell", "first"),
    [
        ("https://a.example/1.jpg, https://a.example/2.jpg", "https://a.example/1.jpg"),
        ("https://a.example/1.jpg|//b.example/2", "https://a.example/1.jpg"),
        ("https://a.example/w=2,h=3/1.jpg", "https://a.example/w=2,h=3/1.jpg"),
        ("https://a.example/?u=https://b.example/1.jpg", "https://a.example/?u=https://b.example/1.jpg"),
        ("/m/b/1.jpg,/m/b/1_2.PNG", "/m/b/1.jpg"),
        ("red, blue; small.jpg", "red, blue; small.jpg"),
        ("", ""),
    ],
)
def test_the_first_of_several_pictures_counts(cell: str, first: str) -> None:
    text = Mapper(FeedSettings()).product({"id": 1, "title": "t", "image": cell}).text
    assert text.get("image", "") == first


@pytest.mark.parametrize(("value", "expected"), [(" a-1 ", "a-1"), (12, "12"), (12.0, "12"), (2**70, str(2**70))])
def test_ids(value: Any, expected: str) -> None:
    assert MAPPER.product({"id": value, "title": "t"}).id == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "no_id"), ("", "no_id"), ("  ", "no_id"), (math.nan, "no_id"), (True, "wrong_type"), (1.5, "wrong_type")]
    + [
        ([1], "wrong_type"),
        ({}, "wrong_type"),
        ("x" * 1001, "wrong_type"),
        ("a\x00b", "wrong_type"),
        (1e29, "wrong_type"),
    ],
)
def test_ids_that_are_none(value: Any, expected: str) -> None:
    assert reason({"id": value, "title": "t"}) == expected


@pytest.mark.parametrize("record", [None, 1, "text", [], [{"id": 1}], True, {"id": "1"}, {"id": 1, "other": "x"}])
def test_what_is_no_product(record: Any) -> None:
    assert reason(record) == "not_a_product"


def test_dotted_columns() -> None:
    feed = FeedSettings.model_validate({"fields": {"id": "meta.sku", "url": "extra.link", "title": "a.b"}})
    record = {"meta": {"sku": 5}, "extra": {"link": "u"}, "a.b": "literal", "a": {"b": "nested"}}
    product = Mapper(feed).product(record)
    assert (product.id, product.text) == ("5", {"title": "literal", "url": "u"})
    assert Mapper(feed).product({"meta": {"sku": 5}, "a.b": "t", "extra": "flat"}).text == {"title": "t"}


def test_truth_and_split() -> None:
    feed = FeedSettings.model_validate({"fields": {"truth": "path"}, "split": {"column": "extra.split"}})
    mapper = Mapper(feed)
    product = mapper.product({"id": 1, "title": "t", "path": "Shoes >  Boots", "extra": {"split": " train "}})
    assert (product.truth, product.split) == (("Shoes", "Boots"), "train")
    assert mapper.product({"id": 1, "title": "t", "path": ["Shoes", None, "Boots"]}).truth == ("Shoes", "Boots")
    for missing in (None, "", [], " > "):
        assert mapper.product({"id": 1, "title": "t", "path": missing}).truth == ()


VECTORS = Mapper(FeedSettings.model_validate({"fields": {"image_vector": "v"}}), {"image_vector": 3})


@pytest.mark.parametrize("value", [[1, 2.5, -3], "[1, 2.5, -3]", "1 2.5 -3", "1;2.5;-3", "1, 2.5, -3"])
def test_vectors(value: Any) -> None:
    vector = VECTORS.product({"id": 1, "v": value}).vectors["image_vector"]
    assert vector.dtype == np.float32
    assert vector.tolist() == [1, 2.5, -3]


@pytest.mark.parametrize(
    "value",
    [[1, 2], [1, 2, 3, 4], [1, 2, "3"], [1, 2, None], [1, 2, True], [1, 2, [3]], [1, 2, math.nan], [1, 2, math.inf]]
    + [
        [1, 2, 1e300],
        [1, 2, 10**400],
        {"a": 1},
        5,
        "a b c",
        "[1, 2",
        '[1, 2, "3"]',
        "{}",
        [],
        "[]",
        "nan 1 2",
        [[1, 2, 3]],
    ],
)
def test_vectors_that_are_none(value: Any) -> None:
    assert reason({"id": 1, "v": value}, VECTORS) == "wrong_type"


def test_a_missing_vector() -> None:
    for missing in (None, ""):
        assert VECTORS.product({"id": 1, "title": "t", "v": missing}).vectors == {}
    assert len(as_vector("v", [1.0] * 7, None)) == 7


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["id", "title", "price", "v", "brand", "color"]), JSON) | JSON)
@settings(max_examples=300, deadline=None)
def test_anything_is_a_product_or_not_usable(record: Any) -> None:
    try:
        product = VECTORS.product(record)
    except NotUsable:
        return
    assert product.id and product.id == product.id.strip()
    assert all(product.text.values())
    assert all(math.isfinite(number) and number >= 0 for number in product.numbers.values())
    assert not set(product.numbers) & set(product.untold)
    assert all(np.isfinite(v).all() and v.shape == (3,) for v in product.vectors.values())
