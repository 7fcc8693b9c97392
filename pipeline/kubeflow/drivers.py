"""What runs before a component looks into the cache: Kubeflow runs no drivers, so files that changed went unnoticed.

A driver that fingerprints input files becomes a small step of its own in front of the component; its output is one more
input, so changed files are a changed cache key. TFX's driver of file-based example generators (``{SPAN}`` patterns) has
to run in the component's own pod, and such a component is never served from the cache.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from pipeline.kubeflow.document import EXECUTOR, Package
from pipeline.kubeflow.entrypoint import COMMAND

FINGERPRINT = "fingerprint"
"""The execution property that such a driver sets."""


def fingerprint_drivers(pipeline: Any) -> dict[str, str]:
    """Component to the dotted name of its driver, of those that fingerprint files."""
    drivers = {}
    for node in pipeline.components:
        driver = getattr(node, "driver_class", None)
        if FINGERPRINT in node.exec_properties and driver is not None:
            drivers[node.id] = f"{driver.__module__}.{driver.__qualname__}"
    return drivers


def add_fingerprints(package: Package, drivers: dict[str, str]) -> None:
    """Puts a step ``<component>-fingerprint`` before each component, which hands its result over.

    Run parameters are to be in place already: the step needs what the component gets of them.
    """
    for task, driver in drivers.items():
        container, component = package.executor(task)["container"], package.component(task)
        inputs = package.tasks[task]["inputs"]["parameters"]
        types = component["inputDefinitions"]["parameters"]
        name = f"{task}-{FINGERPRINT}"
        package.add(
            name,
            {
                "inputDefinitions": {"parameters": {k: copy.deepcopy(t) for k, t in types.items() if k != FINGERPRINT}},
                "outputDefinitions": {"parameters": {FINGERPRINT: {"parameterType": "STRING"}}},
            },
            {"inputs": {"parameters": {k: copy.deepcopy(v) for k, v in inputs.items() if k != FINGERPRINT}}},
            {
                "container": {
                    "image": container["image"],
                    "command": [*COMMAND, "fingerprint"],
                    "args": _arguments(container["args"], driver),
                }
            },
        )
        inputs[FINGERPRINT] = {"taskOutputParameter": {"producerTask": name, "outputParameterKey": FINGERPRINT}}
        package.depend(task, name)


def run_file_drivers(package: Package) -> None:
    """Drivers that TFX hangs on the ``preCacheCheck`` hook, which Kubeflow ignores, run in the container."""
    for task, container in package.containers():
        hook = container.pop("lifecycle", {}).get("preCacheCheck")
        if hook:
            module = hook["command"][hook["command"].index("-m") + 1]
            container["args"] = ["--driver_module", module, *container["args"]]
            package.fixed.add(task)


def switch_caches(package: Package, cached: dict[str, bool]) -> None:
    """Caching on or off per task, off where a result depends on more than the inputs."""
    for task, content in package.tasks.items():
        if package.component(task).get("executorLabel", EXECUTOR) in package.executors:
            content["cachingOptions"] = {"enableCache": True} if task not in package.fixed and cached.get(task) else {}


def _arguments(arguments: Iterable[str], driver: str) -> list[str]:
    kept, given = ["--driver_class_path", driver], list(arguments)
    for name in ("--overrides", "--json_serialized_invocation_args", "--json_serialized_inputs_spec_args"):
        if name in given:
            kept += [name, given[given.index(name) + 1]]
    return kept
