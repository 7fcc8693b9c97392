"""Uploads a version, starts a run or a schedule of runs, and waits."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.kubeflow.client.session import ClusterError, ClusterSession

ENDED = ("SUCCEEDED", "SKIPPED", "FAILED", "CANCELED")


@dataclass(frozen=True)
class Version:
    """An uploaded package."""

    pipeline: str
    version: str

    def reference(self) -> dict[str, str]:
        """As runs name it."""
        return {"pipeline_id": self.pipeline, "pipeline_version_id": self.version}


@dataclass(frozen=True)
class Submission:
    """The run that a user submits.

    Attributes:
      name: of the pipeline. version: of the package, new each time. run: shown name of the run.
      parameters: of the run. root: pipeline root; None: the cluster's. namespace: None outside of multi-user clusters.
    """

    name: str
    version: str
    run: str
    experiment: str = "Default"
    namespace: str | None = None
    parameters: Mapping[str, Any] | None = None
    root: str | None = None
    service_account: str | None = None


def upload(session: ClusterSession, package: Path, asked: Submission) -> Version:
    """Uploads the package as a new version of the pipeline, which is made if there is none. Raises ClusterError."""
    pipeline = _find(session, "/pipelines", "pipelines", asked.name, asked.namespace)
    if pipeline is None:
        made = session.upload("/pipelines/upload", package, name=asked.name, namespace=asked.namespace)
        identity = _of(session, made, "pipeline_id")
        versions = session.get(f"/pipelines/{identity}/versions", sort_by="created_at desc", page_size="1")
        (newest,) = versions.get("pipeline_versions") or [{}]
        return Version(identity, _of(session, newest, "pipeline_version_id"))
    identity = _of(session, pipeline, "pipeline_id")
    made = session.upload("/pipelines/upload_version", package, name=asked.version, pipelineid=identity)
    return Version(identity, _of(session, made, "pipeline_version_id"))


def experiment_id(session: ClusterSession, asked: Submission) -> str:
    """The experiment, made if there is none. Raises ClusterError."""
    experiment = _find(session, "/experiments", "experiments", asked.experiment, asked.namespace)
    if experiment is None:
        body = {"display_name": asked.experiment, "namespace": asked.namespace}
        experiment = session.post("/experiments", {name: value for name, value in body.items() if value is not None})
    return _of(session, experiment, "experiment_id")


def start(session: ClusterSession, version: Version, experiment: str, asked: Submission) -> str:
    """Starts a run; its id. Raises ClusterError."""
    return _of(session, session.post("/runs", _run(version, experiment, asked)), "run_id")


def schedule(session: ClusterSession, version: Version, experiment: str, asked: Submission, cron: str) -> str:
    """A recurring run, one at a time, without making up for missed ones; its id. Raises ClusterError."""
    body = _run(version, experiment, asked) | {
        "trigger": {"cron_schedule": {"cron": cron}},
        "max_concurrency": "1",
        "no_catchup": True,
        "mode": "ENABLE",
    }
    return _of(session, session.post("/recurringruns", body), "recurring_run_id")


def wait(session: ClusterSession, run: str, told: Callable[[str, str], None], every: float) -> tuple[str, str]:
    """Waits for a run's end.

    Args:
      told: is told (component, state) whenever a component's state changes.
      every: seconds between looks.

    Returns:
      (state, error); the error is empty where there is none.

    Raises:
      ClusterError: the cluster could not be asked five times in a row.
    """
    seen: dict[str, str] = {}
    failures = 0
    while True:
        try:
            answer = session.get(f"/runs/{run}")
            failures = 0
        except ClusterError:
            failures += 1
            if failures == 5:
                raise
            time.sleep(every)
            continue
        for task in answer.get("run_details", {}).get("task_details", []):
            name, state = task.get("display_name", ""), task.get("state", "PENDING")
            # Kubeflow's own steps stand beside the component's: its driver, and the pod inside of the component.
            if name and name not in ("root", "executor") and not name.endswith("-driver") and seen.get(name) != state:
                seen[name] = state
                told(name, state)
        state = answer.get("state", "PENDING")
        if state in ENDED:
            return state, str((answer.get("error") or {}).get("message", ""))
        time.sleep(every)


def _run(version: Version, experiment: str, asked: Submission) -> dict[str, Any]:
    body: dict[str, Any] = {
        "display_name": asked.run,
        "experiment_id": experiment,
        "pipeline_version_reference": version.reference(),
        "runtime_config": {"parameters": dict(asked.parameters or {})},
    }
    if asked.root is not None:
        body["runtime_config"]["pipeline_root"] = asked.root
    if asked.service_account is not None:
        body["service_account"] = asked.service_account
    return body


def _of(session: ClusterSession, answer: Mapping[str, Any], key: str) -> str:
    if not answer.get(key):
        raise ClusterError(f"{session.endpoint} gives no {key}: is it Kubeflow Pipelines' API server?")
    return str(answer[key])


def _find(session: ClusterSession, path: str, key: str, name: str, namespace: str | None) -> dict[str, Any] | None:
    predicate = {"operation": "EQUALS", "key": "display_name", "string_value": name}
    listing = session.get(path, filter=json.dumps({"predicates": [predicate]}), namespace=namespace, page_size="2")
    entries = [entry for entry in listing.get(key) or [] if entry.get("display_name") == name]
    return entries[0] if entries else None
