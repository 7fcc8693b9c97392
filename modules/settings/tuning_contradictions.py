"""Where the tuning section contradicts itself or other settings; every value that it may try is tried here."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from modules.settings.base import Settings
from modules.settings.tuning import SECTIONS, SearchSettings, TuningSettings, setting_at, with_values

if TYPE_CHECKING:
    from modules.settings.workflow import Workflow

Found = list[tuple[str, object, str]]

NOT_SEARCHED = ("training.refit_on_eval", "training.checkpoint")
"""Trials never train on the eval split, and what is kept for a killed run changes no model."""

COMBINATIONS = 1000
"""Of values that are tried together."""


def tuning_contradictions(
    tuning: TuningSettings, workflow: Workflow, contradictions: Callable[[Workflow], Found]
) -> Found:
    """(dotted key, value, what was expected).

    Args:
      contradictions: of a workflow without tuning.
    """
    found: Found = []
    if tuning.objective is not None and tuning.objective not in workflow.objectives:
        found.append(("tuning.objective", tuning.objective, f"one of: {', '.join(workflow.objectives)}"))
    if not tuning.search:
        found.append(("tuning.search", "{}", "at least one setting of model or training"))
    names = list(searchable(workflow))
    for name, search in tuning.search.items():
        if name not in names:
            found.append((f"tuning.search.{name}", name, f"one of: {', '.join(names)}"))
        else:
            found += _bounds(f"tuning.search.{name}", search) or _refused(name, search, workflow)
    if found or not workflow.objectives:
        return found
    bare = workflow.model_copy(update={"tuning": None})
    return _together(tuning, bare, contradictions)


def searchable(workflow: Workflow) -> Iterator[str]:
    """Dotted names of the settings that can be searched."""

    def below(place: str, settings: Settings) -> Iterator[str]:
        for field in type(settings).model_fields:
            name, value = f"{place}.{field}", getattr(settings, field)
            if isinstance(value, Settings):
                yield from below(name, value)
            elif name not in NOT_SEARCHED:
                yield name

    for section in SECTIONS:
        yield from below(section, getattr(workflow, section))


def tried(search: SearchSettings) -> dict[str, Any]:
    """The values that show whether all are right, by their key: both ends, or each choice."""
    if search.choices is not None:
        return {f"choices.{number}": choice for number, choice in enumerate(search.choices)}
    ends = {"low": search.low, "high": search.high}
    # YAML's 1 is a number like any other, but a whole one's setting takes no 1.0.
    return {key: int(end) if end is not None and end.is_integer() else end for key, end in ends.items()}


def whole(name: str, search: SearchSettings, workflow: Workflow) -> bool:
    """Whether the setting ``name``, searched between two ends, takes whole numbers only."""
    return type(setting_at(with_values(workflow, {name: tried(search)["low"]}), name)) is int


def _bounds(place: str, search: SearchSettings) -> Found:
    if search.choices is not None:
        if not search.choices:
            return [(f"{place}.choices", "[]", "at least one value")]
        both = next((key for key in ("low", "high", "log") if getattr(search, key) not in (None, False)), None)
        return [(f"{place}.{both}", getattr(search, both), "either choices, or low and high")] if both else []
    if search.low is None or search.high is None:
        return [(place, "", "low and high, or choices")]
    if search.low >= search.high:
        return [(f"{place}.low", f"{search.low:g}", f"less than high, {search.high:g}")]
    if search.log and search.low <= 0:
        return [(f"{place}.low", f"{search.low:g}", "more than 0, since log is true")]
    return []


def _refused(name: str, search: SearchSettings, workflow: Workflow) -> Found:
    """Values that the setting itself does not take."""
    found: Found = []
    for key, value in tried(search).items():
        try:
            with_values(workflow, {name: value})
        except ValidationError as error:
            reason = error.errors(include_url=False)[0]["msg"]
            shown = "null" if value is None else value
            found.append((f"tuning.search.{name}.{key}", shown, f"a value that {name} takes: {_small(reason)}"))
    return found


def _together(tuning: TuningSettings, workflow: Workflow, contradictions: Callable[[Workflow], Found]) -> Found:
    """Values that contradict the rest of the workflow, or each other."""
    known = {key for key, _, _ in contradictions(workflow)}
    values = {name: list(tried(search).values()) for name, search in tuning.search.items()}
    # Numbers seldom contradict anything: they vary slowest, where not all combinations are looked at.
    names = sorted(values, key=lambda name: not isinstance(values[name][0], int | float))
    found: dict[tuple[str, str], tuple[str, object, str]] = {}
    for combination in itertools.islice(itertools.product(*(values[name] for name in names)), COMBINATIONS):
        for key, value, expected in contradictions(with_values(workflow, dict(zip(names, combination, strict=True)))):
            if key not in known:
                shown = ", ".join(f"{name} {value}" for name, value in zip(names, combination, strict=True))
                text = f"values that go together: {key} {value} needs {expected}"
                found.setdefault((key, expected), ("tuning.search", shown, text))
    return list(found.values())


def _small(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
