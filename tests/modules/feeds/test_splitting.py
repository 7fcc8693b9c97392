"""The split: stable, by group, with the right shares, and with independent cuts."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.feeds.splitting import Splitter, group_of, normalised
from modules.settings.feed import SplitSettings

DEFAULT = Splitter(SplitSettings())


def test_is_the_same_in_every_process_and_version() -> None:
    titles = ["Red shoe", "Blue boot", "Straße 7", "", "Green hat", "Lamp"]
    splits = [DEFAULT.split({"title": title}, "id-1") for title in titles]
    assert splits == ["train", "test", "train", "test", "train", "train"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Red  Shoe!", "red shoe"),
        ("ＲＥＤ shoe", "red-shoe"),
        ("STRASSE 7", "straße 7"),
        ("ﬁne café", "FINE cafe\u0301"),
    ],
)
def test_spellings_of_a_title_are_one(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@given(st.text())
def test_normalising_is_idempotent(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


@given(st.text(st.characters(codec="ascii")))
def test_the_fast_way_is_the_slow_way(text: str) -> None:
    assert normalised(text) == normalised(text + "é").removesuffix("é").strip()


def test_variants_stay_together() -> None:
    blue = {"title": "Runner 2, Blue, 42", "size": "42", "color": "Blue"}
    red = {"title": "Runner 2 - Red 43", "size": "43", "color": "red"}
    plain = {"title": "Runner 2"}
    assert group_of(blue) == group_of(red) == group_of(plain) == "runner 2"
    assert group_of({"title": "Blue", "color": "blue"}) == "blue"
    assert group_of({"title": "Blue lamp", "color": "blue"}) == "blue lamp"


def test_the_id_decides_only_without_a_title() -> None:
    assert len({DEFAULT.split({"title": "lamp"}, str(i)) for i in range(100)}) == 1
    assert len({DEFAULT.split({"title": "!?"}, str(i)) for i in range(100)}) == 3


def test_another_seed_is_an_independent_split() -> None:
    other = Splitter(SplitSettings(seed=1))
    titles = [f"lamp {i}" for i in range(4000)]
    pairs = Counter((DEFAULT.split({"title": t}, "x"), other.split({"title": t}, "x")) for t in titles)
    assert pairs["test", "test"] / 4000 == pytest.approx(0.2 * 0.2, abs=0.012)
    assert sum(n for (_, second), n in pairs.items() if second == "test") / 4000 == pytest.approx(0.2, abs=0.025)


def test_shares() -> None:
    splitter = Splitter(SplitSettings(eval_share=0.1, test_share=0.2))
    counts = Counter(splitter.split({}, str(i)) for i in range(20_000))
    assert counts["test"] / 20_000 == pytest.approx(0.2, abs=0.01)
    assert counts["eval"] / 20_000 == pytest.approx(0.1, abs=0.01)


def test_a_larger_test_share_moves_nothing_between_train_and_eval_of_the_rest() -> None:
    small = Splitter(SplitSettings(eval_share=0.2, test_share=0.2))
    large = Splitter(SplitSettings(eval_share=0.15, test_share=0.4))
    pairs = Counter((small.split({}, str(i)), large.split({}, str(i))) for i in range(5000))
    assert {pair for pair in pairs if pair[0] == "test"} == {("test", "test")}
    assert pairs["train", "eval"] == pairs["eval", "train"] == 0


def test_the_given_split_counts() -> None:
    splitter = Splitter(SplitSettings(column="split", values={"tr": "train", "va": "eval", "te": "test"}))
    assert [splitter.split({}, "1", value) for value in ("tr", "va", "te")] == ["train", "eval", "test"]
    unknown = [splitter.split({}, str(i), "??") for i in range(50)]
    assert unknown == [splitter.split({}, str(i), None) for i in range(50)]
    assert unknown == [DEFAULT.split({}, str(i)) for i in range(50)]


def test_eval_is_cut_out_of_a_given_train() -> None:
    splitter = Splitter(SplitSettings(column="split", values={"tr": "train", "te": "test"}, eval_share=0.25))
    train = Counter(splitter.split({}, str(i), "tr") for i in range(8000))
    assert set(train) == {"train", "eval"}
    assert train["eval"] / 8000 == pytest.approx(0.25, abs=0.02)
    assert {splitter.split({}, str(i), "te") for i in range(100)} == {"test"}
    # The cut does not depend on what the hash would have made test.
    of_test = Counter(splitter.split({}, str(i), "tr") for i in range(8000) if DEFAULT.split({}, str(i)) == "test")
    assert of_test["eval"] / of_test.total() == pytest.approx(0.25, abs=0.04)
