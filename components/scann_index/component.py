"""ScannIndex: predictions with embeddings in, indexes and tables of neighbours out."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifact_types import Predictions, ProductTaxonomy, Record, SimilarityIndex
from components.scann_index.executor import ScannIndexExecutor


class ScannIndexSpec(ComponentSpec):
    """What ScannIndex takes and gives."""

    PARAMETERS = {"workflow": ExecutionParameter(type=str)}
    INPUTS = {
        "predictions": ChannelParameter(type=Predictions),
        "model": ChannelParameter(type=standard_artifacts.Model),
        "taxonomy": ChannelParameter(type=ProductTaxonomy),
    }
    OUTPUTS = {
        "similarity_index": ChannelParameter(type=SimilarityIndex),
        "index_record": ChannelParameter(type=Record),
    }


class ScannIndex(base_component.BaseComponent):
    """Builds, tunes and measures the workflow's indexes.

    Args:
      predictions: of all splits, with embeddings and predicted categories. model: that made them.
      taxonomy: of the ProductExampleGen that made the examples.
      workflow: the parts of the workflow that the indexes depend on, as JSON.
    """

    SPEC_CLASS = ScannIndexSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(ScannIndexExecutor)

    def __init__(
        self, predictions: types.BaseChannel, model: types.BaseChannel, taxonomy: types.BaseChannel, workflow: str
    ):
        super().__init__(
            ScannIndexSpec(
                predictions=predictions,
                model=model,
                taxonomy=taxonomy,
                workflow=workflow,
                similarity_index=types.Channel(type=SimilarityIndex),
                index_record=types.Channel(type=Record),
            )
        )
