"""Beam's pipeline options out of the workflow's ``beam`` section (imports nothing heavy)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from modules.errors import InputError, Problem
from modules.settings.beam import BeamRunnerSettings, EnvironmentSettings

# Says that workers have all they need. Without it TFX packs its own source for them, some seconds per component.
_THIS_PROCESS = "--sdk_container_image=this-process"

IN_PROCESS = (
    # Beam in this process, chosen on purpose: ``DirectRunner`` first tries to download the Prism runner.
    "--runner=FnApiRunner",
    _THIS_PROCESS,
)

# TFDV imports a part of tfx_bsl that is only there with ZetaSQL, and ``tfx`` alone puts a stand-in in its place. A
# worker process would import TFDV first, with the code that it unpickles, and fail.
_WORKERS_IMPORT = "--beam_plugins=tfx"


def beam_arguments(beam: BeamRunnerSettings, find: Callable[[str], Path] = Path) -> list[str]:
    """One component's options, as Beam's command line takes them.

    Args:
      beam: the component's settings.
      find: a file's place, for a path in the workflow.

    Raises:
      InputError: a job server's jar that is not there.
    """
    elsewhere = [] if beam.runner == "in_process" else [_WORKERS_IMPORT]
    return [*_runner(beam, find), *elsewhere, *_further(beam)]


def _runner(beam: BeamRunnerSettings, find: Callable[[str], Path]) -> list[str]:
    workers = beam.workers
    if beam.runner == "in_process":
        return list(IN_PROCESS)
    if beam.runner == "multi_process":
        processes = ["--direct_running_mode=multi_processing", f"--direct_num_workers={workers}"]
        return ["--runner=components.runners.FnApiRunner", _THIS_PROCESS, *processes]
    if beam.runner == "dataflow":
        return _dataflow(beam)
    # An image of its own for the workers, or a worker that is this program: TFX has nothing to pack for either.
    image = f"--sdk_container_image={beam.environment.image or 'this-process'}"
    environment = [image, *_environment(beam.environment)]
    if beam.runner == "portable":
        return ["--runner=PortableRunner", f"--job_endpoint={beam.portable.job_endpoint}", *environment]
    server = beam.flink if beam.runner == "flink" else beam.spark
    if server.job_endpoint is not None:
        return ["--runner=PortableRunner", f"--job_endpoint={server.job_endpoint}", *_parallelism(beam), *environment]
    jar = find(str(server.job_server_jar))
    if not jar.is_file():
        expected = "an existing file: Beam's job server"
        raise InputError(Problem("", expected, key=f"beam.{beam.runner}.job_server_jar", value=str(jar)))
    jar = jar.absolute()
    if beam.runner == "flink":
        environment += [f"--flink_master={server.master}", f"--flink_job_server_jar={jar}", *_parallelism(beam)]
        return ["--runner=components.runners.FlinkRunner", *environment]
    return [
        "--runner=SparkRunner",
        f"--spark_master_url={server.master}",
        f"--spark_job_server_jar={jar}",
        *environment,
    ]


def _parallelism(beam: BeamRunnerSettings) -> list[str]:
    return [f"--parallelism={beam.workers}"] if beam.runner == "flink" and beam.workers else []


def _environment(environment: EnvironmentSettings) -> list[str]:
    if environment.kind == "loopback":
        return ["--environment_type=LOOPBACK"]
    if environment.kind == "docker":
        return ["--environment_type=DOCKER", f"--environment_config={environment.image}"]
    if environment.kind == "process":
        config = json.dumps({"command": environment.command})
        return ["--environment_type=PROCESS", f"--environment_config={config}"]
    return ["--environment_type=EXTERNAL", f"--environment_config={environment.address}"]


def _dataflow(beam: BeamRunnerSettings) -> list[str]:
    settings = beam.dataflow
    options = [
        "--runner=DataflowRunner",
        f"--project={settings.project}",
        f"--region={settings.region}",
        f"--temp_location={settings.temp_location}",
        f"--sdk_container_image={beam.environment.image}",
        "--experiments=use_runner_v2",
    ]
    named = {
        "machine_type": settings.machine_type, "max_num_workers": settings.max_workers,
        "service_account_email": settings.service_account, "subnetwork": settings.subnetwork,
    }  # fmt: skip
    options += [f"--{name}={value}" for name, value in named.items() if value is not None]
    if beam.workers:
        options.append(f"--num_workers={beam.workers}")
    if not settings.public_ips:
        options.append("--no_use_public_ips")
    return options


def _further(beam: BeamRunnerSettings) -> list[str]:
    options: list[str] = []
    for name, value in beam.options.items():
        if isinstance(value, bool):
            options += [f"--{name}"] if value else []
        elif isinstance(value, tuple):
            options += [f"--{name}={item}" for item in value]
        else:
            options.append(f"--{name}={value}")
    return options
