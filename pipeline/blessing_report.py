"""Whether a run's model is blessed, and if not, why: TFX's blessing and TFMA's validation, said in words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.properties import NOT_COMPARED
from modules.errors import InputError
from modules.reporting.model import Blessing, Estimate, Figure
from pipeline.measured import Measured
from pipeline.runs import Run


def blessing_of(run: Run, metrics: Measured | None) -> Blessing:
    """What the Evaluator decided about the run's model.

    Args:
      metrics: the run's, for the names of the categories that fell short.
    """
    output = run.outputs.get("blessing")
    if output is None:
        return Blessing("unknown", "this run evaluated no model")
    state = output.properties.get("blessed")
    if state == 1:
        baseline = output.properties.get("baseline_model")
        against = "the thresholds and the last blessed model" if baseline else "the thresholds"
        if output.properties.get(NOT_COMPARED):
            against += " (the last blessed model has other categories, and says nothing of these)"
        pushed = ", and is pushed" if is_pushed(run) else ""
        return Blessing("blessed", f"the model holds against {against}{pushed}")
    if state != 0:
        why = "the workflow has no evaluation.thresholds"
        if output.properties.get(NOT_COMPARED):
            why += " but those that compare with the last blessed model, which has other categories"
        sentence = f"{why}, so the model is neither blessed nor pushed"
        return Blessing("not checked", sentence)
    reasons = []
    if "evaluation" in run.outputs:
        try:
            reasons = list(dict.fromkeys(_reasons(run.folder("evaluation"))))
        except InputError as error:
            # What ML Metadata knows is still said.
            reasons = [str(error)]
    for name, rows in (metrics.failed if metrics else {}).items():
        reasons += [f"{name}: category {row['path']!r} is below F1 {row['bound']:g}" for row in rows]
    return Blessing("not blessed", "so the model is not pushed", reasons or ["the evaluation says no more"])


def is_pushed(run: Run) -> bool:
    """Whether the run's Pusher pushed a model; it leaves an artifact in any case."""
    pushed = run.outputs.get("pushed_model")
    return pushed is not None and pushed.properties.get("pushed") == 1


def _reasons(evaluation: Path) -> Iterator[str]:
    """TFMA's failures as sentences."""
    from tensorflow_model_analysis.proto import validation_result_pb2

    for record in _records(evaluation / "validations"):
        result = validation_result_pb2.ValidationResult.FromString(record)
        for part in result.metric_validations_per_slice:
            for failure in part.failures:
                yield _sentence(failure)
        for missing in result.missing_slices:
            yield f"no test product for a threshold's slice: {missing}".strip()


def _records(stem: Path) -> Iterator[bytes]:
    import tensorflow as tf

    for file in sorted(stem.parent.glob(f"{stem.name}*")):
        yield from tf.data.TFRecordDataset(str(file)).as_numpy_iterator()


def _sentence(failure: Any) -> str:
    name = failure.metric_key.name
    objective = failure.metric_key.output_name
    value = failure.metric_value.double_value.value
    title = Figure(name, Estimate(value)).title
    if name in ("categories_failed", "categories_worse"):
        what = "below their bound" if name == "categories_failed" else "worse than in the last blessed model"
        return f"{objective}: {value:,.0f} categories are {what}"
    threshold = failure.metric_threshold
    if threshold.HasField("change_threshold"):
        bound = -threshold.change_threshold.absolute.value
        return f"{objective}: {title} fell by {-value:.4f}, {bound:g} is allowed" if not math.isnan(value) else name
    bound = threshold.value_threshold.lower_bound.value
    if math.isnan(value):
        return f"{objective}: {title} is not known (no labelled test products), {bound:g} is needed"
    return f"{objective}: {title} is {value:.4f}, {bound:g} is needed"
