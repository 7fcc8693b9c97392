"""Attributes: from a feed's file to the examples and back, whatever they are called and hold."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.errors import InputError
from modules.examples import PRODUCT_FIELDS, is_product_column
from modules.feeds.cleaning import clean
from modules.feeds.joining import Joiner
from modules.feeds.mapping import Mapper
from modules.feeds.plan import ExampleSettings, find_dimensions
from modules.feeds.readers import Record, read_records
from modules.feeds.values import NotUsable
from modules.objectives import ExclusiveObjective
from modules.settings.workflow import LabelsSettings, Workflow
from modules.taxonomy import Taxonomy
from pipeline.settings_errors import validate_data

tf = pytest.importorskip("tensorflow")

TAXONOMY = Taxonomy.from_paths(["Shoes > Boots", "Shoes > Sandals"], exclusive="leaves")
FEATURES: dict[str, dict[str, Any]] = {
    "text": {"kind": "text"}, "categorical": {"kind": "categorical"}, "number": {"kind": "number"},
    "price": {"kind": "price"}, "dense": {"kind": "dense", "dimension": 3},
}  # fmt: skip
FLOATS = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)
TEXTS = st.text(max_size=20)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXTS, "categorical": TEXTS, "none": TEXTS, "number": FLOATS,
    "price": st.integers(0, 10**6).map(lambda cents: cents / 100), "dense": st.lists(FLOATS, min_size=3, max_size=3),
}  # fmt: skip
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True).filter(
    lambda name: name not in (*PRODUCT_FIELDS, "truth", "rules") and is_product_column(name)
)
COLUMNS = st.text(min_size=1, max_size=12).filter(lambda name: name.encode("utf-8", "ignore").decode() == name)


def workflow(features: dict[str, Any], attributes: dict[str, str]) -> Workflow:
    features = {"title": {"kind": "text"}, **features}
    return Workflow.model_validate({"name": "w", "feed": {"attributes": attributes}, "features": features})


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, str], dict[str, str], list[dict[str, Any]]]:
    """Attribute to kind of feature, attribute to column, and records."""
    kinds = draw(st.dictionaries(NAMES, st.sampled_from(list(VALUES)), min_size=1, max_size=6))
    own = st.lists(
        COLUMNS.filter(lambda c: c not in PRODUCT_FIELDS), unique=True, min_size=len(kinds), max_size=len(kinds)
    )
    columns = dict(zip(kinds, draw(own), strict=True))
    row = st.fixed_dictionaries({}, optional={columns[name]: VALUES[kind] for name, kind in kinds.items()})
    return kinds, columns, draw(st.lists(row, min_size=1, max_size=4))


@settings(max_examples=60, deadline=None)
@given(tables())
def test_what_a_feed_has_is_what_the_examples_hold(
    table: tuple[dict[str, str], dict[str, str], list[dict[str, Any]]],
) -> None:
    kinds, columns, rows = table
    own = workflow({n: {**FEATURES[k], "column": n} for n, k in kinds.items() if k != "none"}, columns)
    plan = ExampleSettings.model_validate_json(ExampleSettings.of(own).model_dump_json())
    [source] = plan.sources
    joiner = Joiner({"exclusive": ExclusiveObjective()}, TAXONOMY, None, {"exclusive": {}}, LabelsSettings())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.jsonl")
        lines = [json.dumps({"id": i, "title": "t", **row}) for i, row in enumerate(rows)]
        path.write_text("\n".join(lines) + "\n", "utf-8")
        records = list(read_records(str(path), "jsonl", source))
    mapper = Mapper(source, plan.dimensions, columns=plan.product_columns)
    assert len(records) == len(rows)
    for record, row in zip(records, rows, strict=True):
        assert isinstance(record, Record)
        serialised, signature = joiner.example(mapper.product(record.data), "train", "a.jsonl", record.line)
        features = tf.train.Example.FromString(serialised).features.feature
        assert not signature.untold
        for name, kind in kinds.items():
            value, held = row.get(columns[name]), features.get(name)
            if VALUES[kind] is TEXTS:
                expected = clean(value or "").encode()
                assert (list(held.bytes_list.value) if held else []) == ([expected] if expected else [])
            else:
                expected = [] if value is None else np.float32(value).reshape(-1).tolist()
                assert (list(held.float_list.value) if held else []) == expected


def test_numbers_that_cannot_be_told_are_counted_and_wrong_vectors_are_bad_records() -> None:
    features = {"weight": {"kind": "number"}, "shape": {"kind": "dense", "dimension": 2}}
    own = workflow(features, {"weight": "specs.weight", "shape": "v"})
    plan = ExampleSettings.of(own)
    assert find_dimensions(plan, []) == {"shape": 2}
    mapper = Mapper(plan.sources[0], plan.dimensions, columns=plan.product_columns)
    product = mapper.product({"id": 1, "specs": {"weight": "5-6 kg"}})
    assert (product.untold, product.numbers) == (("weight",), {})
    assert mapper.product({"id": 1, "specs": {"weight": "5 kg"}}).numbers == {"weight": 5000.0}
    with pytest.raises(NotUsable, match="v: a vector of 3 values where 2 are expected"):
        mapper.product({"id": 1, "title": "t", "v": [1, 2, 3]})


def test_a_price_that_is_an_attribute_names_no_currency() -> None:
    own = workflow({"was": {"kind": "price", "column": "was"}}, {"was": "rrp"})
    mapper = Mapper(own.feed, columns=own.product_columns)
    product = mapper.product({"id": 1, "title": "t", "rrp": "$ 12.50"})
    assert product.numbers == {"was": 12.5} and "currency" not in product.text
    assert mapper.product({"id": 1, "price": "9 EUR", "rrp": "$ 12.50"}).text["currency"] == "EUR"


@pytest.mark.parametrize(
    ("feed", "features", "key", "expected"),
    [
        ({"attributes": {"title": "t"}}, {}, "feed.attributes.title", "title is a field of the product schema"),
        ({"attributes": {"rules": "r"}}, {}, "feed.attributes.rules", "another name: rules has a meaning of its own"),
        ({"attributes": {"image_bytes": "r"}}, {}, "feed.attributes.image_bytes", "another name"),
        ({"attributes": {"Material": "r"}}, {}, "feed.attributes.Material", "matches"),
        ({"attributes": {"a/b": "r"}}, {}, "feed.attributes.a/b", "matches"),
        ({"attributes": {"a": ""}}, {}, "feed.attributes.a", "expected text"),
        ({"fields": {"truth": "c"}, "attributes": {"a": "c"}}, {}, "feed.attributes.a", "the category to learn"),
        (
            {"attributes": {"a": "c"}}, {"a": {"kind": "number"}, "b": {"kind": "categorical", "column": "a"}},
            "features.b.column", "features.a (number) reads a as a number, and a categorical feature reads a text",
        ),
        (
            {"attributes": {"a": "c"}},
            {"b": {"kind": "text", "columns": ("title", "a")}, "a": {"kind": "price", "column": "a"}},
            "features.a.column", "another attribute",
        ),
        (
            {"attributes": {"a": "c"}}, {"a": {"kind": "dense", "dimension": 2}, "b": {"kind": "dense", "column": "a"}},
            "features.b.dimension", "dimension: 2, as features.a",
        ),
        ({}, {"b": {"kind": "number"}}, "features.b", "an attribute of the feed"),
    ],
)  # fmt: skip
def test_what_does_not_go_together(feed: Any, features: Any, key: str, expected: str) -> None:
    data = {"name": "w", "feed": feed, "features": {"title": {"kind": "text"}, **features}}
    found, problems = validate_data(data, lambda path: ("w.yaml", 1))
    assert [problem.key for problem in problems] == [key], problems
    assert expected in problems[0].expected and found is None


def test_one_retailer_may_lack_what_another_has() -> None:
    feeds = [
        {"retailer": "a", "files": ["a.csv"], "attributes": {"weight": "kg", "note": "n"}},
        {"retailer": "b", "files": ["b.csv"], "attributes": {"weight": "Gewicht"}},
    ]
    features = {"title": {"kind": "text"}, "weight": {"kind": "number"}}
    own = Workflow.model_validate({"name": "w", "feeds": feeds, "features": features})
    assert own.product_columns.attributes == {"weight": "number", "note": "text"}
    first, second = (Mapper(source, columns=own.product_columns) for source in own.sources)
    assert first.product({"id": 1, "kg": "2 kg", "n": "x"}).numbers == {"weight": 2000.0}
    assert second.product({"id": 1, "Gewicht": "2 kg", "n": "x"}).text == {"retailer": "b"}


def test_a_feed_of_several_has_attributes_of_its_own() -> None:
    feeds = ({"retailer": "a", "files": ("a.csv",)},)
    data = {"name": "w", "feed": {"attributes": {"a": "b"}}, "feeds": feeds}
    _, problems = validate_data(data, lambda path: ("w.yaml", 1))
    assert [problem.key for problem in problems] == ["feed.attributes"]
    assert "no attributes here, since each feed of feeds has its own" in problems[0].expected


def test_attributes_that_no_feature_reads_are_texts_for_rules(tmp_path: Path) -> None:
    from modules.rules import load_rules

    own = workflow({"weight": {"kind": "number"}}, {"weight": "w", "material": "m"})
    file = tmp_path / "rules.yaml"
    rule = "rules:\n  - {id: r, category: Shoes > Boots, when: {field: %s, word: felt}}\n"
    file.write_text(rule % "material")
    assert load_rules(str(file), TAXONOMY, fields=own.product_columns.texts).fields == ("material",)
    file.write_text(rule % "weight")
    with pytest.raises(InputError, match="weight"):
        load_rules(str(file), TAXONOMY, fields=own.product_columns.texts)
