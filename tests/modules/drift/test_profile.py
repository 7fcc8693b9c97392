"""What a profile counts, that it does not depend on batches, and that it comes back from its file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.drift import building
from modules.drift.building import build_profile
from modules.drift.comparing import compare
from modules.drift.profile import ColumnCounts, FeedProfile, price_bins, price_of
from modules.drift.words import title_words
from modules.errors import InputError
from modules.examples import PRICE, RETAILER, TITLE
from tests.modules.drift.feeds import CATEGORY, EMBEDDING, LANGUAGE, OTHER_LANGUAGE, Feed


@given(st.lists(st.one_of(st.none(), st.text(max_size=30)), max_size=10))
def test_words_of_titles_are_distinct_and_have_no_case(titles: list[str | None]) -> None:
    rows, slots = title_words(pa.array(titles, pa.string()))
    assert len({*zip(rows.tolist(), slots.tolist(), strict=True)}) == len(rows)
    assert all(0 <= row < len(titles) for row in rows)


def test_words_are_runs_of_letters() -> None:
    rows, _ = title_words(pa.array(["Red BOOT, red boot 42 x", "rot", None, "ÄRMEL ärmel", "12-34"]))
    assert Counter(rows.tolist()) == {0: 2, 1: 1, 3: 1}
    first, second = (title_words(pa.array([text]))[1].tolist() for text in ("Straße naïve", "straße/NAÏVE"))
    assert first == second


def test_counts_are_those_of_a_plain_loop() -> None:
    feed = Feed().add("acme", 300, 1).add("bolt", 100, 2)
    profile = feed.profile()
    for retailer, products in (("acme", 300), ("bolt", 100)):
        own = profile.retailers[retailer]
        here = [i for i, name in enumerate(feed.rows[RETAILER]) if name == retailer]
        assert own.products == own.counted == products == own.prices.sum() == own.unknown.sum() == own.cells.sum()
        assert own.categories == Counter(feed.rows[CATEGORY][i] for i in here)
        vectors = np.array([feed.rows[EMBEDDING][i] for i in here])
        nearest = ((vectors[:, None] - profile.prototypes) ** 2).sum(axis=2).argmin(axis=1)
        np.testing.assert_array_equal(own.cells, np.bincount(nearest, minlength=len(own.cells)))
        titles = [set(title.split()) for title in feed.rows[TITLE]]
        holders = Counter(word for words in titles for word in words)
        assert own.words == sum(len(titles[i]) for i in here)
        # Slots are shared by chance: of 400 words among four million, hardly any.
        assert own.unknown_words == sum(holders[word] == 1 for i in here for word in titles[i])


def test_unknown_words_are_those_that_the_training_feed_lacks() -> None:
    training = Feed().add("acme", 500, 1).profile()
    known = {word for title in Feed().add("acme", 500, 1).rows[TITLE] for word in title.split()}
    mixed = Feed().add("acme", 200, 5, language=[*LANGUAGE[:50], *OTHER_LANGUAGE[:50]])
    own = mixed.profile(training).retailers["acme"]
    titles = [set(title.split()) for title in mixed.rows[TITLE]]
    assert own.unknown_words == sum(word not in known for words in titles for word in words)
    assert Feed().add("acme", 500, 1).profile(training).retailers["acme"].unknown_words == 0


def test_batches_change_nothing() -> None:
    whole, small = (Feed(batch).add("acme", 200, 1).add("bolt", 50, 2).profile() for batch in (1000, 7))
    assert whole.retailers.keys() == small.retailers.keys()
    for name, own in whole.retailers.items():
        other = small.retailers[name]
        assert (own.categories, own.words, own.unknown_words) == (other.categories, other.words, other.unknown_words)
        np.testing.assert_array_equal(own.prices, other.prices)
    np.testing.assert_array_equal(whole.words, small.words)


def test_a_profile_comes_back_from_its_file(tmp_path: Path) -> None:
    profile = Feed().add("acme", 200, 1).add("", 50, 2).profile()
    file = tmp_path / "profile.npz"
    profile.write(file)
    back = FeedProfile.read(file, "run again")
    assert back.is_whole and back.products == 250 and file.stat().st_size < 100_000
    np.testing.assert_array_equal(back.words > 0, profile.words > 0)
    np.testing.assert_array_equal(back.prototypes, profile.prototypes)
    for name, own in profile.retailers.items():
        for field, value in vars(own).items():
            np.testing.assert_array_equal(getattr(back.retailers[name], field), value)


@pytest.mark.parametrize("keep", [0, 100, -100])
def test_a_damaged_file_says_so(tmp_path: Path, keep: int) -> None:
    file = tmp_path / "profile.npz"
    Feed().add("acme", 50, 1).profile().write(file)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(InputError, match="damaged.*run again"):
        FeedProfile.read(file, "run again")


def test_counts_of_columns_come_back_and_damage_is_said(tmp_path: Path) -> None:
    file = tmp_path / "columns.json"
    with pytest.raises(InputError, match="predict again"):
        ColumnCounts.read(file, "predict again")
    counts = ColumnCounts()
    counts.add("acme", [TITLE, PRICE, RETAILER])
    counts.add("acme", [TITLE])
    counts.write(file)
    back = ColumnCounts.read(file, "predict again")
    assert back.products == {"acme": 2} and back.present == {"acme": {TITLE: 2, PRICE: 1}}
    more_than_there_are = '{"products": {"acme": 2}, "present": {"acme": {"title": 3}}}'
    for text in (
        "[]", '{"products": {}, "present": {"acme": 3}}', "{", '{"products": {}, "present": {"a": {"b": 1}}}',
        more_than_there_are, more_than_there_are.replace("3", "-1"),
    ):  # fmt: skip
        file.write_text(text)
        with pytest.raises(InputError, match="damaged"):
            ColumnCounts.read(file, "predict again")
    file.unlink()
    file.mkdir()
    with pytest.raises(InputError, match=r"cannot be read: .*predict again"):
        ColumnCounts.read(file, "predict again")


def test_every_damage_of_a_profile_is_said(tmp_path: Path) -> None:
    whole, file = tmp_path / "whole.npz", tmp_path / "feed_profile.npz"
    Feed().add("acme", 40, 1).profile().write(whole)
    content = whole.read_bytes()
    damaged = 0
    for place in range(0, len(content), max(1, len(content) // 1500)):
        for bit in (1, 128):
            file.write_bytes(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])
            try:
                FeedProfile.read(file, "run again")
            except InputError as error:
                assert "damaged" in str(error) and "run again" in str(error)
                damaged += 1
    # What is left over are names and times of the archive, which nobody reads.
    assert damaged > 1500


@pytest.mark.parametrize(
    "change",
    [
        {"head": {"layout": 1, "is_whole": True, "retailers": [1]}},
        {"head": {"layout": 1, "is_whole": True, "retailers": {"acme": "abcdef"}}},
        {"head": {"layout": 1, "is_whole": True, "retailers": {"acme": [1, 1, [], [], 1, 1]}}},
        {"head": {"layout": 1, "is_whole": True, "retailers": {"acme": [1, 1, {"title": 2}, {}, 1, 1]}}},
        {"unknown": np.zeros((1, 2), np.int64)},
        {"prices": np.zeros((2, 401), np.int64)},
        {"cells": np.full((1, 32), -1)},
        {"prototypes": np.zeros((33, 4), np.float32)},
    ],
    ids=lambda change: str(next(iter(change))),
)
def test_a_profile_of_another_shape_is_damaged(tmp_path: Path, change: dict[str, Any]) -> None:
    file = tmp_path / "feed_profile.npz"
    Feed().add("acme", 40, 1).profile().write(file)
    with np.load(file) as parts:
        content = dict(parts)
    if "head" in change:
        change = {"head": np.frombuffer(json.dumps(change["head"]).encode(), np.uint8)}
    np.savez(file, **{**content, **change})
    with pytest.raises(InputError, match="damaged"):
        FeedProfile.read(file, "run again")


@given(st.floats(0.011, 9e7))
def test_a_bin_tells_its_prices_within_three_percent(price: float) -> None:
    (place,) = price_bins(np.array([price]))
    assert price_of(int(place)) == pytest.approx(price, rel=0.03)


def test_prices_beyond_the_scale_have_a_bin() -> None:
    bins = price_bins(np.array([-1.0, 0.0, 1e-9, 1e300]))
    assert bins.tolist() == [0, 0, 1, 400]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.one_of(st.none(), st.lists(st.sampled_from("xyz"))))),
    st.integers(1, 5),
)
def test_categories_of_several_a_product_are_each_counted(
    products: list[tuple[str, list[str] | None]], size: int
) -> None:
    table = pa.table(
        {
            RETAILER: pa.array([retailer for retailer, _ in products], pa.string()),
            TITLE: pa.array([None] * len(products), pa.string()),
            PRICE: pa.array([None] * len(products), pa.float64()),
            "c": pa.array([own for _, own in products], pa.list_(pa.string())),
        }
    )
    empty = table.slice(0, 0).to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]

    def scan(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        yield from [*table.to_batches(max_chunksize=size), *empty]

    profile = build_profile(scan, "c", None, ColumnCounts())
    assert profile.retailers.keys() == {retailer for retailer, _ in products}
    for name, own in profile.retailers.items():
        lists = [categories or [""] for retailer, categories in products if retailer == name]
        assert own.categories == Counter(category for categories in lists for category in categories)
        assert own.products == len(lists) and own.words == 0 and own.prices.sum() == 0


def test_of_very_many_retailers_the_largest_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "MAX_RETAILERS", 2)
    feed = Feed().add("small", 3, 1).add("large", 30, 2).add("middle", 10, 3)
    profile = feed.profile()
    assert not profile.is_whole and [*profile.retailers] == ["large", "middle"]
    assert profile.retailers["large"].categories == Counter(feed.rows[CATEGORY][3:33])
    other = Feed().add("small", 30, 1).add("large", 30, 2)
    kinds = {row.kind for row in compare(profile, other.profile(profile), 0.01, 0.15)}
    # Nobody knows whether a retailer that was left out is new.
    assert "new_retailer" not in kinds and "gone_retailer" in kinds
