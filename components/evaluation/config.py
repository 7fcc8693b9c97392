"""The EvalConfig of a workflow: one metric per objective, slices, and the thresholds that bless a model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tensorflow_model_analysis.proto import config_pb2

from components.evaluation import figures
from components.evaluation.metrics import ObjectiveMetrics
from components.evaluation.objectives import ObjectiveEval, ObjectiveThresholds, pack_checks, pack_classes
from modules.objectives import KINDS, kind_named

MODULE = "components.evaluation.extractors"
"""Give this to the Evaluator component as ``module_path``."""


def build_eval_config(
    objectives: Sequence[ObjectiveEval],
    slices: Sequence[str] = (),
    thresholds: Mapping[str, ObjectiveThresholds] | None = None,
    *,
    top_k: int = 5,
    confidence: float = 0.95,
    signature_name: str = "",
    auc_memory: int = 256 * 2**20,
) -> config_pb2.EvalConfig:
    """The configuration of the Evaluator component.

    Thresholds hold for the overall slice alone; a workflow without any blesses no model (TFX's Evaluator does not
    validate then).

    Args:
      objectives: what is measured.
      slices: features to slice by, each on its own, beside the overall slice.
      thresholds: objective to what it must reach.
      top_k: among how many classes an exclusive label may be.
      confidence: of the intervals.
      signature_name: the model's signature that gives the probabilities; empty: its default.
      auc_memory: see :class:`ObjectiveMetrics`.

    Raises:
      ValueError: a threshold names an unknown objective or category, or a figure that the kind does not have.
    """
    thresholds = thresholds or {}
    unknown = set(thresholds) - {objective.name for objective in objectives}
    if unknown:
        raise ValueError(f"thresholds for objectives that are not evaluated: {', '.join(sorted(unknown))}")
    config = config_pb2.EvalConfig()
    config.model_specs.add(signature_name=signature_name)
    config.slicing_specs.add()
    for feature in slices:
        config.slicing_specs.add(feature_keys=[feature])
    # The counts come from our metric: TFMA's default ones would count batches as products.
    config.options.include_default_metrics.value = False
    shared = {"top_k": top_k, "confidence": confidence, "auc_memory": auc_memory}
    for objective in objectives:
        _add_metric(config, objective, thresholds.get(objective.name, ObjectiveThresholds()), shared)
    return config


def _add_metric(
    config: config_pb2.EvalConfig, objective: ObjectiveEval, bounds: ObjectiveThresholds, shared: Mapping[str, Any]
) -> None:
    """Adds an objective's metric, with the thresholds that hold for it. ``shared``: parameters of all metrics."""
    checks = objective.checks(bounds)
    parameters: dict[str, Any] = {
        **shared,
        "objective": objective.name,
        "kind": objective.kind,
        "classes": pack_classes(objective),
        **objective.keys(),
        "threshold": objective.threshold,
        "checks": pack_checks(checks) if checks else None,
        "name": f"{objective.name}_metrics",
    }
    spec = config.metrics_specs.add(output_names=[objective.name])
    spec.metrics.add(
        class_name=ObjectiveMetrics.__name__,
        module=ObjectiveMetrics.__module__,
        config=json.dumps(parameters, sort_keys=True),
    )
    for name, threshold in _thresholds(objective, bounds, bool(checks)).items():
        spec.per_slice_thresholds[name].thresholds.add(slicing_specs=[config_pb2.SlicingSpec()], threshold=threshold)


def _thresholds(
    objective: ObjectiveEval, bounds: ObjectiveThresholds, checked: bool
) -> dict[str, config_pb2.MetricThreshold]:
    main = kind_named(objective.kind).main_metric
    lower = {"accuracy": bounds.accuracy, "macro_f1": bounds.macro_f1, "micro_f1": bounds.micro_f1}
    for other in {kind.main_metric for kind in KINDS.values()} - {main}:
        if lower.get(other) is not None:
            raise ValueError(f"objective {objective.name!r} is {objective.kind}: it has no {other} to hold a threshold")
    result = {}
    for name, bound in lower.items():
        threshold = config_pb2.MetricThreshold()
        if bound is not None:
            threshold.value_threshold.lower_bound.value = bound
        if name == main and bounds.max_drop is not None:
            threshold.change_threshold.absolute.value = -bounds.max_drop
            threshold.change_threshold.direction = config_pb2.MetricDirection.HIGHER_IS_BETTER
        if threshold.ByteSize():
            result[name] = threshold
    if checked:
        for name in (figures.FAILED, figures.WORSE):
            result[name] = config_pb2.MetricThreshold()
            result[name].value_threshold.upper_bound.value = 0.5
    return result
