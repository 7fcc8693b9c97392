"""The workflow's beam section: options by runner, per component, and contradictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from components.workers import workers_of
from modules.errors import InputError
from modules.settings.beam import BeamSettings
from modules.settings.workflow import Workflow
from pipeline.beam import beam_arguments

DATAFLOW: dict[str, Any] = {
    "runner": "dataflow",
    "dataflow": {"project": "shop", "region": "europe-west1", "temp_location": "gs://bucket/tmp"},
    "environment": {"image": "registry.example/shelfmark:1"},
}


def arguments(**settings: Any) -> list[str]:
    found = BeamSettings.model_validate(settings)
    assert list(found.check(Workflow(name="shop"), "beam")) == []
    return beam_arguments(found)


def options(**settings: Any) -> dict[str, Any]:
    """What Beam itself understands; an argument that it does not know is an error."""
    from apache_beam.options.pipeline_options import PipelineOptions

    given = arguments(**settings)
    found = PipelineOptions(given).get_all_options(drop_default=True, retain_unknown_options=False)
    names = {one.removeprefix("--").split("=")[0].removeprefix("no_") for one in given}
    assert names == set(found), "Beam ignored some"
    return found


def test_in_process_never_asks_for_another_runner() -> None:
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.pipeline import Pipeline
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    from components import runners

    # DirectRunner would look for Prism, and download it: the same class has to come out, with and without a network.
    assert type(Pipeline(options=PipelineOptions(arguments())).runner) is FnApiRunner
    processes = Pipeline(options=PipelineOptions(arguments(runner="multi_process"))).runner
    assert type(processes) is runners.FnApiRunner and isinstance(processes, FnApiRunner)


def test_processes() -> None:
    found = options(runner="multi_process", workers=3)
    assert (found["direct_running_mode"], found["direct_num_workers"]) == ("multi_processing", 3)
    assert workers_of(arguments(runner="multi_process", workers=3)) == 3


@pytest.mark.parametrize(
    "settings",
    [{"runner": "multi_process"}, {"runner": "portable", "portable": {"job_endpoint": "a:1"}}, DATAFLOW],
)
def test_workers_elsewhere_import_tfx_before_they_unpickle(settings: dict[str, Any]) -> None:
    own = options(**settings, options={"beam_plugins": ["ours"]})
    assert own["beam_plugins"] == ["tfx", "ours"]


def test_flink_by_jar(tmp_path: Path) -> None:
    jar = tmp_path / "server.jar"
    jar.touch()
    found = options(runner="flink", workers=4, flink={"master": "flink:8081", "job_server_jar": str(jar)})
    assert found == {
        "runner": "components.runners.FlinkRunner", "flink_master": "flink:8081", "parallelism": 4,
        "flink_job_server_jar": str(jar),
        "environment_type": "LOOPBACK", "sdk_container_image": "this-process", "beam_plugins": ["tfx"],
    }  # fmt: skip


def test_spark_by_endpoint_with_containers() -> None:
    found = options(
        runner="spark", spark={"job_endpoint": "spark:8099"}, environment={"kind": "docker", "image": "shelfmark:1"}
    )
    assert found == {
        "runner": "PortableRunner", "job_endpoint": "spark:8099", "environment_type": "DOCKER",
        "environment_config": "shelfmark:1", "sdk_container_image": "shelfmark:1", "beam_plugins": ["tfx"],
    }  # fmt: skip


def test_process_environment_is_json() -> None:
    found = options(
        runner="portable",
        portable={"job_endpoint": "localhost:1"},
        environment={"kind": "process", "command": "/opt/boot"},
    )
    assert found["environment_config"] == '{"command": "/opt/boot"}'


def test_dataflow() -> None:
    found = options(**DATAFLOW, workers=2, options={"labels": ["team=shop", "env=test"], "no_use_public_ips": True})
    assert found["runner"] == "DataflowRunner"
    assert found["labels"] == ["team=shop", "env=test"]
    assert found["use_public_ips"] is False
    assert found["num_workers"] == 2
    assert (found["project"], found["region"], found["temp_location"]) == ("shop", "europe-west1", "gs://bucket/tmp")


def test_a_component_differs_in_what_it_names() -> None:
    beam = BeamSettings.model_validate(
        {
            **DATAFLOW,
            "components": {"Evaluator": {"runner": "in_process"}, "Transform": {"dataflow": {"machine_type": "n2"}}},
        }
    )
    assert beam.of("Evaluator").runner == "in_process"
    assert beam.of("Transform").dataflow.machine_type == "n2"
    assert beam.of("Transform").dataflow.region == "europe-west1"
    assert beam.of("StatisticsGen").dataflow.machine_type is None


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"runner": "flink"}, "beam.flink"),
        ({"runner": "spark", "spark": {"job_endpoint": "a:1", "job_server_jar": "b"}}, "beam.spark"),
        ({"runner": "portable"}, "beam.portable.job_endpoint"),
        ({**DATAFLOW, "environment": {}}, "beam.environment.image"),
        ({**DATAFLOW, "dataflow": {**DATAFLOW["dataflow"], "region": None}}, "beam.dataflow.region"),
        ({"components": {"Trainer": {}}}, "beam.components.Trainer"),
        ({"components": {"Transform": {"runner": "portable"}}}, "beam.components.Transform.portable.job_endpoint"),
        ({"options": {"runner": "DirectRunner"}}, "beam.options.runner"),
        (
            {"runner": "portable", "portable": {"job_endpoint": "a:1"}, "environment": {"kind": "external"}},
            "beam.environment.address",
        ),
    ],
)
def test_what_cannot_run_is_said(settings: dict[str, Any], key: str) -> None:
    problems = BeamSettings.model_validate(settings).check(Workflow(name="shop"), "beam")
    assert [problem.key for problem in problems] == [key]


def test_a_jar_that_is_not_there() -> None:
    beam = BeamSettings.model_validate({"runner": "flink", "flink": {"job_server_jar": "missing.jar"}})
    with pytest.raises(InputError, match=r"beam\.flink\.job_server_jar.*missing\.jar"):
        beam_arguments(beam)
