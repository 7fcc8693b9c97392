"""Command lines that Argo and the driver build, and Linux' refusal of one with too long an argument.

v2/compiler/argocompiler (dag.go, container.go, importer.go) for drivers and importers, v2/driver/driver.go
(``initPodSpecPatch``) for the launcher. The kernel refuses in execve, so the container does not start at all.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Iterable
from typing import Any

LONGEST = 131_071
"""Bytes of one argument: 32 pages (MAX_ARG_STRLEN), less the zero at its end."""

_ESCAPED = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def dag_driver(component: dict[str, Any], task: dict[str, Any] | None, values: dict[str, Any] | None) -> list[str]:
    """Of a DAG; the root has no task, and only it has the run's parameters. Its component holds all of its tasks."""
    given = ["--task", stable(task)] if task is not None else []
    runtime = ["--runtime_config", stable({"parameterValues": values})] if values is not None else []
    return ["--component", stable(component), *given, *runtime]


def container_driver(
    component: dict[str, Any], task: dict[str, Any], container: dict[str, Any], config: dict[str, Any]
) -> list[str]:
    """Of a task whose component is a container."""
    kubernetes = ["--kubernetes_config", stable(config)] if config else []
    return ["--component", stable(component), "--task", stable(task), "--container", stable(container), *kubernetes]


def importer(component: dict[str, Any], task: dict[str, Any], spec: dict[str, Any]) -> list[str]:
    """Of an importer, which has no driver."""
    return ["--task_spec", stable(task), "--component_spec", stable(component), "--importer_spec", stable(spec)]


def launcher(executor_input: dict[str, Any], component: dict[str, Any], command: Iterable[str]) -> list[str]:
    """Of the container: the launcher, and the component's own command behind it, placeholders as they are."""
    own = ["--executor_input", protojson(executor_input), "--component_spec", protojson(component)]
    return [*own, "--", *command]


def start(process: str, arguments: Iterable[str]) -> None:
    """What execve says.

    Args:
      process: what is started, for the message.

    Raises:
      OSError: E2BIG, where an argument is too long.
    """
    before = ""
    for argument in arguments:
        size = len(argument.encode())
        if size > LONGEST:
            raise OSError(errno.E2BIG, f"Argument list too long: {size:,} bytes behind {before}", process)
        before = argument[:40]


def stable(message: dict[str, Any]) -> str:
    """``stablyMarshalJSON``: Go's encoding/json escapes what HTML would read, the ``>`` of paths too."""
    text = json.dumps(message, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.translate(_ESCAPED)


def protojson(message: dict[str, Any]) -> str:
    """``protojson.Marshal``, which in some builds puts a space behind each comma: the longer form."""
    return json.dumps(message, separators=(", ", ":"), ensure_ascii=False)
