"""What ``model.kind: auto`` stands for, once the labels of the train split are counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from modules.settings.workflow import Workflow


class Chosen(NamedTuple):
    """A workflow whose models are of kinds that can be trained, and why; empty: it named them itself."""

    workflow: Workflow
    reason: str


def with_chosen_model(workflow: Workflow, label_counts: Mapping[str, np.ndarray]) -> Chosen:
    """The workflow with the kinds of models that its number of labels wants, and with the losses that suit them.

    A loss that the workflow has set to another than the kind's default stays.

    Args:
      label_counts: objective to the positive labels of each class in the train split.
    """
    # Rules reach thousands of products before anybody has labelled one: they say nothing of how much people taught.
    taught = [name for name, objective in workflow.objectives.items() if not objective.learns_from_rules]
    labels, categories = max(
        (
            (int(counts.sum()), int(np.count_nonzero(counts)) if workflow.objectives[name].single_label else 0)
            for name, counts in label_counts.items()
            if name in taught or not taught
        ),
        default=(0, 0),
    )
    committee = workflow.committee
    if committee is not None:
        kinds = tuple(
            m.model_copy(update={"model": m.model.chosen(labels, categories, workflow)[0]}) for m in committee.kinds
        )
        committee = committee.model_copy(update={"kinds": kinds})
    model, reason = workflow.model.chosen(labels, categories, workflow)
    update: dict[str, object] = {"model": model, "committee": committee}
    if workflow.model.chooses:
        update["objectives"] = {name: o.for_exact_solver() for name, o in workflow.objectives.items()}
        reason = f"model.kind: {model.kind}, since {reason}"
    return Chosen(workflow.model_copy(update=update), reason)
