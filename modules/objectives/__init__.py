"""What the model learns to say of a product: every other module asks the objective's kind.

A kind is a file of this folder and a line of :data:`Objective`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, get_args

from pydantic import Field

from modules.errors import InputError, Problem
from modules.objectives.ancestors import ancestor_levels
from modules.objectives.base import ObjectiveSettings
from modules.objectives.exclusive import ExclusiveObjective
from modules.objectives.multi_label import MultiLabelObjective
from modules.predictions.columns import objective_column

__all__ = [
    "DEFAULT_KIND", "DEFAULT_OBJECTIVE", "KINDS", "Objective", "ObjectiveKind", "ancestor_levels", "default_objectives",
    "kind_by_columns", "kind_named", "kinds_of", "multi_label_names", "single_label_names",
]  # fmt: skip

Objective = Annotated[
    ExclusiveObjective | MultiLabelObjective,
    Field(discriminator="kind"),
]
"""Any kind, as the workflow file declares it."""

ObjectiveKind = type[ObjectiveSettings]

KINDS: Mapping[str, ObjectiveKind] = {
    kind.model_fields["kind"].default: kind for kind in get_args(get_args(Objective)[0])
}
"""Each kind by the name that workflows, label stores and reports have for it."""

DEFAULT_OBJECTIVE = "exclusive"
"""Name of the objective that a workflow has by default."""

DEFAULT_KIND: str = ExclusiveObjective.model_fields["kind"].default
"""Name of its kind; also that of a question whose objective nobody has told."""


def default_objectives(rules: bool = True) -> dict[str, Objective]:
    """Without rules there is nothing for a rule_based head to learn, so it is left out."""
    learnt_from_rules = {"rule_based": MultiLabelObjective()} if rules else {}
    return {DEFAULT_OBJECTIVE: ExclusiveObjective(), **learnt_from_rules}


def kind_named(name: str) -> ObjectiveKind:
    """The kind with this name.

    Raises:
      InputError: there is none, as in a label store or a table of predictions that a newer version wrote.
    """
    if name not in KINDS:
        raise InputError(Problem("", f"a kind of objective: one of {', '.join(KINDS)}", key="kind", value=name))
    return KINDS[name]


def kinds_of(objectives: Mapping[str, ObjectiveSettings]) -> dict[str, str]:
    """Objective to the name of its kind."""
    return {name: objective.kind for name, objective in objectives.items()}


def single_label_names(kinds: Mapping[str, str]) -> list[str]:
    """The objectives by which a product is in one category at most.

    Args:
      kinds: objective to the name of its kind.
    """
    return [name for name, kind in kinds.items() if kind_named(kind).single_label]


def multi_label_names(kinds: Mapping[str, str]) -> list[str]:
    """The objectives by which a product may be in several categories; ``kinds`` as above."""
    return [name for name, kind in kinds.items() if not kind_named(kind).single_label]


def kind_by_columns(objective: str, columns: Collection[str]) -> str:
    """The name of an objective's kind, as the columns of its predictions tell it.

    Raises:
      InputError: they are of no kind.
    """
    for name, kind in KINDS.items():
        if objective_column(objective, kind.answer_column) in columns:
            return name
    expected = " or ".join(objective_column(objective, kind.answer_column) for kind in KINDS.values())
    raise InputError(Problem("", f"predictions with a column {expected}", key="objective", value=objective))
