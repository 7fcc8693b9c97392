"""Triplets in the store: asked, judged, undone by a later verdict, and out to a file; on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from labelling.formats.triplets import export_triplets, import_questions
from labelling.store import Store
from labelling.store.triplets import add_questions, append_triplet, next_triplets, read_triplets
from modules.errors import InputError
from modules.similarity_quality.triplets import Question, Ranked, Triplet, agreed, line_of
from modules.similarity_quality.triplets import read_triplets as from_file
from tests.labelling.shop import NOW

QUESTIONS = [Question(f"q{i}", f"y{i}", f"x{i}", ("text", "image")) for i in range(20)]


def judge(store: Store, question: Question, who: str, time: int, verdict: str = "a", request: str | None = None) -> int:
    with store.write() as connection:
        one = Triplet(question.query, question.a, question.b, verdict, who, time, question.methods)
        return append_triplet(connection, one, request)


def asked(store: Store, who: str, count: int = 100) -> list[Question]:
    with store.read() as connection:
        return next_triplets(connection, who, count)


def queue(store: Store, questions: list[Question] = QUESTIONS, wanted: int = 2) -> int:
    with store.write() as connection:
        return add_questions(connection, questions, NOW, wanted)


def test_questions_are_asked_until_enough_have_answered(store: Store, clock: Callable[[], int]) -> None:
    assert queue(store) == 20
    # Known ones are not asked twice, whichever side the products are on.
    assert queue(store, [replace(QUESTIONS[0], a="x0", b="y0"), Question("q", "a", "b")]) == 1
    first = asked(store, "ann", 3)
    assert [one.query for one in first] == ["q0", "q1", "q2"] and first == asked(store, "ann", 3)
    with store.read() as connection:
        assert next_triplets(connection, "ann", 5, skip=18) == asked(store, "ann")[18:]
    judge(store, first[2], "ann", clock())
    assert [one.query for one in asked(store, "ann", 3)] == ["q0", "q1", "q3"]
    # What others have begun comes first.
    (begun,) = asked(store, "ben", 1)
    assert begun.query == "q2"
    judge(store, begun, "ben", clock())
    assert all(one.query != "q2" for who in ("ann", "ben", "cem") for one in asked(store, who))
    assert len(asked(store, "cem")) == 20


def test_sides_change_with_the_annotator(store: Store) -> None:
    queue(store)
    shown = {one for who in ("ann", "ben", "cem", "dora") for one in asked(store, who)}
    assert {one.key for one in shown} == {one.key for one in QUESTIONS} and len(shown) > 30
    for one in shown:
        assert one.methods == (("text", "image") if one.a.startswith("y") else ("image", "text"))
    left = sum(one.a.startswith("y") for one in asked(store, "ann"))
    assert 4 <= left <= 16


def test_the_newest_verdict_counts_and_all_are_kept(store: Store, clock: Callable[[], int], tmp_path: Path) -> None:
    queue(store)
    judge(store, QUESTIONS[0], "ann", clock(), "b")
    judge(store, replace(QUESTIONS[0], a="x0", b="y0"), "ann", clock(), "b")
    judge(store, Question("walk", "m", "n"), "ben", clock(), "both")  # one that nobody queued
    with store.read() as connection:
        rows = list(read_triplets(connection))
    assert [(one.query, one.verdict, one.annotator) for one in rows] == [
        ("q0", "b", "ann"), ("q0", "b", "ann"), ("walk", "both", "ben"),
    ]  # fmt: skip
    assert agreed(rows) == [Ranked("q0", "y0", "x0")]
    file = tmp_path / "triplets.jsonl"
    assert export_triplets(store, file) == 3 and from_file(file) == rows
    assert export_triplets(store, file, all_rows=False) == 2 and agreed(from_file(file)) == agreed(rows)
    assert len(asked(store, "ann")) == 19


def test_a_request_is_kept_once(store: Store) -> None:
    first = judge(store, QUESTIONS[0], "ann", NOW, request="r1")
    assert judge(store, QUESTIONS[0], "ann", NOW + 5, "b", request="r1") == first
    with store.read() as connection:
        assert [one.verdict for one in read_triplets(connection)] == ["a"]


@pytest.mark.parametrize("bad", [
    {"verdict": "A"}, {"verdict": None}, {"a": "q"}, {"query": ""}, {"annotator": "x" * 2000}, {"b": "\0"},
    {"b": "\ud800"}, {"methods": ("a", "b", "c")},
])  # fmt: skip
def test_bad_verdicts_are_refused(store: Store, bad: dict[str, object]) -> None:
    triplet = replace(Triplet("q", "x", "y", "a", "ann", NOW), **bad)  # type: ignore[arg-type]
    with pytest.raises(InputError), store.write() as connection:
        append_triplet(connection, triplet)
    with store.read() as connection:
        assert list(read_triplets(connection)) == []


def test_questions_come_from_a_file_whole_or_not_at_all(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_bytes(b"".join(map(line_of, QUESTIONS)))
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"query": "q", "a": "x", "b": "x"}\n')
    with pytest.raises(InputError, match="bad.jsonl:1"):
        import_questions(store, [file, bad], NOW)
    assert asked(store, "ann") == []
    assert import_questions(store, [file], NOW) == 20 and import_questions(store, [file], NOW) == 0


def test_a_store_of_the_first_version_is_brought_up_to_date(place: str) -> None:
    with Store(place) as store, store.write() as connection:
        newer = ("sign_in_failures", "devices", "suggestion_requests", "relabelled", "taxonomy_migrations")
        for table in ("triplets", "triplet_questions", *newer):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("ALTER TABLE labels DROP COLUMN confidence"))
        connection.execute(text("CREATE TABLE sign_ins (id INTEGER, account TEXT, address TEXT, time BIGINT)"))
        connection.execute(text("CREATE INDEX ix_sign_ins_time ON sign_ins (time)"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    with Store(place) as store:
        assert queue(store) == 20
        judge(store, QUESTIONS[0], "ann", NOW)
        with pytest.raises(Exception, match="append-only"), store.write() as connection:
            connection.execute(text("DELETE FROM triplets"))
