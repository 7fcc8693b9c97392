"""ClassMetrics: an evaluation in; its figures as files, and in ML Metadata, out."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifact_types import CategoryMetrics, Predictions, ProductTaxonomy, Record
from components.class_metrics.executor import ClassMetricsExecutor


class ClassMetricsSpec(ComponentSpec):
    """What ClassMetrics takes and gives."""

    PARAMETERS = {"workflow": ExecutionParameter(type=str)}
    INPUTS = {
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "taxonomy": ChannelParameter(type=ProductTaxonomy),
        "predictions": ChannelParameter(type=Predictions, optional=True),
    }
    OUTPUTS = {
        "metrics": ChannelParameter(type=CategoryMetrics),
        "metrics_record": ChannelParameter(type=Record),
    }


class ClassMetrics(base_component.BaseComponent):
    """Writes a run's metrics, overall and per category, into files and into ML Metadata.

    Args:
      evaluation: of a ProductEvaluator.
      taxonomy: the one that the evaluation was configured with.
      workflow: the parts ``objectives`` and ``evaluation`` of the workflow, as JSON; categories that fall short of its
        thresholds are listed.
      predictions: of the same model, of which some are accepted; None: no objective asks for it.
    """

    SPEC_CLASS = ClassMetricsSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(ClassMetricsExecutor)

    def __init__(
        self,
        evaluation: types.BaseChannel,
        taxonomy: types.BaseChannel,
        workflow: str,
        predictions: types.BaseChannel | None = None,
    ):
        super().__init__(
            ClassMetricsSpec(
                evaluation=evaluation,
                taxonomy=taxonomy,
                workflow=workflow,
                predictions=predictions,
                metrics=types.Channel(type=CategoryMetrics),
                metrics_record=types.Channel(type=Record),
            )
        )
