"""Verdicts in files: what counts, and what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.errors import InputError
from modules.similarity_quality.triplets import (
    VERDICTS,
    Question,
    Ranked,
    Triplet,
    agreed,
    line_of,
    read_questions,
    read_triplets,
    standing,
)

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
TRIPLETS = st.builds(
    Triplet,
    st.just("q"),
    st.sampled_from("ab"),
    st.sampled_from("cd"),
    st.sampled_from(VERDICTS),
    st.sampled_from(["ann", "bob"]),
    st.integers(0, 3),
)


def said(verdict: str, annotator: str = "ann", time: int = 0, a: str = "a", b: str = "b", query: str = "q") -> Triplet:
    return Triplet(query, a, b, verdict, annotator, time)


@given(
    st.lists(st.tuples(TEXTS, TEXTS, TEXTS, st.sampled_from(VERDICTS), TEXTS, st.integers(0, 4 * 10**15)), max_size=4)
)
def test_what_is_written_is_read(rows):
    triplets = [Triplet(*row, ("one", "two")) for row in rows if len(set(row[:3])) == 3]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "t.jsonl"
        file.write_bytes(b"".join(map(line_of, triplets)))
        assert read_triplets(file) == triplets
        file.write_bytes(b"".join(line_of(Question(t.query, t.a, t.b)) for t in triplets))
        assert read_questions(file) == [Question(t.query, t.a, t.b) for t in triplets]


@given(st.lists(TRIPLETS), st.randoms())
def test_the_newest_verdict_of_an_annotator_counts(triplets, random):
    found = standing(triplets)
    for one in found:
        same = [t for t in triplets if (t.key, t.annotator) == (one.key, one.annotator)]
        newest = max(t.time for t in same)
        assert one.time == newest and one == [t.turned() for t in same if t.time == newest][-1]
    assert len(found) == len({(t.key, t.annotator) for t in triplets})
    by_time = sorted(triplets, key=lambda t: t.time)
    shuffled = list(triplets)
    random.shuffle(shuffled)
    assert set(standing(by_time)) == set(standing(triplets))
    if len({(t.key, t.annotator, t.time) for t in triplets}) == len(triplets):
        assert set(standing(shuffled)) == set(found)


def test_sides_do_not_matter():
    assert said("a", a="y", b="x").turned() == said("b", a="x", b="y")
    assert agreed([said("a"), said("b", "bob", a="b", b="a")]) == [Ranked("q", "a", "b")]


@pytest.mark.parametrize(("triplets", "expected"), [
    ([said("a"), said("a", "bob")], [Ranked("q", "a", "b")]),
    ([said("a"), said("b", "bob")], []),
    ([said("a"), said("both", "bob")], []),
    ([said("both"), said("neither", query="r")], []),
    ([said("a"), said("b", time=1)], [Ranked("q", "b", "a")]),
    ([said("b", time=1), said("a")], [Ranked("q", "b", "a")]),
    ([said("a"), said("b", "bob"), said("a", "bob", 1)], [Ranked("q", "a", "b")]),
])  # fmt: skip
def test_only_agreed_rankings_count(triplets, expected):
    assert agreed(triplets) == expected


def test_times_at_the_ends_of_the_calendar(tmp_path: Path):
    row = {"query": "q", "a": "x", "b": "y", "verdict": "a", "annotator": "ann"}
    file = tmp_path / "t.jsonl"
    for time in ("0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59.999999Z"):
        file.write_text(json.dumps(row | {"time": time}) + "\n")
        (one,) = read_triplets(file)
        again = tmp_path / "again.jsonl"
        again.write_bytes(line_of(one))
        assert list(read_triplets(again)) == [one]
    for time in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"):  # in UTC in the years 0 and 10,000
        file.write_text(json.dumps(row | {"time": time}) + "\n")
        with pytest.raises(InputError, match="time"):
            read_triplets(file)


def test_all_mistakes_are_said(tmp_path: Path):
    good = {"query": "q", "a": "x", "b": "y", "verdict": "a", "annotator": "ann", "time": "2026-03-01T09:30:00Z"}
    bad = [
        good | {"verdict": "A"},
        good | {"b": "x"},
        good | {"time": "yesterday"},
        good | {"query": "\0"},
        good | {"annotator": 3},
        good | {"verdct": "a"},
        good | {"methods": ["a", "b", "c"]},
        {key: value for key, value in good.items() if key != "time"},
    ]
    file = tmp_path / "t.jsonl"
    lines = [json.dumps(row) for row in [good, *bad]]
    file.write_bytes("\n".join(lines).encode() + b"\n\n[]\n{\n\xff\n" + b"x" * 70_000)
    with pytest.raises(InputError) as error:
        read_triplets(file)
    found = [(p.line, p.key) for p in error.value.problems]
    assert found == [(2, "verdict"), (3, "b"), (4, "time"), (5, "query"), (6, "annotator"), (7, "verdct"),
                     (8, "methods"), (9, "time"), (11, ""), (12, ""), (13, ""), (14, "")]  # fmt: skip
    assert "did you mean 'verdict'" in str(error.value) and "three different products" in str(error.value)
    with pytest.raises(InputError, match="cannot be read"):
        read_triplets(tmp_path / "none.jsonl")
    file.write_text("\n".join(["{}"] * 300))
    with pytest.raises(InputError) as error:
        read_questions(file)
    assert len(error.value.problems) == 101 and str(error.value.problems[-1]) == "and 800 more"
