"""Where a committee, or a model and its solver, contradict other settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modules.settings.committee import CommitteeSettings
from modules.settings.losses import loss_contradictions
from modules.settings.model import ModelSettings, TrainingSettings

if TYPE_CHECKING:
    from modules.settings.workflow import Workflow


def solver_contradictions(
    place: str, model: ModelSettings, training: TrainingSettings
) -> list[tuple[str, object, str]]:
    """Of a model with what trains it; ``place``: what their keys begin with."""
    found: list[tuple[str, object, str]] = []
    exact = training.solver == "liblinear"
    if exact and model.kind not in ("linear", "lsa"):
        expected = "model.kind: linear or lsa; deep models are trained by adam"
        found.append((f"{place}training.solver", "liblinear", expected))
    if model.kind == "lsa" and not exact:
        found.append((f"{place}model.kind", "lsa", "training.solver: liblinear"))
    return found


def committee_contradictions(committee: CommitteeSettings, workflow: Workflow) -> list[tuple[str, object, str]]:
    """(dotted key, value, what was expected)."""
    found: list[tuple[str, object, str]] = []
    model, by = workflow.model, committee.by
    if by == "kinds" and not committee.kinds:
        found.append(("committee.by", "kinds", "committee.kinds to name at least one other model"))
    if by != "kinds" and committee.kinds:
        found.append(("committee.by", by, "kinds, since committee.kinds names models"))
    if by == "seeds" and workflow.training.solver == "liblinear":
        found.append(("committee.by", "seeds", "bootstrap: liblinear finds the same optimum from any seed"))
    if by == "dropout":
        if model.kind not in ("deep", "wide_deep") or not (model.dropout or model.input_dropout):
            found.append(("committee.by", "dropout", "a deep or wide_deep model with dropout or input_dropout above 0"))
        if committee.combine == "best":
            found.append(
                ("committee.combine", "best", "average, weighted or stacked: masks are not models to choose from")
            )
    for number, member in enumerate(committee.kinds):
        place = f"committee.kinds.{number}."
        found += solver_contradictions(place, member.model, member.training or workflow.training)
        if member.training is not None:
            found += loss_contradictions(workflow.objectives, member.training, place)
    return found
