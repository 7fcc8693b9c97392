"""What a pod asks for of the cluster: limits, GPUs, environment and retries, which TFX does not emit or drops."""

from __future__ import annotations

import math
from typing import Any

from modules.settings.kubeflow import ComponentResources, RetrySettings, seconds
from pipeline.kubeflow.document import Package

_FACTORS = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "m": 1e-3}


def set_resources(package: Package, task: str, settings: ComponentResources) -> None:
    """Into the container and the task."""
    container = package.executor(task)["container"]
    resources: dict[str, Any] = {}
    # Both forms: the newer one is exact, the older one is what Vertex AI and older servers read.
    if settings.cpu is not None:
        resources |= {"cpuLimit": number_of(settings.cpu), "resourceCpuLimit": settings.cpu}
    if settings.memory is not None:
        resources |= {"memoryLimit": number_of(settings.memory) / 1e9, "resourceMemoryLimit": settings.memory}
    if settings.gpu is not None:
        kind, count = settings.gpu.type, str(settings.gpu.count)
        resources["accelerator"] = {"type": kind, "count": count, "resourceType": kind, "resourceCount": count}
    if resources:
        container["resources"] = resources
    environment = {**threads_within(settings.cpu), **(settings.environment or {})}
    if environment:
        container["env"] = [{"name": name, "value": value} for name, value in sorted(environment.items())]
    if settings.retries is not None:
        package.tasks[task]["retryPolicy"] = retry_policy(settings.retries)


def threads_within(cpu: str | None) -> dict[str, str]:
    """Environment variables that keep libraries from starting more threads than a pod's limit of cores can run.

    The limit is a quota of time: a pod still sees all cores of its node. OpenBLAS and TensorFlow would start a thread
    for each, and of 64 threads that share the time of 2 cores most wait for one another.

    Args:
      cpu: the limit; None: there is none.
    """
    if cpu is None:
        return {}
    threads = str(max(1, math.ceil(number_of(cpu))))
    return dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTEROP_THREADS", "TF_NUM_INTRAOP_THREADS"), threads)


def number_of(quantity: str) -> float:
    """A Kubernetes quantity as a number (cores, bytes)."""
    digits = quantity.rstrip("kMGTPim")
    unit = quantity[len(digits) :]
    if unit.endswith("i"):
        return float(digits) * 1024 ** ("kMGTP".index(unit[0]) + 1)
    return float(digits) * _FACTORS.get(unit, 1.0)


def retry_policy(settings: RetrySettings) -> dict[str, Any]:
    """As the package names it. Kubeflow makes Argo's ``retryStrategy`` of it, without a policy: ``OnFailure``."""
    return {
        "maxRetryCount": settings.count,
        "backoffDuration": f"{seconds(settings.backoff)}s",
        "backoffFactor": settings.factor,
        # Argo's maxDuration: from the start of the first attempt.
        "backoffMaxDuration": f"{settings.max_seconds}s",
    }
