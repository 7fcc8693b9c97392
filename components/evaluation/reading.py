"""Reads what the Evaluator component wrote, back into arrays."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.proto import metrics_for_slice_pb2
from tensorflow_model_analysis.slicer import slicer_lib as slicer
from tensorflow_model_analysis.writers.metrics_plots_and_validations_writer import load_and_deserialize_metrics

from components.evaluation import figures
from components.evaluation.objectives import unpack_classes


@dataclass(frozen=True)
class Slice:
    """Figures of one slice of the test products.

    Attributes:
      name: "Overall" or "feature:value".
      values: objective to name to figure; NaN where there is none.
      categories: objective to float64 array of shape (len(figures.COLUMNS), n_classes); the overall slice's alone.
    """

    name: str
    values: dict[str, dict[str, float]]
    categories: dict[str, np.ndarray]


def read_evaluation(folder: str) -> list[Slice]:
    """The candidate model's figures per slice, the overall slice first, the others by name.

    Args:
      folder: of a ModelEvaluation artifact.

    Raises:
      ValueError: there is no evaluation.
    """
    slices = [_read(message) for message in load_and_deserialize_metrics(folder)]
    if not slices:
        raise ValueError(f"there is no evaluation in {folder}")
    return sorted(slices, key=lambda item: (item.name != "Overall", item.name))


def read_classes(folder: str) -> dict[str, list[str]]:
    """Objective to its categories' paths, in the order of the head's outputs, as the evaluation was configured."""
    from tensorflow_model_analysis.api import model_eval_lib

    paths_by_objective = {}
    for spec in model_eval_lib.load_eval_result(folder).config.metrics_specs:
        for metric in spec.metrics:
            parameters = json.loads(metric.config or "{}")
            if "classes" in parameters:
                paths_by_objective[parameters["objective"]] = [
                    path for _, path in unpack_classes(parameters["classes"])[0]
                ]
    return paths_by_objective


def _read(message: metrics_for_slice_pb2.MetricsForSlice) -> Slice:
    name = slicer.stringify_slice_key(slicer.deserialize_slice_key(message.slice_key))
    values: dict[str, dict[str, float]] = {}
    categories = {}
    for item in message.metric_keys_and_values:
        key, value = item.key, item.value
        if key.model_name == constants.BASELINE_KEY or key.is_diff or key.HasField("sub_key"):
            continue
        if value.HasField("double_value"):
            values.setdefault(key.output_name, {})[key.name] = value.double_value.value
        elif value.HasField("array_value") and key.name == figures.CATEGORIES:
            array = np.array(value.array_value.float64_values)
            categories[key.output_name] = array.reshape(tuple(value.array_value.shape))
    return Slice(name, values, categories)
