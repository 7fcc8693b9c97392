"""The schema of the examples: the curated product schema with a workflow's attributes and objectives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from modules import examples
from modules.features import encodings_of
from modules.settings.workflow import Workflow

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2


def of_workflow(pbtxt: str, workflow: Workflow) -> str:
    """The TensorFlow Metadata schema ``pbtxt`` with features for exactly this workflow's objectives and attributes.

    They are the workflow's to name, so the curated file cannot know them all; whatever else it says is kept, of an
    attribute, too, that it knows. The pictures' bytes are added where the workflow has some.
    """
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    schema = text_format.Parse(pbtxt, schema_pb2.Schema())
    kept = [feature for feature in schema.feature if not examples.is_of_objective(feature.name)]
    known = {feature.name for feature in kept}
    kept += [feature for feature in _attributes(workflow) if feature.name not in known]
    added = [feature for name, objective in workflow.objectives.items() for feature in objective.schema_features(name)]
    kept += [feature for feature in _encodings(workflow) if feature.name not in known]
    if workflow.images is not None and not any(feature.name == examples.IMAGE_BYTES for feature in kept):
        image = schema_pb2.Feature(name=examples.IMAGE_BYTES, type=schema_pb2.BYTES)
        image.value_count.min = image.value_count.max = 1
        kept.append(image)
    del schema.feature[:]
    schema.feature.extend([*kept, *added])
    return text_format.MessageToString(schema)


def _attributes(workflow: Workflow) -> Iterator[schema_pb2.Feature]:
    """Attributes may be missing, as any field; a vector has as many values as the feature that reads it expects."""
    from tensorflow_metadata.proto.v0 import schema_pb2

    for name, holds in workflow.product_columns.attributes.items():
        reader = workflow.attribute_readers[name]
        length = workflow.features[reader].vector_length if reader is not None else None
        feature = schema_pb2.Feature(name=name, type=schema_pb2.BYTES if holds == "text" else schema_pb2.FLOAT)
        feature.value_count.min = feature.value_count.max = length or 1
        yield feature


def _encodings(workflow: Workflow) -> Iterator[schema_pb2.Feature]:
    """A product whose texts are blank has none; how long a vector is, its reader checks."""
    from tensorflow_metadata.proto.v0 import schema_pb2

    for name in encodings_of(workflow.features):
        yield schema_pb2.Feature(name=examples.encoding(name), type=schema_pb2.FLOAT)


def with_statistics(workflow: Workflow) -> list[str]:
    """The examples' features that statistics are made of: all but images and texts' vectors, whose bytes and numbers
    say nothing when counted."""
    own = workflow.objectives.items()
    labels = [feature.name for name, objective in own for feature in objective.schema_features(name)]
    attributes = workflow.product_columns.attributes
    return [*examples.PRODUCT_FIELDS, *attributes, examples.RULES, examples.TOP_CATEGORY, *labels]
