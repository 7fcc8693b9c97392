"""What a trial is worth: its model's answers on the eval split."""

from __future__ import annotations

import keras

from modules.settings.workflow import Workflow
from modules.training.gather import eval_logits
from modules.training.member import TrainingData


def eval_score(model: keras.Model, workflow: Workflow, data: TrainingData, name: str) -> float:
    """The objective's main metric on the labelled products of the eval split.

    Args:
      name: the objective.
    """
    objective = workflow.objectives[name]
    alone = workflow.model_copy(update={"objectives": {name: objective}})
    logits, targets = eval_logits([model], alone, data)
    return objective.score(logits[name][0], targets[name])
