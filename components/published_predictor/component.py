"""PublishedPredictor: the last blessed model's predictions of this run's products."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec

from components.artifact_types import Predictions, ProductTaxonomy
from components.published_predictor.executor import PublishedPredictorExecutor


class PublishedPredictorSpec(ComponentSpec):
    """What PublishedPredictor takes and gives."""

    PARAMETERS = {}
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "model": ChannelParameter(type=standard_artifacts.Model),
        "blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
        "predictions": ChannelParameter(type=Predictions),
        "taxonomy": ChannelParameter(type=ProductTaxonomy),
        "blessed_model": ChannelParameter(type=standard_artifacts.Model, optional=True),
    }
    OUTPUTS = {"published_predictions": ChannelParameter(type=Predictions)}


class PublishedPredictor(base_beam_component.BaseBeamComponent):
    """Hands on the newest model's predictions if it is blessed; else predicts with the last blessed one.

    Args:
      examples: raw examples. taxonomy: that their labels are written in.
      model: the newest model. blessing: what the evaluation said of it. predictions: its predictions of ``examples``.
      blessed_model: the last model that was blessed before; may be empty.
    """

    SPEC_CLASS = PublishedPredictorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(PublishedPredictorExecutor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        blessing: types.BaseChannel,
        predictions: types.BaseChannel,
        taxonomy: types.BaseChannel,
        blessed_model: types.BaseChannel,
    ):
        super().__init__(
            PublishedPredictorSpec(
                examples=examples,
                model=model,
                blessing=blessing,
                predictions=predictions,
                taxonomy=taxonomy,
                blessed_model=blessed_model,
                published_predictions=types.Channel(type=Predictions),
            )
        )
