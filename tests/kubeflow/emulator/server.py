"""What the API server makes of a package (apiserver/template/v2_template.go) and its compiler refuses (v2/compiler)."""

from __future__ import annotations

import re
from typing import Any

import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2


class Refused(Exception):
    """The server's or the compiler's error."""


def parse_package(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The pipeline specification, and executor label to its Kubernetes settings."""
    spec: dict[str, Any] | None = None
    kubernetes: dict[str, Any] = {}
    for document in yaml.safe_load_all(text):
        if not document:
            continue
        if "pipelineInfo" in document:
            try:
                json_format.ParseDict(document, pipeline_spec_pb2.PipelineSpec())
            except json_format.ParseError as error:
                raise Refused(f"invalid v2 pipeline spec: {error}") from error
            version = document.get("schemaVersion", "")
            if version != "2.1.0":
                raise Refused(f"KFP only supports schema version 2.1.0, but the pipeline spec has version {version}")
            if not re.search(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", document["pipelineInfo"].get("name", "")):
                raise Refused("invalid v2 pipeline spec: name is empty")
            spec = document
        elif "platforms" in document:
            json_format.ParseDict(document, pipeline_spec_pb2.PlatformSpec())
            kubernetes = document["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    if spec is None:
        raise Refused("no pipeline spec is provided")
    return spec, kubernetes


def run_values(spec: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The run's parameters (``validatePipelineJobInputs``), with defaults as the root's driver puts them in."""
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    # One kind of number: 2.5 passes as NUMBER_INTEGER.
    kinds: dict[str, tuple[type, ...]] = {
        **dict.fromkeys(("NUMBER_DOUBLE", "NUMBER_INTEGER"), (int, float)),
        "STRING": (str,), "BOOLEAN": (bool,), "LIST": (list,), "STRUCT": (dict,),
    }  # fmt: skip
    for name, entry in declared.items():
        if name not in given:
            if not entry.get("isOptional") and "defaultValue" not in entry:
                message = f"parameter {name} is not optional, yet has neither default value nor user provided value"
                raise Refused(message)
        elif type(given[name]) not in kinds.get(entry["parameterType"], ()):
            raise Refused(f"input parameter {name} requires type {entry['parameterType']}")
    extra = [name for name in given if name not in declared]
    if extra:
        raise Refused(f"parameter(s) provided are not required by pipeline: {', '.join(extra)}")
    return {n: given.get(n, e.get("defaultValue")) for n, e in declared.items() if n in given or "defaultValue" in e}


def compile_spec(spec: dict[str, Any]) -> None:
    """Visits every component (visitor.go); Argo then wants every dependency to be a task of the same DAG."""
    executors, components = spec["deploymentSpec"]["executors"], spec["components"]

    def visit(name: str, component: dict[str, Any]) -> None:
        where = f"error processing component name={name!r}: "
        label = component.get("executorLabel")
        if label:
            if label not in executors:
                raise Refused(f"{where}executor(label={label!r}) not found in deployment config")
            if not {"container", "importer"} & set(executors[label]):
                raise Refused(
                    f"{where}executor(label={label!r}): non-container and non-importer executor not implemented"
                )
            return
        tasks = component["dag"]["tasks"]
        for task_name, task in sorted(tasks.items()):
            reference = task["componentRef"]["name"]
            if reference not in components:
                raise Refused(f"{where}cannot find component ref name={reference!r}")
            if not re.fullmatch(r"[a-zA-Z0-9][-a-zA-Z0-9]*", task_name):
                raise Refused(f"Argo: task name {task_name!r} is not valid")
            for dependency in task.get("dependentTasks", []):
                if dependency not in tasks:
                    raise Refused(f"Argo: tasks.{task_name} dependency {dependency!r} not defined")
            visit(reference, components[reference])

    visit("root", spec["root"])
    names = [name + "-driver" for name in spec["root"]["dag"]["tasks"]]
    if set(names) & set(spec["root"]["dag"]["tasks"]):
        raise Refused("Argo: duplicate task names")
