"""A cluster: packages come in, driver and launcher do their part task by task (v2/driver, v2/component)."""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import math
import shutil
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.kubeflow.emulator import arguments
from tests.kubeflow.emulator.argo import Attempt, GaveUp, Phase, Strategy
from tests.kubeflow.emulator.kubernetes import InvalidPod, Pod, pod_of
from tests.kubeflow.emulator.metadata import Certificate, Metadata
from tests.kubeflow.emulator.pods import ImagePods, Pods
from tests.kubeflow.emulator.server import Refused, compile_spec, parse_package, run_values
from tests.kubeflow.emulator.store import ObjectStore, local_path

METRICS = {"system.Metrics": "Metric", "system.ClassificationMetrics": "ClassificationMetric"}
"""Kubeflow's own types that have no files, and what 3.0 calls them."""


class StepFailed(Exception):
    """A task failed; the message ends with what its pod printed last."""

    phase: Phase = "Failed"


class PodGone(StepFailed):
    """Its pod was deleted (a drained node, a preemption), or could not be made."""

    phase = "Error"


@dataclass
class Step:
    """One task of a run: how it ended (COMPLETE, CACHED), its pod, tries and execution."""

    name: str
    state: str
    seconds: float
    execution: int
    pod: Pod | None = None
    tries: int = 1


@dataclass
class Run:
    """A run: its steps in the order they ran."""

    id: str
    values: dict[str, Any]
    contexts: tuple[int, int]
    root: str
    steps: dict[str, Step] = field(default_factory=dict)


@dataclass
class _Dag:
    spec: dict[str, Any]
    values: dict[str, Any]
    executions: dict[str, int]
    prefix: str = ""


class Cluster:
    """Kubeflow Pipelines with an object store and ML Metadata in ``folder``.

    Attributes:
      clock: seconds; pauses between attempts move it, and so may ``before_try`` (a pod that runs for hours).
      before_try: called with task, number of the attempt and the pod's folder, before its command; may raise
        :class:`StepFailed` in the pod's place.
    """

    def __init__(
        self,
        folder: Path,
        pods: Pods | ImagePods,
        *,
        publish_logs: bool = True,
        version: tuple[int, int] = (2, 16),
        retry_policy: str = "",
        tls: Certificate | None = None,
    ):
        """``retry_policy``: of the controller's ``templateDefaults``. ``tls``: what ML Metadata is served with."""
        self.clock, self._retry_policy = 0.0, retry_policy
        self.folder, self._pods, self._logs, self._version = folder, pods, publish_logs, version
        folder.mkdir(parents=True, exist_ok=True)
        self.store = ObjectStore(folder / "store")
        self.metadata = Metadata(folder / "metadata.sqlite")
        self._server, self.address = self.metadata.serve(tls)
        self._cache: dict[tuple[str, str], int] = {}
        self._numbers = itertools.count(1)
        self.on_start: Callable[[Run], None] = lambda run: None
        self.before_try: Callable[[str, int, Path], None] = lambda task, attempt, pod: None

    def close(self) -> None:
        """Ends ML Metadata's service."""
        self._server.stop(None).wait()

    def run(
        self,
        package: str,
        parameters: dict[str, Any] | None = None,
        root: str = "minio://mlpipeline/v2/artifacts",
        until: str | None = None,
    ) -> Run:
        """Runs a package's text to its end, or until a task of the root has ended.

        Raises:
          Refused: by the server or the compiler. StepFailed: a task failed.
        """
        spec, kubernetes = parse_package(package)
        values = run_values(spec, parameters or {})
        compile_spec(spec)
        name, run_id = spec["pipelineInfo"]["name"], str(uuid.uuid4())
        own_root = f"{root.rstrip('/')}/{name}/{run_id}"
        run = Run(run_id, values, self.metadata.run(name, run_id, "kubeflow", own_root), own_root)
        _start("root-driver", arguments.dag_driver(spec["root"], None, values))
        self.on_start(run)
        self._run_dag(spec, kubernetes, run, _Dag(spec["root"], values, {}), until)
        return run

    def artifact(self, run: Run, task: str, key: str) -> dict[str, Any]:
        """An output artifact of a run: ``uri``, ``metadata``."""
        return self.metadata.runtime_artifact(self.metadata.outputs(run.steps[task].execution)[0][key])

    def _run_dag(
        self, spec: dict[str, Any], kubernetes: dict[str, Any], run: Run, dag: _Dag, until: str | None = None
    ) -> None:
        tasks = dag.spec["dag"]["tasks"]
        for name in _in_order(tasks):
            task, component = tasks[name], spec["components"][tasks[name]["componentRef"]["name"]]
            started = time.monotonic()
            if "dag" in component:
                _start(f"{name}-driver", arguments.dag_driver(component, task, None))
            inputs = self._inputs(task, component, dag, run)
            if "dag" in component:
                inner = _Dag(component, inputs["parameterValues"], {}, f"{dag.prefix}{name}/")
                self._run_dag(spec, kubernetes, run, inner)
                dag.executions[name] = self._outputs_of(inner)
                continue
            executor = spec["deploymentSpec"]["executors"][component["executorLabel"]]
            if "importer" in executor:
                _start(name, arguments.importer(component, task, executor["importer"]))
                step = self._import(name, executor["importer"], task, component, dag, run)
            else:
                config = kubernetes.get(component["executorLabel"], {})
                driver = arguments.container_driver(component, task, executor["container"], config)
                _start(f"{name}-driver", driver)
                step = self._container(name, executor["container"], task, component, inputs, config, run, spec)
            step.seconds = time.monotonic() - started
            run.steps[dag.prefix + name] = step
            dag.executions[name] = step.execution
            if name == until:
                return

    def _outputs_of(self, dag: _Dag) -> int:
        """The execution that a DAG's only output comes from: DAG outputs are followed to their producers."""
        selectors = [
            selector
            for output in dag.spec["dag"].get("outputs", {}).get("artifacts", {}).values()
            for selector in output["artifactSelectors"]
        ]
        return dag.executions[selectors[0]["producerSubtask"]]

    # --- driver ---

    def _inputs(self, task: dict[str, Any], component: dict[str, Any], dag: _Dag, run: Run) -> dict[str, Any]:
        """``resolveInputs``."""
        given, values, artifacts = task.get("inputs", {}), {}, {}
        for name, source in given.get("parameters", {}).items():
            if "componentInputParameter" in source:
                if source["componentInputParameter"] not in dag.values:
                    raise StepFailed(f"parent DAG does not have input parameter {source['componentInputParameter']}")
                values[name] = dag.values[source["componentInputParameter"]]
            elif "taskOutputParameter" in source:
                output = source["taskOutputParameter"]
                parameters = self.metadata.outputs(self._producer(dag, output["producerTask"]))[1]
                values[name] = parameters[output["outputParameterKey"]]
            else:
                constant = source["runtimeValue"]["constant"]
                values[name] = run.id if constant == "{{$.pipeline_job_uuid}}" else constant
        for name, source in given.get("artifacts", {}).items():
            output = source["taskOutputArtifact"]
            found = self.metadata.outputs(self._producer(dag, output["producerTask"]))[0]
            artifacts[name] = {"artifacts": [self.metadata.runtime_artifact(found[output["outputArtifactKey"]])]}
        return {"parameterValues": values, "artifacts": artifacts}

    @staticmethod
    def _producer(dag: _Dag, name: str) -> int:
        if name not in dag.executions:
            raise StepFailed(f"cannot find producer task {name!r}")
        return dag.executions[name]

    def _outputs(self, name: str, component: dict[str, Any], run: Run, pod: Path) -> dict[str, Any]:
        """``provisionOutputs``; before 2.15 names were empty and the output file lay elsewhere."""
        definitions = component.get("outputDefinitions", {})
        kinds = {key: entry["artifactType"] for key, entry in definitions.get("artifacts", {}).items()}
        if self._logs:
            kinds["executor-logs"] = {"schemaTitle": "system.Artifact"}
        task_root = f"{run.root}/{name}/{uuid.uuid4()}"
        local, recent = local_path(task_root, pod), self._version >= (2, 15)
        assert local is not None
        file = local / "output_metadata.json" if recent else pod / "tmp/kfp_outputs/output_metadata.json"
        return {
            "artifacts": {
                key: {"artifacts": [{"uri": f"{task_root}/{key}", "type": kind} | ({"name": key} if recent else {})]}
                for key, kind in kinds.items()
            },
            "parameters": {
                key: {"outputFile": str(pod / "tmp/kfp/outputs" / key)} for key in definitions.get("parameters", {})
            },
            "outputFile": str(file),
        }

    def _cache_key(self, container: dict[str, Any], inputs: dict[str, Any], component: dict[str, Any]) -> str:
        """``GenerateCacheKey``: names of inputs, parameters, output types, command and image; no file's content."""
        key = {
            "inputs": {n: [a["name"] for a in e["artifacts"]] for n, e in inputs["artifacts"].items()},
            "parameters": inputs["parameterValues"],
            "outputs": component.get("outputDefinitions", {}),
            "command": container.get("command", []) + container.get("args", []),
            "image": container["image"],
        }
        return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()

    def _import(
        self, name: str, importer: dict[str, Any], task: dict[str, Any], component: dict[str, Any], dag: _Dag, run: Run
    ) -> Step:
        """``importer_launcher.go``: the address is a constant or a parameter of the DAG, and has to be a cloud's."""
        address = importer["artifactUri"]
        if "constant" in address:
            uri = address["constant"]
        else:
            source = task["inputs"]["parameters"][address["runtimeParameter"]].get("componentInputParameter")
            if source not in dag.values:
                raise StepFailed(f"error resolving artifact URI: parent DAG does not have input parameter {source}")
            uri = dag.values[source]
        if not uri.startswith(("gs://", "s3://", "minio://")):
            raise StepFailed(f"no provider scheme found in artifact URI: {uri}")
        title = yaml.safe_load(importer["typeSchema"]["instanceSchema"])["title"]
        known = [a for a in self.metadata.store.get_artifacts_by_uri(uri) if a.type == title]
        output = next(iter(component["outputDefinitions"]["artifacts"]))
        artifact = known[0].id if known and not importer.get("reimport") else 0
        artifact = artifact or self.metadata.record(output, title, uri, importer.get("metadata", {}))
        execution = self.metadata.start("system.ImporterExecution", run.contexts, {}, task_name=name)
        self.metadata.finish(execution, run.contexts, {output: artifact}, {}, "COMPLETE")
        return Step(name, "COMPLETE", 0.0, execution)

    # --- launcher ---

    def _container(
        self,
        name: str,
        container: dict[str, Any],
        task: dict[str, Any],
        component: dict[str, Any],
        inputs: dict[str, Any],
        config: dict[str, Any],
        run: Run,
        spec: dict[str, Any],
    ) -> Step:
        key = spec["pipelineInfo"]["name"], self._cache_key(container, inputs, component)
        names = {n: [int(a["name"]) for a in e["artifacts"]] for n, e in inputs["artifacts"].items()}
        execution = self.metadata.start("system.ContainerExecution", run.contexts, names, task_name=name)
        cached = task.get("cachingOptions", {}).get("enableCache", False)
        if cached and key in self._cache:
            artifacts, parameters = self.metadata.outputs(self._cache[key])
            self.metadata.finish(execution, run.contexts, artifacts, parameters, "CACHED")
            return Step(name, "CACHED", 0.0, execution)
        strategy, deadline = Strategy.of(task, self._retry_policy), math.inf
        attempts: list[Attempt] = []
        while True:
            started = self.clock
            try:
                artifacts, parameters, pod = self._try(
                    name, len(attempts) + 1, container, component, inputs, config, run, deadline
                )
                break
            except StepFailed as error:
                attempts.append(Attempt(error.phase, started, self.clock))
                try:
                    if strategy is None:
                        raise GaveUp("no retries") from error
                    self.clock, deadline = strategy.next(attempts, self.clock)
                except GaveUp as reason:
                    self.metadata.finish(execution, run.contexts, {}, {}, "FAILED")
                    raise type(error)(f"{name}, attempt {len(attempts)}: {reason}: {error}") from error
        self.metadata.finish(execution, run.contexts, artifacts, parameters, "COMPLETE")
        if cached:
            self._cache[key] = execution
        return Step(name, "COMPLETE", 0.0, execution, pod, len(attempts) + 1)

    def _try(
        self,
        name: str,
        attempt: int,
        container: dict[str, Any],
        component: dict[str, Any],
        inputs: dict[str, Any],
        config: dict[str, Any],
        run: Run,
        deadline: float,
    ) -> tuple[dict[str, int], dict[str, Any], Pod]:
        """A pod of its own, with a disk of its own that is gone afterwards."""
        number = next(self._numbers)
        disk, log = self.folder / f"pod-{number}", self.folder / f"{number:03d}-{name}.log"
        (disk / "tmp").mkdir(parents=True)
        try:
            executor_input = {"inputs": copy.deepcopy(inputs), "outputs": self._outputs(name, component, run, disk)}
            if self._version >= (3, 0):
                self._describe(executor_input["inputs"]["artifacts"])
            command = [*container.get("command", []), *container.get("args", [])]
            _start(f"{name} (launcher)", arguments.launcher(executor_input, component, command))
            self._stage_in(executor_input, disk)
            try:
                pod = pod_of(container, config)
            except InvalidPod as error:
                raise PodGone(f"Pod is invalid: {error}") from error
            self.before_try(name, attempt, disk)
            if self.clock > deadline:
                raise StepFailed("Step exceeded its deadline")
            command = [_fill(argument, executor_input, disk) for argument in command]
            _start(f"{name} (its command)", command)
            environment = {
                "KFP_STAGING_ROOT": str(disk),
                "HOME": str(disk / "tmp"),
                "TMPDIR": str(disk / "tmp"),
                **pod.environment,
            }
            code = self._pods.run(command, environment, disk, log)
            if code:
                raise StepFailed(f"{name} ended with exit code {code}: {log.read_text()[-3000:]}")
            return *self._publish(executor_input, component, disk, run, log), pod
        finally:
            shutil.rmtree(disk)

    def _describe(self, inputs: dict[str, Any]) -> None:
        """``convertArtifactToRuntimeArtifact`` of 3.0: named by output, types as documents, metrics without address."""
        for entry in inputs.values():
            for artifact in entry["artifacts"]:
                number = int(artifact["name"])
                title = self.metadata.title(number)
                artifact |= {"name": self.metadata.output_key(number), "artifactId": str(uuid.UUID(int=number))}
                if title in METRICS:
                    del artifact["uri"]
                own = METRICS.get(title) or title.removeprefix("system.")
                document = f"title: {title}\ntype: object\n"
                artifact["type"] = {"schemaTitle": own if title.startswith("system.") else document}

    def _stage_in(self, executor_input: dict[str, Any], disk: Path) -> None:
        """``downloadArtifacts`` and ``prepareOutputFolders``: of outputs only the parent folder is made."""
        for entry in executor_input["inputs"]["artifacts"].values():
            for artifact in entry["artifacts"]:
                target = local_path(artifact.get("uri", ""), disk)
                if target is not None:
                    self.store.download(artifact["uri"], target)
        for entry in executor_input["outputs"]["artifacts"].values():
            target = local_path(entry["artifacts"][0]["uri"], disk)
            if target is None:
                raise StepFailed(f"failed to generate local path for URI {entry['artifacts'][0]['uri']}")
            target.parent.mkdir(parents=True, exist_ok=True)
        for parameter in executor_input["outputs"]["parameters"].values():
            Path(parameter["outputFile"]).parent.mkdir(parents=True, exist_ok=True)

    def _publish(
        self, executor_input: dict[str, Any], component: dict[str, Any], disk: Path, run: Run, log: Path
    ) -> tuple[dict[str, int], dict[str, Any]]:
        """``collectOutputParameters`` and ``uploadOutputArtifacts``."""
        outputs = executor_input["outputs"]
        file = Path(outputs["outputFile"])
        written = json.loads(file.read_text()) if file.exists() else {}
        parameters = dict(written.get("parameterValues", {}))
        for name, parameter in outputs["parameters"].items():
            if name not in parameters:
                if not Path(parameter["outputFile"]).exists():
                    raise StepFailed(f"failed to read output parameter name={name!r}: the step has not written it")
                text = Path(parameter["outputFile"]).read_text()
                kind = component["outputDefinitions"]["parameters"][name]["parameterType"]
                parameters[name] = text if kind == "STRING" else json.loads(text)
        found = {}
        for name, entry in outputs["artifacts"].items():
            artifact = entry["artifacts"][0]
            kind = artifact["type"]
            title = kind.get("schemaTitle") or yaml.safe_load(kind["instanceSchema"])["title"]
            metadata: dict[str, Any] = {}
            for merged in written.get("artifacts", {}).get(name, {}).get("artifacts", []):
                artifact["uri"] = merged.get("uri") or artifact["uri"]
                metadata |= merged.get("metadata", {})
            local = local_path(artifact["uri"], disk)
            if name == "executor-logs" and local is not None:
                shutil.copyfile(log, local)
            # An address of no known scheme is skipped with a warning, and registered all the same.
            if local is not None:
                try:
                    self.store.upload(local, artifact["uri"], run.root)
                except FileNotFoundError as error:
                    # The launcher of 3.0; 2.x passes it over. The figures of metrics travel as metadata alone.
                    if title not in METRICS:
                        raise StepFailed(f"declared output artifact {name!r} is missing at {local}") from error
                except ValueError as error:
                    raise StepFailed(f"failed to upload output artifact {name!r}: {error}") from error
            try:
                found[name] = self.metadata.record(name, title, artifact["uri"], metadata)
            except ValueError as error:
                raise StepFailed(f"unable to produce MLMD artifact for output {name!r}: {error}") from error
        return found, parameters


def _start(process: str, command: list[str]) -> None:
    """A container that cannot start is a failed step."""
    try:
        arguments.start(process, command)
    except OSError as error:
        raise StepFailed(str(error)) from error


def _fill(argument: str, executor_input: dict[str, Any], disk: Path) -> str:
    """``compileCmdAndArgs``: placeholders."""
    text = argument.replace("{{$}}", arguments.protojson(executor_input))
    for name, value in executor_input["inputs"]["parameterValues"].items():
        shown = value if isinstance(value, str) else json.dumps(value)
        text = text.replace("{{$.inputs.parameters['" + name + "']}}", shown)
    for side in ("inputs", "outputs"):
        for name, entry in executor_input[side]["artifacts"].items():
            uri = entry["artifacts"][0].get("uri", "")
            text = text.replace("{{$." + side + ".artifacts['" + name + "'].uri}}", uri)
            text = text.replace("{{$." + side + ".artifacts['" + name + "'].path}}", str(local_path(uri, disk)))
    return text


def _in_order(tasks: dict[str, Any]) -> list[str]:
    """As Argo starts them: by dependencies alone."""
    done: list[str] = []
    while len(done) < len(tasks):
        ready = [n for n, t in tasks.items() if n not in done and set(t.get("dependentTasks", [])) <= set(done)]
        if not ready:
            raise Refused("Argo: tasks depend on each other in a circle")
        done += sorted(ready)
    return done
