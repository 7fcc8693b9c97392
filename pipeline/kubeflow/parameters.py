"""Run parameters: values that somebody gives when a run is started, with defaults, and where they go."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from modules.errors import InputError, Problem
from pipeline.kubeflow.document import Package
from pipeline.kubeflow.overrides import PREFIX, Override, to_argument
from pipeline.kubeflow.values import misfit

TYPES = {bool: "BOOLEAN", int: "NUMBER_INTEGER", float: "NUMBER_DOUBLE", str: "STRING"}


@dataclass(frozen=True)
class RunParameter:
    """A parameter of the package.

    Attributes:
      name: a Python identifier. default: its value where none is given; its type is the parameter's.
      targets: per component the (path, append, text) of :class:`pipeline.kubeflow.overrides.Override`.
    """

    name: str
    default: bool | int | float | str
    description: str
    targets: Mapping[str, tuple[tuple[tuple[str, ...], bool, str | None], ...]]


def add_parameters(package: Package, parameters: Iterable[RunParameter]) -> None:
    """Declares the parameters at the root and leads them to the components that take them."""
    overrides: dict[str, list[Override]] = {}
    for parameter in parameters:
        kind = TYPES[type(parameter.default)]
        definition = {
            "parameterType": kind,
            "defaultValue": parameter.default,
            "isOptional": True,
            "description": parameter.description,
        }
        package.spec["root"].setdefault("inputDefinitions", {}).setdefault("parameters", {})[parameter.name] = (
            definition
        )
        for task, places in parameter.targets.items():
            name = PREFIX + parameter.name
            inputs = package.tasks[task].setdefault("inputs", {}).setdefault("parameters", {})
            inputs[name] = {"componentInputParameter": parameter.name}
            types = package.component(task).setdefault("inputDefinitions", {}).setdefault("parameters", {})
            types[name] = {"parameterType": kind}
            task_overrides = overrides.setdefault(task, [])
            task_overrides += [Override(parameter.name, path, append, text) for path, append, text in places]
    for task, entries in overrides.items():
        container = package.executor(task)["container"]
        container["args"] = ["--overrides", to_argument(entries), *container["args"]]


def keep_defaults(package: Package, pipeline: Any) -> None:
    """Defaults of TFX's RuntimeParameters: its compiler loses them, and the server then refuses every run.

    Raises:
      InputError: a default that is not of its parameter's type; Kubeflow would hand it to the component all the same.
    """
    from tfx.orchestration.data_types import RuntimeParameter

    declared = package.spec["root"].get("inputDefinitions", {}).get("parameters", {})
    problems = []
    for node in pipeline.components:
        for value in node.exec_properties.values():
            if isinstance(value, RuntimeParameter) and value.name in declared and value.default is not None:
                expected = misfit(declared[value.name]["parameterType"], value.default)
                if expected:
                    expected = f"expected {expected} as the default of a run parameter"
                    problems.append(Problem("", expected, key=f"{node.id}.{value.name}", value=str(value.default)))
                declared[value.name]["defaultValue"] = value.default
    if problems:
        raise InputError(problems)


def input_types(package: Package) -> None:
    """Tells the entrypoint the types of all inputs, those of run parameters too."""
    flag = "--json_serialized_inputs_spec_args"
    for task, container in package.containers():
        arguments = container["args"]
        if flag in arguments:
            definitions = package.component(task).get("inputDefinitions", {})
            arguments[arguments.index(flag) + 1] = json.dumps(definitions, sort_keys=True)
