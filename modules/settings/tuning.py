"""Which settings the Tuner searches, and settings with other values in them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from modules.settings.base import Settings

if TYPE_CHECKING:
    from modules.settings.workflow import Workflow

SECTIONS = ("model", "training")
"""Of the workflow, whose settings can be searched."""


class SearchSettings(Settings):
    """Values that are tried: between ``low`` and ``high`` (whole numbers where the setting takes no others), or one of
    ``choices``."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    """Each order of magnitude between ``low`` and ``high`` is as likely as any other."""
    choices: tuple[Any, ...] | None = None


class TuningSettings(Settings):
    """Trainings with other settings, compared on the eval split; the best one's settings are the Trainer's."""

    trials: Annotated[int, Field(ge=1, le=10_000)] = 12
    method: Literal["random", "bayesian"] = "random"
    """``bayesian``: after some random trials, where a Gaussian process over the trials so far expects the most."""
    objective: str | None = None
    """Whose accuracy (of independent categories: micro-F1) on the eval split is to be as high as possible; null: the
    first exclusive one's, else the first one's."""
    search: dict[str, SearchSettings] = Field(default_factory=dict)
    """Dotted setting of ``model`` or ``training`` to the values that are tried."""


def tuned_objective(workflow: Workflow) -> str:
    """The objective that trials are compared by."""
    if workflow.tuning is not None and workflow.tuning.objective is not None:
        return workflow.tuning.objective
    return (workflow.single_label_objectives or list(workflow.objectives))[0]


def setting_at(workflow: Workflow, name: str) -> Any:
    """The value of the dotted setting ``name``."""
    found: Any = workflow
    for part in name.split("."):
        found = getattr(found, part)
    return found


def with_values(workflow: Workflow, values: Mapping[str, Any]) -> Workflow:
    """The workflow with other settings.

    Args:
      values: dotted setting of ``model`` or ``training`` to its value, or what :func:`encoded` makes of it.

    Raises:
      pydantic.ValidationError: a setting does not take its value.
    """
    sections = {name: getattr(workflow, name).model_dump() for name in SECTIONS}
    for name, value in values.items():
        *parents, key = name.split(".")
        inside: Any = sections
        for parent in parents:
            inside = inside[parent]
        inside[key] = decoded(value)
    changes = {
        name: type(getattr(workflow, name)).model_validate(section, strict=True) for name, section in sections.items()
    }
    return workflow.model_copy(update=changes)


def encoded(choices: Sequence[Any]) -> list[int] | list[float] | list[str]:
    """Choices as a search takes them: all of one type. What is not all numbers or all texts becomes JSON."""
    kinds = {type(choice) for choice in choices}
    if kinds == {int}:
        return list(choices)
    if kinds <= {int, float}:
        return [float(choice) for choice in choices]
    if kinds == {str}:
        return list(choices)
    return [json.dumps(choice) for choice in choices]


def decoded(value: Any) -> Any:
    """The inverse of :func:`encoded`, for one choice: no setting that is searched takes a text that is JSON."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return value
    return tuple(map(decoded, value)) if isinstance(value, list) else value
