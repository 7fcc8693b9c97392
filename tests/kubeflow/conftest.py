"""An emulated cluster per test, and one process that all pods are forks of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.kubeflow.emulator.cluster import Cluster
    from tests.kubeflow.emulator.metadata import Certificate
    from tests.kubeflow.emulator.pods import Pods


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A server's certificate for ``localhost``, signed by an authority that nobody else knows."""
    from tests.kubeflow.emulator.certificates import make_certificate

    return make_certificate(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def pods() -> Iterator[Pods]:
    from tests.kubeflow.emulator.pods import Pods

    found = Pods()
    yield found
    found.close()


@pytest.fixture
def make_cluster(pods: Pods, tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    from tests.kubeflow.emulator.cluster import Cluster

    made: list[Cluster] = []

    def make(**options: Any) -> Cluster:
        made.append(Cluster(tmp_path / f"cluster-{len(made)}", pods, **options))
        return made[-1]

    yield make
    for cluster in made:
        cluster.close()


@pytest.fixture
def cluster(make_cluster: Callable[..., Cluster]) -> Cluster:
    return make_cluster()


@pytest.fixture
def stock(tmp_path: Path) -> Callable[..., str]:
    """What TFX's own compiler emits of a pipeline, as YAML."""

    def compile(pipeline: Any, *, schema_2_1: bool = True) -> str:
        from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import KubeflowV2DagRunner, KubeflowV2DagRunnerConfig

        config = KubeflowV2DagRunnerConfig(default_image="image", use_pipeline_spec_2_1=schema_2_1)
        KubeflowV2DagRunner(config, output_dir=str(tmp_path), output_filename="stock.yaml").run(pipeline)
        return (tmp_path / "stock.yaml").read_text()

    return compile


@pytest.fixture
def ours(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., str]:
    """What our compiler makes of it, for the emulated cluster if there is one."""

    def compile(pipeline: Any, parameters: Any = (), metadata: str | None = None, **settings: Any) -> str:
        from modules.settings.kubeflow import KubeflowSettings
        from pipeline.kubeflow.package import build_package, write_package

        given = {"image": "image", **settings} | ({"metadata": metadata} if metadata else {})
        package = build_package(pipeline, KubeflowSettings.model_validate(given), parameters=parameters)
        write_package(package, tmp_path / "ours.yaml")
        return (tmp_path / "ours.yaml").read_text()

    return compile
