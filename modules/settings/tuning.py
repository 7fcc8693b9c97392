"""Which settings the Tuner searches, and settings with other values in them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from modules import models
from modules.errors import Problem
from modules.settings.base import Settings, contradiction
from modules.training import methods

if TYPE_CHECKING:
    from modules.settings.workflow import Workflow


@dataclass(frozen=True)
class Section:
    """A section of the workflow whose settings can be searched, all kinds of it.

    Attributes:
      tag: the key that tells the kinds apart. kinds: their classes by its value.
    """

    tag: str
    kinds: Mapping[str, type[Settings]]
    union: TypeAdapter[Any]

    def kind_of(self, settings: Settings) -> str:
        """The value of the tag."""
        return str(getattr(settings, self.tag))


SECTIONS: Mapping[str, Section] = {
    "model": Section(
        "kind", {kind.model_fields["kind"].default: kind for kind in models.KINDS}, TypeAdapter(models.Model)
    ),
    "training": Section(
        "solver", {way.model_fields["solver"].default: way for way in methods.WAYS}, TypeAdapter(methods.Training)
    ),
}
"""Of the workflow, whose settings can be searched."""

NOT_SEARCHED = ("training.refit_on_eval", "training.checkpoint")
"""Trials never train on the eval split, and what is kept for a killed run changes no model."""

COMBINATIONS = 1000
"""Of values that are tried together."""


class SearchSettings(Settings):
    """Values that are tried: between ``low`` and ``high`` (whole numbers where the setting takes no others), or one of
    ``choices``."""

    low: float | None = None
    """The least value that is tried; it goes with ``high``."""
    high: float | None = None
    """The largest value that is tried; it goes with ``low``."""
    log: bool = False
    """Each order of magnitude between ``low`` and ``high`` is as likely as any other."""
    choices: tuple[Any, ...] | None = None
    """The values that are tried, in place of ``low`` and ``high``."""

    @property
    def tried(self) -> dict[str, Any]:
        """The values that show whether all are right, by their key: both ends, or each choice."""
        if self.choices is not None:
            return {f"choices.{number}": choice for number, choice in enumerate(self.choices)}
        ends = {"low": self.low, "high": self.high}
        # YAML's 1 is a number like any other, but a whole one's setting takes no 1.0.
        return {key: int(end) if end is not None and end.is_integer() else end for key, end in ends.items()}

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        """At most one problem: what follows from the first would only confuse."""
        if self.choices is not None:
            both = next((key for key in ("low", "high", "log") if getattr(self, key) not in (None, False)), None)
            if not self.choices:
                yield contradiction(f"{place}.choices", "[]", "at least one value")
            elif both:
                yield contradiction(f"{place}.{both}", getattr(self, both), "either choices, or low and high")
        elif self.low is None or self.high is None:
            yield contradiction(place, "", "low and high, or choices")
        elif self.low >= self.high:
            yield contradiction(f"{place}.low", f"{self.low:g}", f"less than high, {self.high:g}")
        elif self.log and self.low <= 0:
            yield contradiction(f"{place}.low", f"{self.low:g}", "more than 0, since log is true")


class TuningSettings(Settings):
    """Trainings with other settings, compared on the eval split; the best one's settings are the Trainer's."""

    trials: Annotated[int, Field(ge=1, le=10_000)] = 12
    """How many settings are tried; each costs a training."""
    method: Literal["random", "bayesian"] = "random"
    """``bayesian``: after some random trials, where a Gaussian process over the trials so far expects the most."""
    objective: str | None = None
    """Whose accuracy (of independent categories: micro-F1) on the eval split is to be as high as possible; null: the
    first exclusive one's, else the first one's."""
    search: dict[str, SearchSettings] = Field(default_factory=dict)
    """Dotted setting of ``model`` or ``training`` to the values that are tried."""

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        problems: list[Problem] = []
        if self.objective is not None and self.objective not in workflow.objectives:
            expected = f"one of: {', '.join(workflow.objectives)}"
            problems.append(contradiction(f"{place}.objective", self.objective, expected))
        if not self.search:
            problems.append(contradiction(f"{place}.search", "{}", "at least one setting of model or training"))
        names = searchable(workflow)
        for name, search in self.search.items():
            key = f"{place}.search.{name}"
            if name not in names:
                problems.append(contradiction(key, name, f"one of: {', '.join(names)}"))
            else:
                problems += list(search.check(workflow, key)) or _refused(name, search, names[name], key)
        yield from problems
        if not problems and workflow.objectives:
            yield from self._together(workflow.model_copy(update={"tuning": None}), place)

    def _together(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        """Values that contradict the rest of the workflow, or each other; each contradiction once."""
        known = {problem.key for problem in workflow.check(workflow)}
        values = {name: list(search.tried.values()) for name, search in self.search.items()}
        # Numbers seldom contradict anything: they vary slowest, where not all combinations are looked at.
        names = sorted(values, key=lambda name: not isinstance(values[name][0], int | float))
        seen: set[tuple[str, str]] = set()
        for combination in itertools.islice(itertools.product(*(values[name] for name in names)), COMBINATIONS):
            tried = dict(zip(names, combination, strict=True))
            changed = with_values(workflow, tried)
            for problem in changed.check(changed):
                if problem.key in known or (problem.key, problem.expected) in seen:
                    continue
                seen.add((problem.key, problem.expected))
                shown = ", ".join(f"{name} {value}" for name, value in tried.items())
                setting = f"{problem.key} {problem.value or ''}".strip()
                expected = f"values that go together: {setting} needs {problem.expected.removeprefix('expected ')}"
                yield contradiction(f"{place}.search", shown, expected)


def searchable(workflow: Workflow) -> dict[str, Workflow]:
    """Dotted names of the settings that can be searched.

    They are those of the workflow's own kind of model and solver, and of the kinds and solvers that the search tries.

    Returns:
      Each with the workflow that has the setting: the workflow itself, or it with another kind or solver.
    """
    names: dict[str, Workflow] = {}
    search = workflow.tuning.search if workflow.tuning is not None else {}
    for name, section in SECTIONS.items():
        tag = f"{name}.{section.tag}"
        names[tag] = workflow
        choices = search[tag].choices or () if tag in search else ()
        others = [kind for kind in section.kinds if kind in choices]
        for kind in (section.kind_of(getattr(workflow, name)), *others):
            changed = with_values(workflow, {tag: kind})
            for setting in _below(name, getattr(changed, name)):
                if setting not in NOT_SEARCHED:
                    names.setdefault(setting, changed)
    return names


def _below(place: str, settings: Settings) -> Iterator[str]:
    """The dotted names of all settings inside ``settings`` that hold no others."""
    for field in type(settings).model_fields:
        name, value = f"{place}.{field}", getattr(settings, field)
        if isinstance(value, Settings):
            yield from _below(name, value)
        else:
            yield name


def whole(name: str, workflow: Workflow) -> bool:
    """Whether the setting ``name``, which the workflow searches between two ends, takes whole numbers only."""
    assert workflow.tuning is not None
    low = workflow.tuning.search[name].tried["low"]
    return type(setting_at(with_values(searchable(workflow)[name], {name: low}), name)) is int


def _refused(name: str, search: SearchSettings, workflow: Workflow, place: str) -> list[Problem]:
    """Values that the setting itself, which ``workflow`` has, does not take."""
    problems = []
    for key, value in search.tried.items():
        try:
            with_values(workflow, {name: value})
        except ValidationError as error:
            reason = error.errors(include_url=False)[0]["msg"]
            expected = f"a value that {name} takes: {reason[:1].lower()}{reason[1:]}"
            problems.append(contradiction(f"{place}.{key}", value, expected))
    return problems


def tuned_objective(workflow: Workflow) -> str:
    """The objective that trials are compared by."""
    if workflow.tuning is not None and workflow.tuning.objective is not None:
        return workflow.tuning.objective
    return (workflow.single_label_objectives or list(workflow.objectives))[0]


def setting_at(workflow: Workflow, name: str) -> Any:
    """The value of the dotted setting ``name``."""
    value: Any = workflow
    for part in name.split("."):
        value = getattr(value, part)
    return value


def with_values(workflow: Workflow, values: Mapping[str, Any]) -> Workflow:
    """The workflow with other settings.

    Where the model's kind or the solver becomes another one, settings that the new one does not have are left out, of
    the workflow and of ``values``: a search may try kinds together with the settings of each.

    Args:
      values: dotted setting of ``model`` or ``training`` to its value, or what :func:`encoded` makes of it.

    Raises:
      pydantic.ValidationError: a setting does not take its value.
    """
    changes = {}
    for name, section in SECTIONS.items():
        prefix, current = f"{name}.", getattr(workflow, name)
        own = {key.removeprefix(prefix): decoded(value) for key, value in values.items() if key.startswith(prefix)}
        kind = own.pop(section.tag, section.kind_of(current))
        known = section.kinds[kind].model_fields if isinstance(kind, str) and kind in section.kinds else {}
        settings: dict[str, Any] = {key: value for key, value in current.model_dump().items() if key in known}
        for dotted, value in own.items():
            *parents, key = dotted.split(".")
            if (parents or [key])[0] in known:
                inside = settings
                for parent in parents:
                    inside = inside[parent]
                inside[key] = value
        changes[name] = section.union.validate_python({**settings, section.tag: kind}, strict=True)
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
