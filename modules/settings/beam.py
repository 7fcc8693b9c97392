"""Where Beam runs a component's work: in this process, or beyond it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from modules.errors import Problem
from modules.settings.base import Settings, contradiction

if TYPE_CHECKING:
    from modules.settings.workflow import Workflow

BEAM_COMPONENTS = ("ProductExampleGen", "StatisticsGen", "Transform", "Evaluator", "Predictor", "PublishedPredictor")
"""The components whose executors are Beam pipelines, all or in part."""

LOCAL_MASTER = "[local]"

OWN_SETTINGS = ("runner", "job_endpoint", "environment_type", "environment_config", "sdk_container_image")
"""Beam's options that have settings here."""

OptionName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,99}$")]


class FlinkSettings(Settings):
    """Apache Flink through Beam's job server."""

    master: str = LOCAL_MASTER
    """``host:port`` of a cluster's REST address; ``[local]``: a cluster inside the job server."""
    job_server_jar: str | None = None
    """Path of Beam's job server for the cluster's Flink version (``beam-runners-flink-VERSION-job-server``); started
    for each component and stopped after it."""
    job_endpoint: str | None = None
    """``host:port`` of a job server that runs already, in place of a jar."""


class SparkSettings(Settings):
    """Apache Spark through Beam's job server."""

    master: str = "local[*]"
    """``spark://host:port``, or ``local[N]``: inside the job server."""
    job_server_jar: str | None = None
    """Path of Beam's job server for Spark (``beam-runners-spark-3-job-server``)."""
    job_endpoint: str | None = None
    """A job server that already runs, as ``host:port``, in place of ``job_server_jar``."""


class DataflowSettings(Settings):
    """Google Cloud Dataflow, which starts the workers itself."""

    project: str | None = None
    """The Google Cloud project that runs the jobs."""
    region: str | None = None
    """The region in which Dataflow starts its workers, such as ``europe-west4``."""
    temp_location: Annotated[str, Field(pattern=r"^gs://.+")] | None = None
    """A folder of Cloud Storage (``gs://...``) for files that a job leaves for its next step."""
    machine_type: str | None = None
    """The workers' machine type; null takes Dataflow's default."""
    max_workers: Annotated[int, Field(ge=1)] | None = None
    """Dataflow starts no more workers than this; null leaves it to Dataflow."""
    service_account: str | None = None
    """The account that the workers run as; null takes the project's default."""
    subnetwork: str | None = None
    """The subnetwork of the workers; null takes the project's default."""
    public_ips: bool = True
    """Whether workers have public addresses. Without them the subnetwork needs private access to Google."""


class PortableSettings(Settings):
    """Any other runner that speaks Beam's job API."""

    job_endpoint: str | None = None
    """Where the runner's job service listens, as ``host:port``."""


class EnvironmentSettings(Settings):
    """Where the workers of a runner beyond this process run Python."""

    kind: Literal["loopback", "docker", "process", "external"] = "loopback"
    """``loopback``: in the process that submits, which the cluster must reach; ``docker``: in ``image``; ``process``:
    by ``command`` on each worker's machine; ``external``: by worker pools that already run at ``address``."""
    image: str | None = None
    """A container image with this package; Dataflow always takes it."""
    command: str | None = None
    """The program that each worker's machine starts for ``kind: process``."""
    address: str | None = None
    """Where the worker pools of ``kind: external`` listen, as ``host:port``."""


class BeamRunnerSettings(Settings):
    runner: Literal["in_process", "multi_process", "flink", "spark", "dataflow", "portable"] = "in_process"
    """What runs Beam's pipelines: this process, several processes of this machine, or a cluster."""
    workers: Annotated[int, Field(ge=0)] = 0
    """Processes of ``multi_process``, parallelism of Flink, first number of workers of Dataflow; 0: one per core, or
    what the runner's own configuration says."""
    flink: FlinkSettings = FlinkSettings()
    spark: SparkSettings = SparkSettings()
    dataflow: DataflowSettings = DataflowSettings()
    portable: PortableSettings = PortableSettings()
    environment: EnvironmentSettings = EnvironmentSettings()
    options: dict[OptionName, str | int | float | bool | tuple[str, ...]] = {}
    """Further options of Beam, by name; true is a flag, a list is given once per value."""

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        for name in self.options:
            if name in OWN_SETTINGS:
                yield contradiction(f"{place}.options.{name}", name, "beam.runner and the sections beside it say that")
        if self.runner in ("flink", "spark"):
            server = self.flink if self.runner == "flink" else self.spark
            if (server.job_server_jar is None) == (server.job_endpoint is None):
                expected = "either job_server_jar or job_endpoint: nothing is downloaded for a run"
                yield contradiction(f"{place}.{self.runner}", "", expected)
        if self.runner == "portable" and self.portable.job_endpoint is None:
            yield contradiction(f"{place}.portable.job_endpoint", "null", "host:port of the runner's job service")
        if self.runner == "dataflow":
            for key in ("project", "region", "temp_location"):
                if getattr(self.dataflow, key) is None:
                    yield contradiction(f"{place}.dataflow.{key}", "null", f"Dataflow's {key}")
        yield from self._environment(place)

    def _environment(self, place: str) -> Iterator[Problem]:
        """What the workers' environment lacks."""
        kind = self.environment.kind
        if self.runner == "dataflow":
            needs, expected = "image", "a container image with this package, for the workers"
        elif self.runner in ("in_process", "multi_process") or kind == "loopback":
            return
        else:
            needs = {"docker": "image", "process": "command", "external": "address"}[kind]
            expected = f"needed where environment.kind is {kind}"
        if getattr(self.environment, needs) is None:
            yield contradiction(f"{place}.environment.{needs}", "null", expected)


class BeamSettings(BeamRunnerSettings):
    components: dict[str, BeamRunnerSettings] = {}
    """Component to what is different for it; what is left out is as above."""

    def of(self, component: str) -> BeamRunnerSettings:
        """The settings of one component."""
        common = self.model_dump(exclude={"components"})
        if component in self.components:
            common = _merged(common, self.components[component].model_dump(exclude_unset=True))
        return BeamRunnerSettings.model_validate(common)

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        yield from super().check(workflow, place)
        for name in self.components:
            if name not in BEAM_COMPONENTS:
                yield contradiction(f"{place}.components.{name}", name, f"one of: {', '.join(BEAM_COMPONENTS)}")
            # As the component sees them, and not as the file has them.
            yield from self.of(name).check(workflow, f"{place}.components.{name}")


def _merged(common: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    merged = dict(common)
    for key, value in own.items():
        both = isinstance(value, dict) and isinstance(common.get(key), dict)
        merged[key] = _merged(common[key], value) if both else value
    return merged


def job_server_jars(beam: BeamSettings) -> dict[str, str]:
    """Dotted key to the path of each job server that a component starts."""
    jars = {}
    for component in ("", *beam.components):
        place = f"beam.components.{component}" if component else "beam"
        own = beam.of(component)
        jar = own.spark.job_server_jar if own.runner == "spark" else own.flink.job_server_jar
        if own.runner in ("flink", "spark") and jar is not None:
            jars[f"{place}.{own.runner}.job_server_jar"] = jar
    return jars
