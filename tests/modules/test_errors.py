"""What people read when their input is wrong."""

from __future__ import annotations

import builtins
import json
import sqlite3
import traceback
import zlib
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy
import yaml
from hypothesis import given
from hypothesis import strategies as st

from modules.errors import MAX_PROBLEMS, InputError, Problem, Problems, reason
from tests.outside import CLASS_NAME

texts = st.text(st.characters(codec=None), max_size=300)


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 500)), max_size=5))
def test_a_report_is_capped_and_counts_what_it_leaves_out(parts):
    # Reports that are capped already are put together, as `validate` does.
    together = []
    for size, more in parts:
        error = InputError([Problem("a", "wrong", line) for line in range(size + more)])
        assert len(error.problems) <= MAX_PROBLEMS + 1
        # As they travel from one process to another.
        together += [Problem(**asdict(problem)) for problem in error.problems]
    total = sum(size + more for size, more in parts)
    shown = InputError(together).problems
    left = total - min(total, MAX_PROBLEMS)
    named = [problem for problem in shown if not problem.more]
    assert len(named) == min(total, MAX_PROBLEMS)
    assert [str(problem) for problem in shown if problem.more] == ([f"and {left:,} more"] if left else [])
    assert len(Problems(together)) == total


@given(texts, texts, texts, texts, texts)
def test_a_problem_is_one_line_that_any_terminal_and_encoder_takes(file, expected, key, value, hint):
    text = str(Problem(file, expected, 1, key, value, hint))
    assert text.isprintable()
    text.encode()


def test_a_problem_is_no_longer_than_people_read():
    assert len(str(Problem("f", "x" * 10**6, 1, "k" * 10**6, "v" * 10**6, "h" * 10**6))) < 3000


def raised(action):
    try:
        action()
    except BaseException as error:
        return error
    raise AssertionError("it raised nothing")


CLASSES = [kind for kind in vars(builtins).values() if isinstance(kind, type) and issubclass(kind, Exception)]


@given(
    st.sampled_from(CLASSES), st.text(max_size=60), st.sampled_from(["{}", "{n}: {}", "x [{n}: {}]", "({n}) {}", "{n}"])
)
def test_a_reason_names_no_class(kind, text, form):
    """Whatever Python raises, and libraries that put one error's name into the next one's text."""
    for error in (
        RuntimeError(form.format(text, n=kind.__name__)),
        RuntimeError(form.format(text, n=f"a.b.{kind.__name__}")),
    ):
        found = reason(error)
        assert found and found.isprintable() and len(found) <= 500
        # What stands in the text that came is not this test's to judge.
        if not CLASS_NAME.search(text) and "." not in text and text.isprintable() and text == text.strip():
            assert not CLASS_NAME.search(found), found


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (lambda: Path("none.txt").read_text(), "No such file or directory"),
        (lambda: json.loads("{"), "Expecting property name"),
        (lambda: b"a\xff".decode(), "byte 0xff at position 1 is not UTF-8"),
        (lambda: "\ud800".encode(), "surrogate"),
        (lambda: zlib.decompress(b"xx"), "its compressed data is damaged"),
        (lambda: {}["a"], "'a' is missing"),
        (lambda: int("9" * 5000), "a number has thousands of digits"),
        (lambda: pa.array([1]).cast(pa.struct([])), "cast"),
        (lambda: yaml.safe_load("a: [", ), "while parsing"),
        (lambda: sqlite3.connect(":memory:").execute("select * from a"), "no such table: a"),
        (lambda: (_ for _ in ()).throw(AssertionError()), "no reason was given"),
        (lambda: (_ for _ in ()).throw(MemoryError()), "not enough memory"),
        (lambda: sqlalchemy.create_engine("sqlite://").connect().exec_driver_sql("select a"), "no such column: a"),
    ],
)  # fmt: skip
def test_reasons_of_real_failures_are_words(action, said):
    error = raised(action)
    found = reason(error)
    assert said in found and not CLASS_NAME.search(found)
    # As a worker in another process sends it: the whole traceback as text.
    sent = "".join(traceback.format_exception(error)).rstrip()
    if str(error) and "\n" not in str(error):
        assert not CLASS_NAME.search(reason(RuntimeError(sent)))


def test_a_reason_names_the_file_where_nothing_else_does(tmp_path):
    error = raised(lambda: (tmp_path / "none").read_text())
    assert str(tmp_path / "none") in reason(error, file=True)
    assert str(tmp_path / "none") not in reason(error)
