"""Messages count in English: one file, two files. Every module of the messages' folders is read for what would not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.counting import counted, sized
from modules.rules.english import plural, singular

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("api", "experiments", "labelling", "modules", "pipeline", "publishing", "shelfmark")
NOUNS = (
    "file",
    "category",
    "batch",
    "product",
    "query",
    "key",
    "index",
    "half push",
    "labelled product",
    "day",
    "glass",
)
LIMITS = ("at most ", "more than ", "fewer than ")
"""What stands before a limit, which is never one."""


@pytest.mark.parametrize("noun", NOUNS)
def test_one_is_singular_and_others_are_plural(noun: str) -> None:
    *before, last = noun.split()
    several = " ".join([*before, plural(last)])
    assert counted(1, noun) == f"1 {noun}"
    assert [counted(count, noun) for count in (0, 2, 1200)] == [f"0 {several}", f"2 {several}", f"1,200 {several}"]


@given(st.integers(0, 10**9))
def test_a_phrase_agrees_with_its_number(count: int) -> None:
    said = counted(count, "category was merged", "categories were merged")
    number, words = said.split(" ", 1)
    assert int(number.replace(",", "")) == count
    assert words == ("category was merged" if count == 1 else "categories were merged")


def plurals_by_hand(source: str) -> Iterator[str]:
    """The f-strings that put a plural behind a number that may be one: ``f"{len(files):,} files"``."""
    tree = ast.parse(source)
    bugs = {  # What only a programmer sees counts as it likes.
        id(node)
        for raised in ast.walk(tree)
        if isinstance(raised, ast.Raise) and raised.exc and ast.unparse(raised.exc).startswith("ValueError(")
        for node in ast.walk(raised)
    }  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and id(node) not in bugs:
            before = ""
            for number, words in zip(node.values, [*node.values[1:], None], strict=True):
                if isinstance(number, ast.Constant):
                    before = str(number.value)
                elif is_count(number) and not before.endswith(LIMITS) and isinstance(words, ast.Constant):
                    # "1 of the files" is fine.
                    text = re.match(r"(?! of )(?: [a-z'-]+){0,3}", str(words.value))
                    if text and any(singular(word) != word for word in text[0].split() if word not in ("has", "as")):
                        yield ast.unparse(node)


def is_count(part: ast.expr) -> bool:
    """Whether it is a number that counts: written with thousands' commas, or a length or a sum; no constant is."""
    if not isinstance(part, ast.FormattedValue):
        return False
    called = part.value.func if isinstance(part.value, ast.Call) else None
    is_length = isinstance(called, ast.Name) and called.id in ("len", "sum")
    names = [name.id if isinstance(name, ast.Name) else name.attr for name in ast.walk(part.value)
             if isinstance(name, (ast.Name, ast.Attribute))]  # fmt: skip
    has_commas = part.format_spec is not None and "','" in ast.unparse(part.format_spec)
    return (has_commas or is_length) and not any(name.isupper() for name in names)


@pytest.mark.parametrize(
    "bad", ['f"{n:,} files"', 'f"names {len(x)} labelled products"', 'f"{a.b:,} categories were merged"']
)
def test_what_is_looked_for_is_seen(bad: str) -> None:
    assert list(plurals_by_hand(bad))


@pytest.mark.parametrize(
    "good",
    [
        "f\"{counted(n, 'file')}\"",
        'f"at most {limit:,} bytes"',
        'f"{LIMIT:,} bytes"',
        'f"{n:,} left"',
        'f"{n:,} of the files"',
        'f"{name} files"',
    ],
)
def test_what_is_fine_is_left_alone(good: str) -> None:
    assert not list(plurals_by_hand(good))


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_message_counts_one_as_several(folder: str) -> None:
    told = {
        str(file.relative_to(ROOT)): list(plurals_by_hand(file.read_text())) for file in (ROOT / folder).rglob("*.py")
    }
    assert {name: texts for name, texts in told.items() if texts} == {}


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_345, "12.3 kB"), (5 * 10**9, "5.0 GB"), (10**16, "10,000.0 TB")],
)
def test_bytes_have_the_unit_that_suits_them(count: int, shown: str) -> None:
    assert sized(count) == shown
