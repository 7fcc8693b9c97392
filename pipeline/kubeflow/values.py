"""Run parameters from texts: of the declared type, within the limits of the workflow's settings. Light: no TFX."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from modules.errors import InputError, Problem
from modules.settings.workflow import Workflow
from modules.taxonomy.documents import did_you_mean
from pipeline.settings_errors import validate_data

_OPTION = "--parameter"
_EXACT = 2**53
"""Kubeflow keeps every number as a double: whole numbers beyond this come out as others."""


def parameter_name(key: str) -> str:
    """The run parameter of a workflow setting: ``training.epochs`` is ``training_epochs``."""
    return key.replace(".", "_")


def run_values(package: Path, given: list[str], workflow: Workflow) -> dict[str, Any]:
    """Reads ``NAME=VALUE`` texts.

    Args:
      workflow: a value that takes the place of one of its settings has to be within that setting's limits.

    Raises:
      InputError: the package cannot be read or has a default that is not of its parameter's type; a name that it does
        not declare; a value of another type, or one that the workflow could not have.
    """
    declared = _declared(package)
    values: dict[str, Any] = {}
    problems = [
        Problem(str(package), f"expected {expected} as the default of a run parameter", key=name, value=str(default))
        for name, entry in declared.items()
        if (default := entry.get("defaultValue")) is not None and (expected := misfit(_kind(entry), default))
    ]
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in declared:
            expected = f"NAME=VALUE with one of: {', '.join(sorted(declared))}"
            problems.append(Problem(_OPTION, expected, value=text, hint=did_you_mean(name, list(declared))))
            continue
        kind = _kind(declared[name])
        try:
            read = _READERS.get(kind, str)(value)
        except (ValueError, RecursionError):
            read = None
        # Asked of the text as well: a value that cannot be read is of no type.
        wrong = misfit(kind, read)
        if wrong:
            problems.append(Problem(_OPTION, wrong, key=name, value=value))
        else:
            values[name] = read
    if problems:
        raise InputError(problems)
    _check_settings(workflow, values)
    return values


def misfit(kind: str, value: Any) -> str:
    """What was expected instead, where a value is not of Kubeflow's parameter type ``kind``; empty where it is."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if kind == "NUMBER_INTEGER" and is_whole and abs(value) > _EXACT:
        return f"a whole number of at most {_EXACT:,}, as Kubeflow keeps numbers as doubles"
    expected, fits = {
        "NUMBER_INTEGER": ("a whole number", is_whole),
        "NUMBER_DOUBLE": ("a number", is_whole or (isinstance(value, float) and math.isfinite(value))),
        "BOOLEAN": ("true or false", isinstance(value, bool)),
        "LIST": ("a list in JSON", isinstance(value, list)),
        "STRUCT": ("a mapping in JSON", isinstance(value, dict)),
        "STRING": ("a text", isinstance(value, str)),
    }.get(kind, (f"no value, as Kubeflow takes none for a parameter of type {kind}", False))
    return "" if fits else expected


def _number(text: str, kind: type[int] | type[float]) -> float:
    if not text.isascii() or "_" in text:
        # Python's spelling of numbers, and no other program's.
        raise ValueError(text)
    return kind(text)


def _json(text: str) -> Any:
    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    return json.loads(text, parse_constant=refuse)


_READERS: dict[str, Callable[[str], Any]] = {
    "NUMBER_INTEGER": lambda text: _number(text, int),
    "NUMBER_DOUBLE": lambda text: _number(text, float),
    "BOOLEAN": lambda text: {"true": True, "false": False}.get(text.lower()),
    "LIST": _json,
    "STRUCT": _json,
}


def _kind(entry: Mapping[str, Any]) -> str:
    return str(entry.get("parameterType", "STRING"))


def _check_settings(workflow: Workflow, values: Mapping[str, Any]) -> None:
    """Puts the values where the run will, and asks the workflow's own checks."""
    data = workflow.model_dump(mode="python")
    names: dict[str, str] = {}
    for key in workflow.runners.kubeflow.parameters:
        name, (*parents, last) = parameter_name(key), key.split(".")
        section: Any = data
        for part in parents:
            section = section.get(part) if isinstance(section, dict) else None
        if name in values and isinstance(section, dict):
            section[last] = values[name]
            names[key] = name
    if not names:
        return
    _, problems = validate_data(data, lambda _: (_OPTION, None))
    if problems:
        raise InputError(replace(problem, key=names.get(problem.key, problem.key)) for problem in problems)


def _declared(package: Path) -> dict[str, Any]:
    try:
        with package.open(encoding="utf-8") as file:
            spec = next(yaml.load_all(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
        definitions: dict[str, Any] = spec["root"].get("inputDefinitions", {}).get("parameters", {})
        return {name: dict(entry) for name, entry in definitions.items()}
    except OSError as error:
        raise InputError(Problem(str(package), f"expected a package: {error.strerror}")) from None
    except (yaml.YAMLError, StopIteration, KeyError, TypeError, ValueError, AttributeError):
        hint = "`shelfmark compile` writes one"
        raise InputError(Problem(str(package), "expected a pipeline package in YAML", hint=hint)) from None
