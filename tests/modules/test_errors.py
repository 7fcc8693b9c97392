"""What people read when their input is wrong."""

from __future__ import annotations

from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from modules.errors import MAX_PROBLEMS, InputError, Problem, Problems

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
