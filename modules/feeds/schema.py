"""The schema of the examples: the curated product schema with the features of a workflow's objectives."""

from __future__ import annotations

from collections.abc import Mapping

from modules import examples
from modules.objectives import Objective


def with_objectives(pbtxt: str, objectives: Mapping[str, Objective], images: bool = False) -> str:
    """The TensorFlow Metadata schema ``pbtxt`` with label features for exactly these objectives.

    Objectives are the workflow's to name, so the curated file cannot know them all; whatever else it says is kept.
    ``images``: whether the examples have the feature ``image_bytes``.
    """
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    schema = text_format.Parse(pbtxt, schema_pb2.Schema())
    kept = [feature for feature in schema.feature if not examples.is_of_objective(feature.name)]
    added = [feature for name, objective in objectives.items() for feature in objective.schema_features(name)]
    if images and not any(feature.name == examples.IMAGE_BYTES for feature in kept):
        image = schema_pb2.Feature(name=examples.IMAGE_BYTES, type=schema_pb2.BYTES)
        image.value_count.min = image.value_count.max = 1
        kept.append(image)
    del schema.feature[:]
    schema.feature.extend([*kept, *added])
    return text_format.MessageToString(schema)


def with_statistics(objectives: Mapping[str, Objective]) -> list[str]:
    """The examples' features that statistics are made of: all but the images, whose bytes say nothing when counted."""
    labels = [feature.name for name, objective in objectives.items() for feature in objective.schema_features(name)]
    return [*examples.PRODUCT_FIELDS, examples.RULES, examples.TOP_CATEGORY, *labels]
