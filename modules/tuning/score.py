"""What a trial is worth: its model's answers on the eval split."""

from __future__ import annotations

import keras
import numpy as np
import numpy.typing as npt

from modules.settings.model import MultiLabelObjective, Objective
from modules.settings.workflow import Workflow
from modules.training.calibration import calibrate
from modules.training.gather import eval_logits
from modules.training.member import TrainingData


def metric_of(objective: Objective) -> str:
    """The figure that trials are compared by."""
    return "accuracy" if objective.kind == "exclusive" else "micro_f1"


def eval_score(model: keras.Model, workflow: Workflow, data: TrainingData, name: str) -> float:
    """The model's accuracy (of independent categories: micro-F1) on the labelled products of the eval split.

    Args:
      name: the objective.
    """
    objective = workflow.objectives[name]
    alone = workflow.model_copy(update={"objectives": {name: objective}})
    logits, targets = eval_logits([model], alone, data)
    if isinstance(objective, MultiLabelObjective):
        return micro_f1(name, objective, logits[name][0], targets[name])
    return float((logits[name][0].argmax(axis=1) == targets[name]).mean())


def micro_f1(
    name: str, objective: MultiLabelObjective, logits: npt.NDArray[np.floating], labels: npt.NDArray[np.floating]
) -> float:
    """With the thresholds that the exported model would have, which are fitted on these products.

    Args:
      logits: (rows, classes). labels: (rows, classes): 1 yes, 0 no, -1 unknown.
    """
    thresholds = calibrate({name: logits}, {name: labels}, {name: objective}).thresholds[name]
    taken = 1.0 / (1.0 + np.exp(-logits.astype(np.float64))) >= thresholds
    hits = int((taken & (labels > 0.5)).sum())
    both = int((taken & (labels >= 0)).sum()) + int((labels > 0.5).sum())
    return 2.0 * hits / both if both else 0.0
