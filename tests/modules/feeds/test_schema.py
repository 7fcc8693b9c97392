"""The curated schema, and the features that objectives add."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modules import examples
from modules.examples import NUMBER_FIELDS, TEXT_FIELDS, VECTOR_FIELDS
from modules.feeds.schema import of_workflow, with_statistics
from modules.settings.workflow import Workflow

text_format = pytest.importorskip("google.protobuf.text_format")
schema_pb2 = pytest.importorskip("tensorflow_metadata.proto.v0.schema_pb2")

FILE = Path(__file__).parents[3] / "schemas" / "product.schema.pbtxt"


def workflow(objectives: dict[str, Any] | None = None, **more: Any) -> Workflow:
    """A workflow of the title alone, with the default objectives."""
    kinds = {"exclusive": {"kind": "exclusive"}, "rule_based": {"kind": "multi_label"}}
    features = {"title": {"kind": "text"}, **more.pop("features", {})}
    data = {"name": "w", "rules": {"file": "r.yaml"}, "objectives": objectives or kinds, "features": features}
    return Workflow.model_validate({**data, **more})


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
    assert parse(of_workflow(content, workflow()), schema_pb2.Schema()) == parse(content, schema_pb2.Schema())


def test_other_objectives_take_their_place() -> None:
    features = names(of_workflow(FILE.read_text(), workflow({"color": {"kind": "multi_label", "labels": "people"}})))
    assert [name for name in features if "/" in name] == [
        "label/color", "eval_weight/color", "label_source/color", "label/color/no", "label/color/rest"
    ]  # fmt: skip
    assert "title" in features


def test_images_are_in_the_schema_and_not_in_the_statistics() -> None:
    pictured = workflow(feed={"images": {}})
    plain, images = names(of_workflow(FILE.read_text(), workflow())), of_workflow(FILE.read_text(), pictured)
    assert sorted(names(images)) == sorted([*plain, examples.IMAGE_BYTES])
    assert names(of_workflow(images, pictured)) == names(images)
    assert sorted(with_statistics(pictured)) == sorted(plain)


def test_attributes_are_what_their_features_read() -> None:
    features = {
        "material": {"kind": "categorical"}, "rating": {"kind": "number"}, "was": {"kind": "price", "column": "was"},
        "shape": {"kind": "dense", "dimension": 5}, "sound": {"kind": "dense", "dimension": 3},
    }  # fmt: skip
    attributes = {name: name for name in (*features, "note")}
    own = workflow(features=features, feed={"attributes": attributes})
    schema = text_format.Parse(of_workflow(FILE.read_text(), own), schema_pb2.Schema())
    added = {feature.name: feature for feature in schema.feature if feature.name in attributes}
    kinds = {name: schema_pb2.FeatureType.Name(feature.type) for name, feature in added.items()}
    assert kinds == {
        "material": "BYTES", "rating": "FLOAT", "was": "FLOAT", "shape": "FLOAT", "sound": "FLOAT", "note": "BYTES"
    }  # fmt: skip
    counts = {name: (feature.value_count.min, feature.value_count.max) for name, feature in added.items()}
    assert counts == dict.fromkeys(attributes, (1, 1)) | {"shape": (5, 5), "sound": (3, 3)}
    assert set(attributes) < set(with_statistics(own))
