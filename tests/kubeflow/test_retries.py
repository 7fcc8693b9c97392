"""What is tried again, when, and how long: Argo's rules, on the emulated cluster's own clock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.kubeflow.refusals import Compile, refused

if TYPE_CHECKING:
    from tests.kubeflow.emulator.cluster import Cluster

pytestmark = pytest.mark.slow


def test_retries(cluster: Cluster, ours: Compile) -> None:
    from tests.kubeflow import toy

    def second_try(task: str, attempt: int, pod: Path) -> None:
        if attempt == 2:
            (pod / "go").touch()
            for parent in pod.glob("minio/mlpipeline/v2/artifacts/toy/*/Flaky/*"):
                (parent / "model").mkdir()
                (parent / "model" / "stale").touch()
                (parent / "output_metadata.json").write_text("what an earlier try left")

    cluster.before_try = second_try
    refused(cluster, ours(toy.pipeline(toy.Flaky())), "not this time")
    package = ours(toy.pipeline(toy.Flaky()), defaults={"retries": {"count": 3, "backoff": "1m"}})
    assert cluster.run(package).steps["Flaky"].tries == 2
    assert cluster.clock == 60


def test_a_task_that_fails_after_hours_is_tried_again(cluster: Cluster, ours: Compile) -> None:
    from tests.kubeflow import toy

    def hours(task: str, attempt: int, pod: Path) -> None:
        cluster.clock += 5 * 3600
        if attempt == 2:
            (pod / "go").touch()

    def made(changes: dict[str, Any]) -> str:
        spec = next(yaml.safe_load_all(package))
        spec["root"]["dag"]["tasks"]["Flaky"]["retryPolicy"] |= changes
        return yaml.safe_dump(spec)

    cluster.before_try = hours
    package = ours(toy.pipeline(toy.Flaky()), defaults={"retries": {}, "cache": False})
    assert cluster.run(package).steps["Flaky"].tries == 2
    # What max_backoff came to, a factor that is not whole, and what Kubeflow puts in where the duration is left out.
    refused(cluster, made({"backoffMaxDuration": "600s"}), "attempt 1: Max duration limit exceeded")
    refused(cluster, made({"backoffFactor": 1.5}), "value '1.5' cannot be resolved to an int")
    refused(cluster, made({"backoffMaxDuration": None}), "attempt 1: Max duration limit exceeded")
    # A limit that is asked for holds, and ends an attempt that runs beyond it.
    package = ours(toy.pipeline(toy.Flaky()), defaults={"retries": {"max_duration": "8h"}, "cache": False})
    refused(cluster, package, "attempt 2: Max duration limit exceeded: Step exceeded its deadline")


def test_pods_that_are_gone(make_cluster: Callable[..., Cluster], ours: Compile) -> None:
    """An error is not retried, unless the cluster's own defaults of templates say so."""
    from tests.kubeflow import toy
    from tests.kubeflow.emulator.cluster import PodGone

    def drained(task: str, attempt: int, pod: Path) -> None:
        (pod / "go").touch()
        if attempt == 1:
            raise PodGone("pod deleted")

    package = ours(toy.pipeline(toy.Flaky()), defaults={"retries": {}})
    stock, always = make_cluster(), make_cluster(retry_policy="Always")
    stock.before_try = always.before_try = drained
    refused(stock, package, "Flaky, attempt 1: Error is not retried: pod deleted")
    assert always.run(package).steps["Flaky"].tries == 2
