"""The demo's Beam components beyond this process: in worker processes, on Flink, on another job server, and as
Dataflow's job graph."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from modules.feeds.variants import EVIDENCE
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


def run(folder: Path, catalogue: Path, *settings: str, parts: Sequence[str] = ()) -> Path:
    """Runs the demo, or the part that ``parts`` say; the pipeline root."""
    command = [sys.executable, "-m", "shelfmark", "run", "--demo", "--feed", str(catalogue), *parts]
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


@pytest.mark.parametrize(
    ("fields", "steps"),
    [
        pytest.param({}, {"Tasks", "Spread", "Survey"}, id="pictures tell variants"),
        pytest.param(
            dict.fromkeys(EVIDENCE), {"Tasks", "Spread", "MakeExamples", "ById", "Duplicates"}, id="nothing does"
        ),
    ],
)
def test_dataflow_s_job_graph(
    fields: dict[str, None], steps: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as it goes without an account: the first job that would be submitted."""
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
        workflow = examples_test.workflow(feed={"fields": fields})
        examples_test.execute(tmp_path / "feed", tmp_path / "out", workflow, arguments)
    (job,) = jobs
    names = {transform.unique_name for transform in job.components.transforms.values()}
    assert steps <= {name.split("/")[0] for name in names}
    images = set()
    for environment in job.components.environments.values():
        docker = beam_runner_api_pb2.DockerPayload.FromString(environment.payload)
        images.add(docker.container_image)
        assert not [a for a in environment.dependencies if a.role_urn.endswith("pip_requirements_file")]
    assert images == {"registry.example/shelfmark:1"}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder with the catalogue and a whole run in process, and its pipeline root."""
    folder = tmp_path_factory.mktemp("here")
    return folder, run(folder, folder / "catalogue")


def same_examples(one: Path, other: Path, component: str, output: str) -> None:
    """Both pipeline roots have the same records: numbers nearly, all else exactly."""
    expected, found = examples(one, component, output), examples(other, component, output)
    assert expected.keys() == found.keys() and sum(map(len, expected.values())) > 100
    for split in expected:
        assert [exact for exact, _ in expected[split]] == [exact for exact, _ in found[split]]
        for (_, a), (_, b) in zip(expected[split], found[split], strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-5)


def sent_elsewhere(folder: Path, by: str = "portable_runner") -> None:
    """Something of the newest run in ``folder`` went to a job server, or to worker processes."""
    assert by in newest_log(folder)


def newest_log(folder: Path) -> str:
    return max((folder / "demo" / "logs").glob("*.log")).read_text()


@pytest.mark.job_server
def test_a_job_server_in_another_process(tmp_path: Path, here: tuple[Path, Path]) -> None:
    folder, one = here
    with job_server() as endpoint:
        settings = ["beam.runner=portable", f"beam.portable.job_endpoint={endpoint}"]
        other = run(tmp_path, folder / "catalogue", *settings, parts=["--to", "ProductExampleGen"])
    sent_elsewhere(tmp_path)
    same_examples(one, other, "ProductExampleGen", "examples")


@pytest.fixture(scope="module")
def flink() -> list[str]:
    """A Flink cluster inside Beam's job server, whose libraries ``tests/install_servers.sh`` fetches."""
    jar = REPOSITORY / ".flink" / "job-server.jar"
    if not jar.is_file() or shutil.which("java") is None:
        pytest.skip("Flink needs Java and Beam's job server (.flink/job-server.jar: make test-full fetches it)")
    return ["beam.runner=flink", "beam.workers=2", f"beam.flink.job_server_jar={jar}"]


@pytest.fixture(params=["processes", pytest.param("flink", marks=pytest.mark.flink)])
def elsewhere(request: pytest.FixtureRequest) -> tuple[list[str], str]:
    """Settings that take Beam's work out of the run's process, and what of the log says that it went."""
    if request.param == "flink":
        return request.getfixturevalue("flink"), "portable_runner"
    return ["beam.runner=multi_process", "beam.workers=2"], "Python sdk harness starting"


def test_examples_statistics_and_transform_elsewhere(
    tmp_path: Path, here: tuple[Path, Path], elsewhere: tuple[list[str], str]
) -> None:
    import tfx.v1  # noqa: F401  (before TFDV, whose names it mends)

    import tensorflow_data_validation as tfdv  # isort: skip

    folder, one = here
    settings, log = elsewhere
    other = run(tmp_path, folder / "catalogue", *settings, parts=["--to", "Transform"])
    sent_elsewhere(tmp_path, log)
    # Three components, but at most one Java process, which ends within the run.
    assert newest_log(tmp_path).count("destroying service") == ("beam.runner=flink" in settings)
    same_examples(one, other, "ProductExampleGen", "examples")
    same_examples(one, other, "Transform", "transformed_examples")
    statistics = [
        tfdv.load_stats_binary(str(next((root / "StatisticsGen" / "statistics").glob("*/Split-train/*.pb"))))
        for root in (one, other)
    ]
    expected, told = (
        {f.path.step[0]: f.num_stats.mean or f.string_stats.unique for f in each.datasets[0].features}
        for each in statistics
    )
    # A mean's last digit hangs on the order in which its parts are added.
    assert told == pytest.approx(expected, rel=1e-9)


def both(root: Path, component: str, output: str) -> list[Path]:
    """The artifacts of the run in process and of the newest one after it."""
    made = sorted((root / component / output).iterdir(), key=lambda folder: int(folder.name))
    assert len(made) > 1
    return [made[0], made[-1]]


def test_evaluation_and_predictions_elsewhere(here: tuple[Path, Path], elsewhere: tuple[list[str], str]) -> None:
    """Of the same model, on the same examples."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from components.evaluation.reading import read_evaluation

    folder, root = here
    settings, log = elsewhere
    run(folder, folder / "catalogue", *settings, parts=["--from", "Evaluator", "--to", "Evaluator"])
    sent_elsewhere(folder, log)
    expected, found = (read_evaluation(str(one)) for one in both(root, "Evaluator", "evaluation"))
    assert [part.name for part in expected] == [part.name for part in found] and len(expected) > 1
    for a, b in zip(expected, found, strict=True):
        assert a.values.keys() == b.values.keys() and a.categories.keys() == b.categories.keys()
        for objective, values in a.values.items():
            assert b.values[objective] == pytest.approx(values, rel=1e-6, nan_ok=True)
        for objective, figures in a.categories.items():
            np.testing.assert_allclose(b.categories[objective], figures, rtol=1e-6)

    run(folder, folder / "catalogue", *settings, parts=["--from", "Predictor", "--to", "Predictor"])
    sent_elsewhere(folder, log)
    one, other = (
        pa.concat_tables(map(pq.read_table, sorted(where.glob("Split-*/*.parquet")))).sort_by("id")
        for where in both(root, "Predictor", "predictions")
    )
    assert one.num_rows > 100 and one.schema == other.schema
    for field in one.schema:
        listed = pa.types.is_fixed_size_list(field.type)
        columns = [table[field.name].combine_chunks() for table in (one, other)]
        if pa.types.is_floating(field.type.value_type if listed else field.type):
            a, b = ((column.flatten() if listed else column).to_numpy(zero_copy_only=False) for column in columns)
            np.testing.assert_allclose(b, a, atol=1e-5, err_msg=field.name)
        elif not field.name.endswith("/classes"):  # whose order hangs on the last digit of equal probabilities
            assert columns[0].to_pylist() == columns[1].to_pylist(), field.name
