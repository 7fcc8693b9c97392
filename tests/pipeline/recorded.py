"""Runs as TFX leaves them in ML Metadata, recorded with the plain client."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb

TYPES = {
    "examples": "Examples", "quarantine": "components.Quarantine", "taxonomy": "components.ProductTaxonomy",
    "statistics": "ExampleStatistics", "model": "Model", "evaluation": "ModelEvaluation", "blessing": "ModelBlessing",
    "metrics": "components.CategoryMetrics", "pushed_model": "PushedModel", "predictions": "components.Predictions",
    "labelling_batch": "components.LabellingBatch", "label_review": "components.LabelReview",
    "metrics_record": "components.Record", "batch_record": "components.Record", "index_record": "components.Record",
    "published_predictions": "components.Predictions",
    "similarity_index": "components.SimilarityIndex", "pushed_index": "components.PushedIndex",
}  # fmt: skip


def category(path: str, **values: float) -> str:
    """A category's property as ClassMetrics writes it."""
    return json.dumps({"path": path, **{name.replace("__", "/"): value for name, value in values.items()}})


class Recorder:
    """Writes runs of one pipeline into a SQLite file."""

    def __init__(self, file: Path, pipeline: str):
        config = pb.ConnectionConfig()
        config.sqlite.filename_uri = str(file)
        self.store = metadata_store.MetadataStore(config)
        self._context_types = {
            name: self.store.put_context_type(pb.ContextType(name=name)) for name in ("pipeline", "pipeline_run")
        }
        self._execution_type = self.store.put_execution_type(pb.ExecutionType(name="component"))
        self.pipeline_name = pipeline
        self.pipeline = self._context("pipeline", pipeline)

    def run(self, name: str, outputs: Mapping[str, int | tuple[str | Path, Mapping[str, Any]]]) -> dict[str, int]:
        """Records a run; an output is (uri, custom properties), or the id of one taken from the cache.

        Returns:
          Output key to artifact id.
        """
        run = self._context("pipeline_run", name)
        self.store.put_parent_contexts([pb.ParentContext(child_id=run, parent_id=self.pipeline)])
        ids: dict[str, int] = {}
        for key, output in outputs.items():
            cached = isinstance(output, int)
            if isinstance(output, int):
                artifact = self.store.get_artifacts_by_id([output])[0]
            else:
                artifact = pb.Artifact(uri=str(output[0]), state=pb.Artifact.LIVE)
                artifact.type_id = self.store.put_artifact_type(pb.ArtifactType(name=TYPES[key]))
                for prop, value in output[1].items():
                    kind = {int: "int_value", float: "double_value", str: "string_value"}[type(value)]
                    setattr(artifact.custom_properties[prop], kind, value)
            state = pb.Execution.CACHED if cached else pb.Execution.COMPLETE
            execution = pb.Execution(type_id=self._execution_type, last_known_state=state)
            event = pb.Event(type=pb.Event.OUTPUT)
            event.path.steps.add().key = key
            event.path.steps.add().index = 0
            contexts = self.store.get_contexts_by_id([self.pipeline, run])
            _, (identity,), _ = self.store.put_execution(execution, [(artifact, event)], contexts)
            ids[key] = identity
        return ids

    def _context(self, kind: str, name: str) -> int:
        return int(self.store.put_contexts([pb.Context(type_id=self._context_types[kind], name=name)])[0])
