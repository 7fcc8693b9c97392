"""ClassMetrics: an evaluation in; its figures as files, and in ML Metadata, out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifact_types import CategoryMetrics, Record
from components.class_metrics.executor import ClassMetricsExecutor
from components.evaluation.objectives import ObjectiveEval, ObjectiveThresholds, pack_checks, pack_classes


class ClassMetricsSpec(ComponentSpec):
    """What ClassMetrics takes and gives."""

    PARAMETERS = {"objectives": ExecutionParameter(type=str)}
    INPUTS = {"evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation)}
    OUTPUTS = {
        "metrics": ChannelParameter(type=CategoryMetrics),
        "metrics_record": ChannelParameter(type=Record),
    }


class ClassMetrics(base_component.BaseComponent):
    """Writes a run's metrics, overall and per category, into files and into ML Metadata.

    Args:
      evaluation: of an Evaluator with :func:`components.evaluation.config.build_eval_config`.
      objectives: the ones the evaluation was configured with, classes in the same order.
      thresholds: objective to its thresholds; categories that fall short are listed.
    """

    SPEC_CLASS = ClassMetricsSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(ClassMetricsExecutor)

    def __init__(
        self,
        evaluation: types.BaseChannel,
        objectives: Sequence[ObjectiveEval],
        thresholds: Mapping[str, ObjectiveThresholds] | None = None,
    ):
        rows = []
        for objective in objectives:
            checks = objective.checks((thresholds or {}).get(objective.name, ObjectiveThresholds()))
            rows.append(
                {
                    "name": objective.name,
                    "classes": pack_classes(objective),
                    "checks": pack_checks(checks) if checks else None,
                }
            )
        super().__init__(
            ClassMetricsSpec(
                evaluation=evaluation,
                objectives=json.dumps(rows, sort_keys=True),
                metrics=types.Channel(type=CategoryMetrics),
                metrics_record=types.Channel(type=Record),
            )
        )
