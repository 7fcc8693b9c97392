"""The demo's Beam components beyond this process: on a job server in another process, and as Dataflow's job graph."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from pipeline.workflow_file import REPOSITORY
from tests.servers import free_port

pytestmark = pytest.mark.slow

COMMON = ["feed.demo.products=200", "feed.demo.images=false", "training.epochs=1"]


@contextmanager
def job_server() -> Iterator[str]:
    """Beam's own job service in another process; its address."""
    port = free_port()
    command = [sys.executable, "-m", "apache_beam.runners.portability.local_job_service_main", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=REPOSITORY)
    try:
        with grpc.insecure_channel(f"localhost:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=120)
        yield f"localhost:{port}"
    finally:
        process.terminate()
        process.wait()


def run(folder: Path, catalogue: Path, *settings: str) -> Path:
    """Runs the demo up to Predictor; the pipeline root."""
    command = [sys.executable, "-m", "shelfmark", "run", "--feed", str(catalogue), "--to", "Predictor"]
    for setting in (f"runners.local.folder={folder}", *COMMON, *settings):
        command += ["--set", setting]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "demo" / "pipeline"


Record = tuple[tuple[tuple[str, tuple[Any, ...]], ...], tuple[float, ...]]


def examples(root: Path, component: str, output: str) -> dict[str, list[Record]]:
    """Split to its records, sorted, whatever their files: what is text or an integer, and the other numbers."""
    import tensorflow as tf

    def record(serialised: bytes) -> Record:
        exact, numbers = [], []
        for name, feature in sorted(tf.train.Example.FromString(serialised).features.feature.items()):
            exact.append((name, (*feature.int64_list.value, *feature.bytes_list.value, len(feature.float_list.value))))
            numbers += feature.float_list.value
        return tuple(exact), tuple(numbers)

    (folder,) = (root / component / output).iterdir()
    return {
        split.name: sorted(
            record(one.numpy())
            for one in tf.data.TFRecordDataset(sorted(map(str, split.glob("*.gz"))), compression_type="GZIP")
        )
        for split in sorted(folder.glob("Split-*"))
    }


def test_dataflow_s_job_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as it goes without an account: the job that would be submitted."""
    from apache_beam.portability.api import beam_runner_api_pb2
    from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

    from modules.settings.beam import BeamSettings
    from pipeline.beam import beam_arguments
    from tests.components.product_example_gen import test_component as examples_test

    jobs = []
    submit = DataflowRunner.run_pipeline

    def recorded(self, *arguments, **named):
        found = submit(self, *arguments, **named)
        jobs.append(self.proto_pipeline)
        raise InterruptedError("a dry run has no results to go on with")
        return found

    monkeypatch.setattr(DataflowRunner, "run_pipeline", recorded)
    (tmp_path / "feed").mkdir()
    examples_test.catalogue(tmp_path / "feed")
    settings = {
        "runner": "dataflow",
        "dataflow": {"project": "shop", "region": "europe-west1", "temp_location": "gs://bucket/tmp"},
        "environment": {"image": "registry.example/shelfmark:1"},
        "options": {"dry_run": "true", "no_auth": True},
    }
    arguments = beam_arguments(BeamSettings.model_validate(settings))
    with pytest.raises(InterruptedError):
        examples_test.execute(tmp_path / "feed", tmp_path / "out", examples_test.workflow(), arguments)
    (job,) = jobs
    names = {transform.unique_name for transform in job.components.transforms.values()}
    assert {"Tasks", "Spread", "MakeExamples", "ById", "Duplicates"} <= {name.split("/")[0] for name in names}
    images = set()
    for environment in job.components.environments.values():
        docker = beam_runner_api_pb2.DockerPayload.FromString(environment.payload)
        images.add(docker.container_image)
        assert not [a for a in environment.dependencies if a.role_urn.endswith("pip_requirements_file")]
    assert images == {"registry.example/shelfmark:1"}


@contextmanager
def portable_settings() -> Iterator[list[str]]:
    with job_server() as endpoint:
        yield ["beam.runner=portable", f"beam.portable.job_endpoint={endpoint}"]


@contextmanager
def flink_settings() -> Iterator[list[str]]:
    """A Flink cluster inside Beam's job server, which ``tests/install_servers.sh`` fetches."""
    jar = REPOSITORY / ".flink" / "job-server.jar"
    if not jar.is_file() or shutil.which("java") is None:
        pytest.skip("Flink needs Java and Beam's job server (.flink/job-server.jar: make test-full fetches it)")
    yield ["beam.runner=flink", "beam.workers=2", f"beam.flink.job_server_jar={jar}"]


@pytest.mark.parametrize(
    "elsewhere",
    [
        pytest.param(portable_settings, marks=pytest.mark.job_server, id="portable"),
        pytest.param(flink_settings, marks=pytest.mark.flink, id="flink"),
    ],
)
def test_the_same_results_as_in_process(
    tmp_path: Path, elsewhere: Callable[[], AbstractContextManager[list[str]]]
) -> None:
    import pyarrow.dataset as ds
    import tfx.v1  # noqa: F401  (before TFDV, whose names it mends)

    import tensorflow_data_validation as tfdv  # isort: skip

    catalogue = tmp_path / "catalogue"
    here = run(tmp_path / "here", catalogue)
    with elsewhere() as settings:
        there = run(tmp_path / "there", catalogue, *settings)
    log = next((tmp_path / "there" / "demo" / "logs").glob("*.log")).read_text()
    assert "portable_runner" in log, "nothing was sent to a job server"
    for component, output in (("ProductExampleGen", "examples"), ("Transform", "transformed_examples")):
        one, other = examples(here, component, output), examples(there, component, output)
        for split in one:
            assert [exact for exact, _ in one[split]] == [exact for exact, _ in other[split]]
            for (_, expected), (_, found) in zip(one[split], other[split], strict=True):
                np.testing.assert_allclose(found, expected, rtol=1e-5)
        assert sum(map(len, one.values())) > 100
    statistics = [
        tfdv.load_stats_binary(str(next((root / "StatisticsGen" / "statistics").glob("*/Split-train/*.pb"))))
        for root in (here, there)
    ]
    assert {f.path.step[0]: f.num_stats.mean or f.string_stats.unique for f in statistics[0].datasets[0].features} == {
        f.path.step[0]: f.num_stats.mean or f.string_stats.unique for f in statistics[1].datasets[0].features
    }
    predicted = [
        ds.dataset(sorted(map(str, (root / "Predictor" / "predictions").glob("*/Split-test/*.parquet"))))
        .to_table(columns=["id"]).sort_by("id")["id"].to_pylist()
        for root in (here, there)
    ]  # fmt: skip
    assert predicted[0] == predicted[1]
