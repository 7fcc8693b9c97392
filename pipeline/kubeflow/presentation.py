"""A run's figures where Kubeflow's pages look for them: as a ``system.Metrics`` artifact beside the component's own."""

from __future__ import annotations

from typing import Any

from pipeline.kubeflow.document import Package

SCALARS = "scalars"
"""The additional output."""


def show_metrics(package: Package, task: str, source: str) -> None:
    """Lets a component give the numbers among the properties of its output ``source`` once more."""
    component = package.component(task)
    kind = {"schemaTitle": "system.Metrics", "schemaVersion": "0.0.1"}
    component["outputDefinitions"]["artifacts"][SCALARS] = {"artifactType": kind}
    container = package.executor(task)["container"]
    container["args"] = ["--scalars", source, *container["args"]]


def add_scalars(output: dict[str, Any], source: str, artifact: dict[str, Any]) -> None:
    """In the pod: puts the numbers into an ExecutorOutput.

    Args:
      artifact: the additional output, as the driver provisioned it.
    """
    (shown,) = output["artifacts"][source]["artifacts"]
    numbers = {
        name: value
        for name, value in shown.get("metadata", {}).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    output["artifacts"][SCALARS] = {"artifacts": [{"uri": artifact["uri"], "metadata": numbers}]}
