"""The schema of the examples: the curated product schema with the features of a workflow's objectives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from modules import examples
from modules.settings.feed import PRODUCT_FIELDS
from modules.settings.model import Objective

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

_PREFIXES = ("label/", "label_source/", "eval_weight/")


def with_objectives(pbtxt: str, objectives: Mapping[str, Objective], images: bool = False) -> str:
    """The TensorFlow Metadata schema ``pbtxt`` with label features for exactly these objectives.

    Objectives are the workflow's to name, so the curated file cannot know them all; whatever else it says is kept.
    ``images``: whether the examples have the feature ``image_bytes``.
    """
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    schema = text_format.Parse(pbtxt, schema_pb2.Schema())
    kept = [feature for feature in schema.feature if not feature.name.startswith(_PREFIXES)]
    added = [feature for name, objective in objectives.items() for feature in _features(name, objective)]
    if images and not any(feature.name == examples.IMAGE_BYTES for feature in kept):
        image = schema_pb2.Feature(name=examples.IMAGE_BYTES, type=schema_pb2.BYTES)
        image.value_count.min = image.value_count.max = 1
        kept.append(image)
    del schema.feature[:]
    schema.feature.extend([*kept, *added])
    return text_format.MessageToString(schema)


def with_statistics(objectives: Mapping[str, Objective]) -> list[str]:
    """The examples' features that statistics are made of: all but the images, whose bytes say nothing when counted."""
    labels = [feature.name for name, objective in objectives.items() for feature in _features(name, objective)]
    return [*PRODUCT_FIELDS, examples.RULES, examples.TOP_CATEGORY, *labels]


def _features(name: str, objective: Objective) -> list[schema_pb2.Feature]:
    from tensorflow_metadata.proto.v0 import schema_pb2

    def feature(full_name: str, kind: int, always_one: bool = False) -> schema_pb2.Feature:
        made = schema_pb2.Feature(name=full_name, type=kind)  # type: ignore[arg-type]
        if always_one:
            made.presence.min_fraction = 1.0
            made.presence.min_count = 1
            made.shape.dim.add(size=1)
        return made

    exclusive = objective.kind == "exclusive"
    label = feature(examples.label(name), schema_pb2.INT, always_one=exclusive)
    label.int_domain.min = examples.UNLABELLED if exclusive else 0
    weight = feature(examples.eval_weight(name), schema_pb2.FLOAT, always_one=True)
    weight.float_domain.min = 0.0
    found = [label, weight]
    if objective.kind == "exclusive" or objective.labels == "people":
        source = feature(examples.label_source(name), schema_pb2.BYTES)
        source.value_count.min = source.value_count.max = 1
        found.append(source)
    if objective.kind == "multi_label":
        no = feature(examples.label_no(name), schema_pb2.INT)
        no.int_domain.min = 0
        found += [no] if objective.labels == "people" else []
    return found
