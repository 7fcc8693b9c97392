"""Every container starts our own entrypoint instead of TFX's, which does not survive Kubeflow's driver and launcher."""

from __future__ import annotations

from pipeline.kubeflow.document import Package

COMMAND = ["python", "-m", "pipeline.kubeflow.container"]


def use_entrypoint(package: Package) -> None:
    """Puts the command in."""
    for _, container in package.containers():
        container["command"] = [*COMMAND, "execute"]
