"""The curated schema, and the features that objectives add."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules import examples
from modules.examples import NUMBER_FIELDS, TEXT_FIELDS, VECTOR_FIELDS
from modules.feeds.schema import with_objectives, with_statistics
from modules.objectives import ExclusiveObjective, MultiLabelObjective

text_format = pytest.importorskip("google.protobuf.text_format")
schema_pb2 = pytest.importorskip("tensorflow_metadata.proto.v0.schema_pb2")

FILE = Path(__file__).parents[3] / "schemas" / "product.schema.pbtxt"
DEFAULT = {"exclusive": ExclusiveObjective(), "rule_based": MultiLabelObjective()}


def names(pbtxt: str) -> list[str]:
    return [feature.name for feature in text_format.Parse(pbtxt, schema_pb2.Schema()).feature]


def test_the_file_has_what_examples_have() -> None:
    expected = [examples.ID, *TEXT_FIELDS, *NUMBER_FIELDS, *VECTOR_FIELDS, examples.RULES, examples.TOP_CATEGORY]
    expected += ["label/exclusive", "eval_weight/exclusive", "label_source/exclusive"]
    expected += ["label/rule_based", "eval_weight/rule_based"]
    assert sorted(names(FILE.read_text())) == sorted(expected)


def test_the_file_stands_for_the_default_objectives() -> None:
    parse = text_format.Parse
    content = FILE.read_text()
    assert parse(with_objectives(content, DEFAULT), schema_pb2.Schema()) == parse(content, schema_pb2.Schema())


def test_other_objectives_take_their_place() -> None:
    found = names(with_objectives(FILE.read_text(), {"color": MultiLabelObjective(labels="people")}))
    assert [name for name in found if "/" in name] == [
        "label/color", "eval_weight/color", "label_source/color", "label/color/no", "label/color/rest"
    ]  # fmt: skip
    assert "title" in found


def test_images_are_in_the_schema_and_not_in_the_statistics() -> None:
    plain, images = names(with_objectives(FILE.read_text(), DEFAULT)), with_objectives(FILE.read_text(), DEFAULT, True)
    assert sorted(names(images)) == sorted([*plain, examples.IMAGE_BYTES])
    assert names(with_objectives(images, DEFAULT, True)) == names(images)
    assert sorted(with_statistics(DEFAULT)) == sorted(plain)
