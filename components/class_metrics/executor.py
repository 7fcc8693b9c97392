"""Writes an evaluation's figures: overall onto the artifact, per category into its files and onto the record."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components.class_metrics.files import write_figures
from components.class_metrics.properties import FIGURES, CategoryFigures, pack_figures
from components.class_metrics.results import Category
from components.evaluation import figures
from components.evaluation.objectives import unpack_checks, unpack_classes
from components.evaluation.reading import Slice, read_evaluation
from components.properties import set_property
from modules.metrics.checks import REST, check_categories

REST_PATH = "(categories with few labels, together)"


class ClassMetricsExecutor(base_executor.BaseExecutor):
    """Reads the evaluation; ``metrics`` is for the steps behind it, ``metrics_record`` for queries."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        evaluation = read_evaluation(artifact_utils.get_single_uri(input_dict["evaluation"]))
        metrics = artifact_utils.get_single_instance(output_dict["metrics"])
        record = artifact_utils.get_single_instance(output_dict["metrics_record"])
        objectives = json.loads(exec_properties["objectives"])
        for name, value in overall_figures(evaluation[0], [objective["name"] for objective in objectives]):
            set_property(metrics, name, value)
        found = category_figures(evaluation[0], objectives)
        write_figures(metrics.uri, found, figures.COLUMNS)
        set_property(record, FIGURES, pack_figures(found))


def overall_figures(overall: Slice, objectives: Iterable[str]) -> Iterator[tuple[str, float]]:
    """Name and value of every property of ``metrics``; figures that are not finite are left out."""
    for name in objectives:
        for figure, value in overall.values.get(name, {}).items():
            if math.isfinite(value):
                yield f"{name}/{figure}", float(value)


def category_figures(overall: Slice, objectives: Iterable[Mapping[str, Any]]) -> CategoryFigures:
    """Every category with figures, and those below their bounds.

    Args:
      overall: the overall slice.
      objectives: per objective ``name``, ``classes`` (packed) and ``checks`` (packed, or None).

    Raises:
      ValueError: the evaluation has another number of classes than the objective.
    """
    found = CategoryFigures()
    for objective in objectives:
        name = objective["name"]
        array = overall.categories.get(name)
        if array is None:
            continue
        classes = unpack_classes(objective["classes"])[0]
        if array.shape != (len(figures.COLUMNS), len(classes)):
            raise ValueError(f"the evaluation of {name!r} has {array.shape[1]} classes, the workflow {len(classes)}")
        columns = dict(zip(figures.COLUMNS, array, strict=True))
        for index in np.flatnonzero(np.isfinite(columns["f1"])):
            values = {n: float(v[index]) for n, v in columns.items() if math.isfinite(v[index])}
            found.categories.append(Category(name, *classes[index], values))
        if objective.get("checks"):
            rest = overall.values[name].get(figures.REST_F1, math.nan)
            failed = check_categories(unpack_checks(objective["checks"]), columns["f1"], columns["examples"], rest)
            paths = {index: path for index, (_, path) in enumerate(classes)} | {REST: REST_PATH}
            found.failed[name] = [
                {
                    "path": paths[one.category],
                    "f1": float(one.f1) if math.isfinite(one.f1) else None,
                    "bound": float(one.bound),
                }
                for one in failed
            ]
    return found
