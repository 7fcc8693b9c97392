"""Predictor: raw examples and a model in; categories, uncertainties and embeddings out."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifact_types import Predictions, ProductTaxonomy
from components.predictor.executor import PredictorExecutor


class PredictorSpec(ComponentSpec):
    """What Predictor takes and gives."""

    PARAMETERS = {"workflow": ExecutionParameter(type=str)}
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "model": ChannelParameter(type=standard_artifacts.Model),
        "taxonomy": ChannelParameter(type=ProductTaxonomy),
    }
    OUTPUTS = {"predictions": ChannelParameter(type=Predictions)}


class Predictor(base_beam_component.BaseBeamComponent):
    """Predicts all splits.

    Args:
      examples: raw examples.
      model: a model with the ``serving_default`` signature of ``modules.training.export``.
      taxonomy: of the ProductExampleGen that made the examples.
      workflow: the parts of the workflow that the predictions depend on, as JSON.
    """

    SPEC_CLASS = PredictorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(PredictorExecutor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        taxonomy: types.BaseChannel,
        workflow: str,
    ):
        super().__init__(
            PredictorSpec(
                examples=examples,
                model=model,
                taxonomy=taxonomy,
                workflow=workflow,
                predictions=types.Channel(type=Predictions),
            )
        )
