"""The schema that examples are validated against: the curated product schema and the features of the objectives."""

from __future__ import annotations

import hashlib
from pathlib import Path

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from modules import examples
from modules.settings.feed import VECTOR_FIELDS
from modules.settings.features import column_of
from pipeline.workflow_file import REPOSITORY, LoadedWorkflow

PRODUCT_SCHEMA = REPOSITORY / "schemas" / "product.schema.pbtxt"


def run_schema(loaded: LoadedWorkflow) -> schema_pb2.Schema:
    """The workflow's schema file, or the package's, with what follows from objectives and vector features.

    Features that the file declares itself stay as they are.
    """
    workflow = loaded.workflow
    path = loaded.find(workflow.validation.schema_file) if workflow.validation.schema_file else PRODUCT_SCHEMA
    schema = text_format.Parse(path.read_text("utf-8"), schema_pb2.Schema())
    known = {feature.name for feature in schema.feature}

    def add(name: str, kind: schema_pb2.FeatureType, *, one: bool) -> None:
        if name in known:
            return
        feature = schema.feature.add(name=name, type=kind)
        feature.presence.min_count = 0
        if one:
            feature.presence.min_fraction = 1.0
            feature.shape.dim.add(size=1)

    for name, objective in workflow.objectives.items():
        exclusive = objective.kind == "exclusive"
        add(examples.label(name), schema_pb2.INT, one=exclusive)
        if not exclusive and objective.labels == "people":
            add(examples.label_no(name), schema_pb2.INT, one=False)
        if exclusive or objective.labels == "people":
            add(examples.label_source(name), schema_pb2.BYTES, one=False)
        add(examples.eval_weight(name), schema_pb2.FLOAT, one=True)
    vectors = {column_of(name, feature) for name, feature in workflow.features.items() if feature.kind == "dense"}
    for name in VECTOR_FIELDS:
        if name in vectors or getattr(workflow.feed.fields, name) is not None:
            add(name, schema_pb2.FLOAT, one=False)
    return schema


def write_run_schema(loaded: LoadedWorkflow, folder: Path) -> Path:
    """Writes the schema under a name that changes with its content: TFX's cache looks at the name alone."""
    text = text_format.MessageToString(run_schema(loaded))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"schema-{hashlib.sha256(text.encode()).hexdigest()[:12]}.pbtxt"
    path.write_text(text, "utf-8")
    return path
