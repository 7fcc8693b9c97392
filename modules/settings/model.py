"""Objectives: what a model learns to tell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from modules.errors import Problem
from modules.settings.base import Settings, contradiction

if TYPE_CHECKING:
    from modules.settings.workflow import Workflow

Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]


class ExclusiveObjective(Settings):
    """One category out of the taxonomy's exclusive ones; labels come from people."""

    kind: Literal["exclusive"] = "exclusive"
    weight: Positive = 1.0
    """Of this objective's loss in the sum."""
    loss: Literal["cross_entropy", "squared_hinge"] = "cross_entropy"
    """``squared_hinge``: one-versus-rest, as in a linear SVC; strong with few labels per category."""
    class_weights: Literal["none", "balanced"] = "none"
    label_smoothing: Probability = 0.0
    ancestor_weight: NotNegative = 0.0
    """``liblinear`` only: each ancestor in the taxonomy gets a score of its own, learnt from the labels of all
    categories below it, and adds this much of it to theirs. Worth a try (0.2) with few labels per category."""

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        if self.ancestor_weight and workflow.training.solver != "liblinear":
            expected = "training.solver: liblinear, or 0"
            yield contradiction(f"{place}.ancestor_weight", f"{self.ancestor_weight:g}", expected)


class MultiLabelObjective(Settings):
    """Independent categories; ``labels: rules`` takes the rules' (with ancestors), ``labels: people`` yes/no labels."""

    kind: Literal["multi_label"] = "multi_label"
    labels: Literal["rules", "people"] = "rules"
    weight: Positive = 1.0
    loss: Literal["binary_cross_entropy"] = "binary_cross_entropy"
    negative_weight: NotNegative = 1.0
    """Weight of the categories that no rule gave to a product that some rule reached."""
    unreached: Literal["unknown", "no"] = "unknown"
    """What a product that no rule reached says. Rule labels are only positive, so by default it says nothing: it is
    unlabelled, in training and in the evaluation, and the head is free to find what the rules missed. ``no``: none of
    the categories; the head then copies the rules, their gaps included."""
    class_weights: Literal["none", "balanced"] = "none"

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        if self.labels == "rules" and workflow.rules.file is None:
            yield contradiction(f"{place}.labels", "rules", "a rules.file for it to learn from")


Objective = Annotated[ExclusiveObjective | MultiLabelObjective, Field(discriminator="kind")]
