"""Every container starts our own entrypoint instead of TFX's, which does not survive Kubeflow's driver and launcher."""

from __future__ import annotations

from pipeline.kubeflow.document import Package

COMMAND = ["python", "-m", "pipeline.kubeflow.container"]


def use_entrypoint(package: Package, *, staged: bool) -> None:
    """Puts the command in.

    Args:
      staged: the launcher copies artifacts to and from the pod's disk (open-source Kubeflow); on Vertex AI components
        read and write gs:// themselves.
    """
    for _, container in package.containers():
        container["command"] = [*COMMAND, "execute"]
        if staged:
            container["args"] = ["--staged", *container["args"]]
