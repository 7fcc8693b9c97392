"""What is measured of a workflow's model, and what the model must reach, in the terms of this package."""

from __future__ import annotations

from typing import Any

from components.evaluation.config import build_eval_config
from components.evaluation.objectives import ObjectiveEval, ObjectiveThresholds
from modules.errors import InputError, Problem
from modules.examples import eval_weight
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy


def objective_evals(workflow: Workflow, taxonomy: Taxonomy) -> list[ObjectiveEval]:
    """What is measured: one entry per objective, its classes in the head's order."""
    evals = []
    for name, objective in workflow.objectives.items():
        classes = objective.classes(taxonomy)
        evals.append(
            ObjectiveEval(
                name=name,
                kind=objective.kind,
                classes=[(c.id, taxonomy.path_text(c)) for c in classes],
                branches=[[taxonomy.path_text(a) for a in (*taxonomy.ancestors(c), c)] for c in classes],
                no_key=objective.denied_key(name),
                weight_key=eval_weight(name),
            )
        )
    return evals


def objective_thresholds(workflow: Workflow) -> dict[str, ObjectiveThresholds]:
    """Objective to what it must reach for the model to be blessed."""
    return {name: ObjectiveThresholds(**bounds.model_dump()) for name, bounds in workflow.evaluation.thresholds.items()}


def eval_config(workflow: Workflow, taxonomy: Taxonomy) -> Any:
    """TFMA's EvalConfig of the workflow.

    Raises:
      InputError: a threshold that no objective or category can be held to.
    """
    try:
        return build_eval_config(
            objective_evals(workflow, taxonomy),
            tuple(dict.fromkeys([*workflow.evaluation.slices, *workflow.evaluation.disparity])),
            objective_thresholds(workflow),
            top_k=workflow.evaluation.top_k,
            confidence=workflow.evaluation.confidence,
            signature_name="evaluate",
        )
    except ValueError as error:
        raise InputError(Problem("", str(error), key="evaluation.thresholds")) from None
