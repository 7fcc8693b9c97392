"""Counting bad records, and when there are too many."""

from __future__ import annotations

import json

import pytest

from modules.feeds.quarantine import (
    RAW_LIMIT,
    REASONS,
    BadRecord,
    Tally,
    incomplete,
    raw_text,
    tally_from_json,
    tally_to_json,
)


def tally(read: int, *bad: BadRecord, limit: int = 2) -> Tally:
    made = Tally(limit, read)
    for record in bad:
        made.add(record)
    return made


def bad(line: int, reason: str = "no_id", file: str = "a") -> BadRecord:
    return BadRecord(file, line, reason, "detail", "raw")


def test_the_share_is_a_limit_not_a_target() -> None:
    assert not tally(10, bad(1)).problems(0.1)
    assert not tally(0).problems(0.0)
    lines = list(map(str, tally(10, bad(1), bad(2), bad(3), bad(9, "broken_json")).problems(0.39)))
    assert "4 of 10 records are bad (40.0%): broken_json 1, no_id 3" in lines[0]
    assert lines[1].startswith("a:9") and "broken_json: detail" in lines[1]
    assert [line.split(" = ")[0] for line in lines[2:]] == ["a:1", "a:2"]


def test_merging_keeps_the_first_examples() -> None:
    merged = Tally(2)
    for part in (tally(5, bad(4), bad(9)), tally(6, bad(1, file="b"), bad(2)), tally(7, bad(3, "wrong_type"))):
        merged.merge(tally_from_json(json.loads(json.dumps(tally_to_json(part))), 2))
    assert merged.read == 18
    assert dict(merged.counts) == {"no_id": 4, "wrong_type": 1}
    assert [(b.file, b.line) for b in merged.examples["no_id"]] == [("a", 2), ("a", 4)]


@pytest.mark.parametrize("raw", [b"\xff\xfe" * 5000, "\ud800" * 5000, "x" * 5000, b"", "é" * 3000])
def test_raw_text_is_short_and_writable(raw: bytes | str) -> None:
    text = raw_text(raw)
    assert len(text) <= RAW_LIMIT
    row = json.loads(BadRecord("f", 1, "undecodable", "d", text).to_json())
    assert row == {"file": "f", "line": 1, "reason": "undecodable", "detail": "d", "raw": text}


def test_a_file_name_that_is_no_utf8_can_be_written() -> None:
    assert json.loads(BadRecord("a\udcff", 1, "no_id", "d", "r").to_json())["file"] == "a\udcff"


def test_every_reason_says_what_is_right() -> None:
    assert all(REASONS.values())


def test_a_record_that_is_nowhere_is_an_error() -> None:
    assert incomplete(read=10, products=8, bad=2) == []
    for products in (7, 9):
        [problem] = incomplete(10, products, 2)
        assert "10 were read" in problem.expected
