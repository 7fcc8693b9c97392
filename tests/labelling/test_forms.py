"""What the pages make of fields and parameters that anybody may have made up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from labelling.web.forms import (
    MAX_NOTE,
    MAX_NUMBERS,
    MAX_REQUEST,
    AnswerForm,
    BatchForm,
    Count,
    Filters,
    RowId,
    UndoForm,
    VerdictForm,
    numbers,
)

NEEDED = [("product", "p0"), ("objective", "exclusive"), ("request", "r")]
NAMES = st.sampled_from(
    ["product", "objective", "request", "note", "value", "category", "also", "filter_kind", "other"]
)


@given(st.lists(st.tuples(NAMES, st.text(max_size=5)), max_size=12))
def test_the_last_field_of_a_name_counts_and_an_empty_one_is_none(fields: list[tuple[str, str]]) -> None:
    fields = [*NEEDED, *fields]
    last = dict(fields)
    if not all(last[name] for name, _ in NEEDED):
        with pytest.raises(ValidationError, match="Field required"):
            AnswerForm.of(fields)
        return
    form = AnswerForm.of(fields)
    for name in ("product", "objective", "request", "note", "value", "category"):
        assert getattr(form, name) == (last.get(name) or None)
    assert form.also == [value for name, value in fields if name == "also"]
    assert form.filters == Filters(kind=last.get("filter_kind") or None)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [("seconds", "1.5", 1.5), ("seconds", "nan", None), ("seconds", "1e999", float("inf")), ("item", "7", 7),
     ("seconds", "x", "the seconds are no number"), ("item", "x", "there is no such item"),
     ("item", "7,8", "there is no such item"), ("item", "٣", "there is no such item"),
     ("item", "9" * 30, "there is no such item")],
)  # fmt: skip
def test_what_would_be_kept_is_read_or_refused_with_a_sentence(name: str, text: str, expected: Any) -> None:
    fields = [*NEEDED, (name, text)]
    if isinstance(expected, str):
        with pytest.raises(ValidationError) as caught:
            AnswerForm.of(fields)
        assert caught.value.errors()[0]["msg"] == f"Value error, {expected}"
    else:
        assert getattr(AnswerForm.of(fields), name) == expected


def test_long_texts_are_cut() -> None:
    form = AnswerForm.of([*NEEDED, ("note", "n" * 5000), ("request", "r" * 5000)])
    assert form.note is not None and (len(form.note), len(form.request)) == (MAX_NOTE, MAX_REQUEST)


def test_a_request_without_an_id_gets_one_of_its_own() -> None:
    for model in (UndoForm, VerdictForm):
        assert model.of([]).request != model.of([]).request  # type: ignore[attr-defined]


@given(st.text(max_size=30) | st.integers(0, 10**20).map(str))
def test_any_text_is_a_number_or_none(text: str) -> None:
    is_number = bool(text) and set(text) <= set("0123456789")
    for kind, digits in ((Count, 9), (RowId, 18)):
        expected = int(text) if is_number and len(text) <= digits else 0
        assert TypeAdapter(kind).validate_python(text) == expected


@given(st.lists(st.integers(0, 10**6) | st.text(max_size=4), max_size=20))
def test_numbers_pass_over_anything_else(parts: list[int | str]) -> None:
    text = ",".join(str(part) for part in parts)
    expected = [int(part) for part in text.split(",") if part and set(part) <= set("0123456789")]
    assert numbers(text) == expected
    assert len(numbers("1," * 10_000)) == MAX_NUMBERS


def test_no_number_of_products_is_told_from_none() -> None:
    assert BatchForm.of([("count", "")]).count is None and BatchForm.of([("count", "many")]).count == 0


def test_methods_count_only_as_a_pair() -> None:
    assert VerdictForm.of([("a_method", "text")]).methods == ()
    assert VerdictForm.of([("a_method", "text"), ("b_method", "image")]).methods == ("text", "image")
