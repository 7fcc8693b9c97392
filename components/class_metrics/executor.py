"""Writes an evaluation's figures onto the output artifact."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components.class_metrics.properties import category_name, pack, pack_failed
from components.evaluation import figures
from components.evaluation.objectives import ObjectiveEval, ObjectiveThresholds
from components.evaluation.of_workflow import objective_evals, objective_thresholds
from components.evaluation.reading import Slice, read_evaluation
from modules.examples import TAXONOMY_FILE
from modules.metrics.checks import REST, check_categories
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy

REST_PATH = "(categories with few labels, together)"


class ClassMetricsExecutor(base_executor.BaseExecutor):
    """Reads the evaluation, sets custom properties; writes no file."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        evaluation = read_evaluation(artifact_utils.get_single_uri(input_dict["evaluation"]))
        artifact = artifact_utils.get_single_instance(output_dict["metrics"])
        workflow = Workflow.from_part(exec_properties["workflow"])
        folder = artifact_utils.get_single_uri(input_dict["taxonomy"])
        objectives = objective_evals(workflow, Taxonomy.load(os.path.join(folder, TAXONOMY_FILE)))
        describe(artifact, evaluation[0], objectives, objective_thresholds(workflow))


def describe(
    artifact: Any, overall: Slice, objectives: Iterable[ObjectiveEval], thresholds: Mapping[str, ObjectiveThresholds]
) -> None:
    """Sets every custom property; see :func:`properties`."""
    for name, value in properties(overall, objectives, thresholds):
        if isinstance(value, float):
            artifact.set_float_custom_property(name, value)
        else:
            artifact.set_string_custom_property(name, value)


def properties(
    overall: Slice, objectives: Iterable[ObjectiveEval], thresholds: Mapping[str, ObjectiveThresholds]
) -> Iterator[tuple[str, float | str]]:
    """Name and value of every custom property; figures that are not finite are left out.

    Args:
      overall: the overall slice.
      objectives: the ones that the evaluation was configured with, classes in the same order.
      thresholds: objective to its thresholds; categories that fall short are listed.

    Raises:
      ValueError: the evaluation has another number of classes than the objective.
    """
    for objective in objectives:
        name, classes = objective.name, objective.classes
        for figure, value in overall.values.get(name, {}).items():
            if math.isfinite(value):
                yield f"{name}/{figure}", value
        array = overall.categories.get(name)
        if array is None:
            continue
        if array.shape != (len(figures.COLUMNS), len(classes)):
            raise ValueError(f"the evaluation of {name!r} has {array.shape[1]} classes, the workflow {len(classes)}")
        columns = dict(zip(figures.COLUMNS, array, strict=True))
        for index in np.flatnonzero(np.isfinite(columns["f1"])):
            category, path = classes[index]
            yield category_name(name, category), pack(path, {n: float(v[index]) for n, v in columns.items()})
        checks = objective.checks(thresholds.get(name, ObjectiveThresholds()))
        if checks:
            rest = overall.values[name].get(figures.REST_F1, math.nan)
            failed = check_categories(checks, columns["f1"], columns["examples"], rest)
            paths = {index: path for index, (_, path) in enumerate(classes)} | {REST: REST_PATH}
            yield f"failed/{name}", pack_failed((paths[f.category], f.f1, f.bound) for f in failed)
