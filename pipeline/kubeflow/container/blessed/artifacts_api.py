"""The last blessed model, through the artifacts API of Kubeflow's API server, which 3.0 has in place of ML Metadata.

Follows Kubeflow's proposal 12147 and the server that implements it. A blessing is an artifact under the name of its
output; a type that is not Kubeflow's own is noted in its metadata. Artifacts do not name their run: artifact tasks link
the two, and a run names its pipeline.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from modules.errors import InputError, Problem
from pipeline.kubeflow.client.session import ClusterError, ClusterSession, Credentials
from pipeline.kubeflow.container.artifact import addresses, title_of
from pipeline.kubeflow.container.blessed.interface import BLESSING, MODEL

NAME = "blessing"
"""Key of the Evaluator's output, which the launcher gives the artifact as its name."""
TITLE = "_kfp_schema_title"
"""Key of an artifact's metadata: its type, title or whole schema document, where it is not one of Kubeflow's own."""
PAGE_SIZE = 50
"""Artifacts in an answer. Their ids (36 characters each) go into the address of one further request."""
PAGES = 400
"""Answers that one listing may have: 20,000 artifacts."""
DEADLINE = 300.0
"""Seconds for a whole look-up."""
ANSWER = 30.0
"""Seconds that a single answer may take."""


class ArtifactsApi:
    """Asks one API server.

    Args:
      session: signed in. deadline: seconds for a whole look-up. pages: answers that one listing may have.
    """

    def __init__(self, session: ClusterSession, *, deadline: float = DEADLINE, pages: int = PAGES):
        self._session, self._deadline, self._pages = session, deadline, pages
        self._until = 0.0
        self._pipelines: dict[str, tuple[str, str] | None] = {}

    @classmethod
    def at(cls, endpoint: str) -> ArtifactsApi:
        """Signed in as the pod is: with a token of the environment, or of the pod's service account.

        Raises:
          InputError: the endpoint is no http address, or the token cannot be used.
        """
        try:
            return cls(ClusterSession(endpoint, Credentials.find(), timeout=ANSWER))
        except ClusterError as error:
            raise _problem(str(error)) from None

    def last(self, run: str) -> str | None:
        """See :class:`~pipeline.kubeflow.container.blessed.interface.BlessedModels`."""
        self._until = time.monotonic() + self._deadline
        self._pipelines.clear()
        current = self._run(run)
        pipeline = None if current is None else _pipeline_of(current)
        if current is None or pipeline is None:
            what = "a run that the API server knows" if current is None else "a run of a pipeline"
            hint = "runners.kubeflow.artifacts_api has to name the API server of the cluster that the run is in"
            raise InputError(Problem("", what, key="run", value=run, hint=hint))
        self._pipelines[run] = pipeline
        namespace = self._namespace(current)
        for page in self._listed(
            "/artifacts", "artifacts", namespace=namespace, filter=_equals("name", NAME), sort_by="created_at desc"
        ):
            blessed = [artifact for artifact in page if _model_of(artifact)]
            runs = self._runs_of([str(artifact.get("artifact_id", "")) for artifact in blessed]) if blessed else {}
            for artifact in blessed:
                of_pipeline = any(
                    self._pipeline(run) == pipeline for run in runs.get(str(artifact.get("artifact_id", "")), ())
                )
                if of_pipeline and self._is_there(_model_of(artifact), namespace):
                    return _model_of(artifact)
        return None

    def _runs_of(self, artifacts: Sequence[str]) -> dict[str, list[str]]:
        """Artifact to the runs that it is an output of: the one that made it, and those that took it from the cache."""
        runs_by_artifact: dict[str, list[str]] = {}
        for page in self._listed("/artifact_tasks", "artifact_tasks", artifact_ids=artifacts, type="OUTPUT"):
            for link in page:
                if link.get("run_id"):
                    runs_by_artifact.setdefault(str(link.get("artifact_id", "")), []).append(str(link["run_id"]))
        return runs_by_artifact

    def _pipeline(self, run: str) -> tuple[str, str] | None:
        """What pipeline a run is of; None for a run that is gone."""
        if run not in self._pipelines:
            details = self._run(run)
            self._pipelines[run] = None if details is None else _pipeline_of(details)
        return self._pipelines[run]

    def _run(self, run: str) -> dict[str, Any] | None:
        try:
            return self._get(f"/runs/{quote(run, safe='')}")
        except ClusterError as error:
            if error.status == 404:
                return None
            raise _problem(str(error)) from None

    def _namespace(self, run: dict[str, Any]) -> str | None:
        """The run's namespace, which its experiment knows; None where the cluster has no profiles."""
        experiment = run.get("experiment_id")
        if not experiment:
            return None
        try:
            return self._get(f"/experiments/{quote(str(experiment), safe='')}").get("namespace") or None
        except ClusterError as error:
            raise _problem(str(error)) from None

    def _is_there(self, model: str, namespace: str | None) -> bool:
        """Whether the API server still lists the model."""
        pages = self._listed("/artifacts", "artifacts", namespace=namespace, filter=_equals("uri", model))
        return any(_title(artifact) == MODEL and model in addresses(artifact) for page in pages for artifact in page)

    def _listed(self, path: str, key: str, **query: str | Sequence[str] | None) -> Iterator[list[dict[str, Any]]]:
        """The pages of a listing, each as it is needed."""
        token: str | None = None
        seen: set[str] = set()
        for _ in range(self._pages):
            try:
                answer = self._get(path, **query, page_size=str(PAGE_SIZE), page_token=token)
            except ClusterError as error:
                if error.status in (404, 501):
                    hint = "Kubeflow Pipelines 2.x has ML Metadata instead: leave runners.kubeflow.artifacts_api out"
                    raise _problem(f"{self._session.endpoint} has no artifacts API", hint) from None
                raise _problem(str(error)) from None
            entries = answer.get(key) or []
            if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
                raise _problem(f"{self._session.endpoint}{path} gives no list of {key}", _NO_SERVER)
            yield entries
            token = str(answer.get("next_page_token") or "")
            if not token:
                return
            if token in seen:
                raise _problem(f"{self._session.endpoint}{path} gives the same page again and again", _NO_SERVER)
            seen.add(token)
        raise _problem(
            f"{self._session.endpoint}{path} gives more than {self._pages * PAGE_SIZE:,} {key}",
            "delete runs that are no longer needed",
        )

    def _get(self, path: str, **query: str | Sequence[str] | None) -> dict[str, Any]:
        if time.monotonic() > self._until:
            raise _problem(
                f"{self._session.endpoint} did not answer all questions within {self._deadline:g} s",
                "try again when the API server has less to do",
            )
        return self._session.get(path, **query)


_NO_SERVER = "runners.kubeflow.artifacts_api has to name the API server of Kubeflow Pipelines"


def _problem(sentence: str, hint: str = "") -> InputError:
    return InputError(Problem("", f"the last blessed model cannot be looked up: {sentence}", hint=hint))


def _equals(key: str, value: str) -> str:
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": key, "string_value": value}]})


def _title(artifact: dict[str, Any]) -> str:
    return title_of((artifact.get("metadata") or {}).get(TITLE))


def _model_of(artifact: dict[str, Any]) -> str:
    """Address of the model that a blessing blesses; empty where it does not, or the artifact is no blessing."""
    metadata = artifact.get("metadata") or {}
    verdict, model = metadata.get("blessed"), metadata.get("current_model")
    if _title(artifact) != BLESSING or not isinstance(verdict, int | float) or not verdict:
        return ""
    return model if isinstance(model, str) else ""


def _pipeline_of(run: dict[str, Any]) -> tuple[str, str] | None:
    """What tells a run's pipeline from others: its id, or its name where the run's pipeline was never uploaded."""
    reference = run.get("pipeline_version_reference") or {}
    if reference.get("pipeline_id"):
        return "id", str(reference["pipeline_id"])
    specification = run.get("pipeline_spec") or {}
    # A package of two documents is stored with the first one under a key of its own.
    specification = specification.get("pipeline_spec") or specification
    name = (specification.get("pipelineInfo") or {}).get("name")
    return ("name", str(name)) if name else None
