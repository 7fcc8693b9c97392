"""Writes an evaluation's figures: overall onto the artifact, per category into its files and onto the record."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components.class_metrics.files import write_figures
from components.class_metrics.properties import FIGURES, CategoryFigures, pack_figures
from components.class_metrics.results import CategoryResult
from components.evaluation import figures
from components.evaluation.objectives import ObjectiveEval, ObjectiveThresholds
from components.evaluation.of_workflow import objective_evals, objective_thresholds
from components.evaluation.reading import Slice, read_evaluation
from components.properties import set_property
from modules.examples import TAXONOMY_FILE
from modules.metrics.checks import REST, check_categories
from modules.metrics.disparity import disparity_figures
from modules.metrics.per_retailer import retailer_figures
from modules.predictions.acceptance import acceptance_figures, accepted_shares, read_acceptance
from modules.predictions.accepted_figures import CATEGORY_FIGURES
from modules.predictions.read import PredictionFiles
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy

AcceptedFigures = Mapping[str, tuple[Mapping[str, float], Mapping[str, Mapping[str, float]]]]
"""Objective to its figures about acceptance, and to those of its categories, by id."""

REST_PATH = "(categories with few labels, together)"


class ClassMetricsExecutor(base_executor.BaseExecutor):
    """Reads the evaluation; ``metrics`` is for the steps behind it, ``metrics_record`` for queries."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        evaluation = read_evaluation(artifact_utils.get_single_uri(input_dict["evaluation"]))
        workflow = Workflow.from_part(exec_properties["workflow"])
        folder = artifact_utils.get_single_uri(input_dict["taxonomy"])
        objectives = objective_evals(workflow, Taxonomy.load(os.path.join(folder, TAXONOMY_FILE)))
        metrics = artifact_utils.get_single_instance(output_dict["metrics"])
        record = artifact_utils.get_single_instance(output_dict["metrics_record"])
        predictions = input_dict.get("predictions")
        accepted = accepted_figures(artifact_utils.get_single_uri(predictions)) if predictions else {}
        write(metrics, record, evaluation[0], objectives, objective_thresholds(workflow), accepted)
        for name, value in figures_by_retailer(evaluation[1:], [objective.name for objective in objectives]):
            set_property(metrics, name, value)
        columns = workflow.evaluation.disparity
        for objective in objectives if columns else ():
            shares = accepted_shares(artifact_utils.get_single_uri(predictions), objective.name) if predictions else {}
            own = ((item.name, item.values.get(objective.name, {})) for item in evaluation[1:])
            for name, value in disparity_figures(own, columns, shares).items():
                set_property(metrics, f"{objective.name}/{name}", value)


def write(
    metrics: Any,
    record: Any,
    overall: Slice,
    objectives: Sequence[ObjectiveEval],
    thresholds: Mapping[str, ObjectiveThresholds],
    accepted: AcceptedFigures | None = None,
) -> None:
    """Overall figures become properties of ``metrics``; those of categories its files, and ``record``'s property."""
    accepted = accepted or {}
    for name, (figures_of_objective, _) in accepted.items():
        for figure, value in figures_of_objective.items():
            set_property(metrics, f"{name}/{figure}", value)
    for name, value in overall_figures(overall, [objective.name for objective in objectives]):
        set_property(metrics, name, value)
    per_category = category_figures(overall, objectives, thresholds)
    for category in per_category.categories:
        # Only those that an evaluation knows: they have a labelled or predicted test product.
        category.values.update(accepted.get(category.objective, ({}, {}))[1].get(category.id, {}))
    write_figures(metrics.uri, per_category, [*figures.COLUMNS, *(CATEGORY_FIGURES if accepted else ())])
    set_property(record, FIGURES, pack_figures(per_category))


def accepted_figures(folder: str) -> AcceptedFigures:
    """What is accepted of the predictions in a folder."""
    acceptance = read_acceptance(folder)
    files = PredictionFiles(folder) if acceptance else None
    return {name: acceptance_figures(own, files, name) for name, own in acceptance.items() if files is not None}


def overall_figures(overall: Slice, objectives: Iterable[str]) -> Iterator[tuple[str, float]]:
    """Name and value of every property of ``metrics``; figures that are not finite are left out."""
    for name in objectives:
        for figure, value in overall.values.get(name, {}).items():
            if math.isfinite(value):
                yield f"{name}/{figure}", float(value)


def figures_by_retailer(slices: Sequence[Slice], objectives: Iterable[str]) -> Iterator[tuple[str, float]]:
    """Name and value of the properties of ``metrics`` that tell retailers apart."""
    for name in objectives:
        own = retailer_figures((item.name, item.values.get(name, {})) for item in slices)
        yield from ((f"{name}/{figure}", value) for figure, value in own.items())


def category_figures(
    overall: Slice, objectives: Iterable[ObjectiveEval], thresholds: Mapping[str, ObjectiveThresholds]
) -> CategoryFigures:
    """Every category with figures, and those below their bounds.

    Args:
      overall: the overall slice.
      objectives: the ones that the evaluation was configured with, classes in the same order.
      thresholds: objective to its thresholds; categories that fall short are listed.

    Raises:
      ValueError: the evaluation has another number of classes than the objective.
    """
    per_category = CategoryFigures()
    for objective in objectives:
        name, classes = objective.name, objective.classes
        array = overall.categories.get(name)
        if array is None:
            continue
        if array.shape != (len(figures.COLUMNS), len(classes)):
            raise ValueError(f"the evaluation of {name!r} has {array.shape[1]} classes, the workflow {len(classes)}")
        columns = dict(zip(figures.COLUMNS, array, strict=True))
        for index in np.flatnonzero(np.isfinite(columns["f1"])):
            values = {n: float(v[index]) for n, v in columns.items() if math.isfinite(v[index])}
            identity, path = classes[int(index)]
            per_category.categories.append(CategoryResult(name, identity, path, values))
        checks = objective.checks(thresholds.get(name, ObjectiveThresholds()))
        if checks:
            rest = overall.values[name].get(figures.REST_F1, math.nan)
            failed = check_categories(checks, columns["f1"], columns["examples"], rest)
            paths = {index: path for index, (_, path) in enumerate(classes)} | {REST: REST_PATH}
            per_category.failed[name] = [
                {
                    "path": paths[failed_category.category],
                    "f1": float(failed_category.f1) if math.isfinite(failed_category.f1) else None,
                    "bound": float(failed_category.bound),
                }
                for failed_category in failed
            ]
    return per_category
