"""The artifacts API of Kubeflow Pipelines 3.0, as far as the last blessed model needs it, over HTTP, with a memory.

Messages, names of fields, filters, order and pages are those of the proposal (12147, ``artifacts.proto``) and of the
server that implements it. kfp-server-api has no models of it yet: those below are strict, so that an unknown field,
parameter or filter is a refusal. Runs and experiments are read by kfp-server-api's own models.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict

from tests.kubeflow.api_server import strict

PREFIX = "/apis/v2beta1"
FIELDS = ("artifact_id", "namespace", "uri", "name", "created_at")
LARGEST = 200


class Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Artifact(Message):
    artifact_id: str
    name: str
    type: Literal["Artifact", "Model", "Dataset", "HTML", "Metric", "ClassificationMetric"]
    uri: str | None = None
    metadata: dict[str, Any] = {}
    created_at: str
    namespace: str = ""


class Producer(Message):
    task_name: str


class ArtifactTask(Message):
    id: str
    artifact_id: str
    run_id: str
    task_id: str
    type: Literal["OUTPUT", "TASK_OUTPUT_INPUT"]
    producer: Producer
    key: str


class Predicate(Message):
    operation: Literal["EQUALS"]
    key: str
    string_value: str


class Filter(Message):
    predicates: list[Predicate]


class ListArtifacts(Message):
    namespace: str = ""
    page_token: str = ""
    page_size: int = 20
    sort_by: str = ""
    filter: str = ""


class ListArtifactTasks(Message):
    task_ids: list[str] = []
    run_ids: list[str] = []
    artifact_ids: list[str] = []
    type: Literal["OUTPUT", "TASK_OUTPUT_INPUT"] | None = None
    page_token: str = ""
    page_size: int = 20


class Refusal(Exception):
    """A status and Google's status message."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class ArtifactsServer(ThreadingHTTPServer):
    """Its memory, and what it was asked.

    Attributes:
      requests: path and headers of every request. answers: path prefix to (status, text) that it answers with instead.
      token: what it wants as bearer, None where it asks for none. largest: artifacts in an answer at most.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.runs: dict[str, dict[str, Any]] = {}
        self.experiments: dict[str, dict[str, Any]] = {}
        self.artifacts: list[Artifact] = []
        self.links: list[ArtifactTask] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.answers: dict[str, tuple[int, str]] = {}
        self.token: str | None = None
        self.largest = LARGEST
        self._seconds = 1_700_000_000

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def add_run(self, pipeline: str, namespace: str = "", run: str | None = None, *, stored: bool = True) -> str:
        """A run of a stored pipeline, or one that was started with the package alone."""
        experiment = f"experiment-{namespace}"
        self.experiments[experiment] = strict(
            {"experiment_id": experiment, "namespace": namespace}, "V2beta1Experiment"
        )
        run = run or str(uuid.uuid4())
        source: dict[str, Any] = {"pipeline_version_reference": {"pipeline_id": pipeline, "pipeline_version_id": "1"}}
        if not stored:
            source = {"pipeline_spec": {"pipelineInfo": {"name": pipeline}}}
        self.runs[run] = strict({"run_id": run, "experiment_id": experiment, **source}, "V2beta1Run")
        return run

    def add(self, run: str, key: str, title: str, uri: str, metadata: dict[str, Any] | None = None) -> str:
        """An output as the launcher records it: a type that is not Kubeflow's own goes into the metadata."""
        self._seconds += 1
        artifact = Artifact(
            artifact_id=str(uuid.uuid4()),
            name=key,
            type="Artifact",
            uri=uri,
            metadata={**(metadata or {}), "_kfp_schema_title": f"title: {title}\ntype: object\n"},
            created_at=datetime.fromtimestamp(self._seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            namespace=self.experiments[self.runs[run]["experiment_id"]]["namespace"],
        )
        self.artifacts.append(artifact)
        self.link(run, artifact.artifact_id, key)
        return artifact.artifact_id

    def link(self, run: str, artifact: str, key: str, kind: Literal["OUTPUT", "TASK_OUTPUT_INPUT"] = "OUTPUT") -> None:
        self.links.append(
            ArtifactTask(
                id=str(uuid.uuid4()), artifact_id=artifact, run_id=run, task_id=str(uuid.uuid4()), type=kind,
                producer=Producer(task_name="Task"), key=key,
            )
        )  # fmt: skip

    def answer(self, path: str, query: dict[str, list[str]]) -> dict[str, Any]:
        many = ("task_ids", "run_ids", "artifact_ids")
        given: dict[str, Any] = {name: values if name in many else values[0] for name, values in query.items()}
        if path == "/artifacts":
            asked = ListArtifacts.model_validate(given)
            found = [one for one in self.artifacts if one.namespace == asked.namespace]
            for predicate in Filter.model_validate_json(asked.filter).predicates if asked.filter else ():
                if predicate.key not in FIELDS:
                    raise Refusal(400, f"no support for filtering on unrecognized field {predicate.key!r}")
                found = [one for one in found if getattr(one, predicate.key) == predicate.string_value]
            field, _, order = (asked.sort_by or "created_at asc").partition(" ")
            if field not in FIELDS or order not in ("", "asc", "desc"):
                raise Refusal(400, f"Received invalid sort by format {asked.sort_by!r}")
            found.sort(key=lambda one: (getattr(one, field), one.artifact_id), reverse=order == "desc")
            return self._page("artifacts", found, asked.page_size, asked.page_token)
        if path == "/artifact_tasks":
            links = ListArtifactTasks.model_validate(given)
            if not (links.task_ids or links.run_ids or links.artifact_ids):
                raise Refusal(400, "At least one filter (task_ids, run_ids, or artifact_ids) is required")
            chosen = [
                one
                for one in self.links
                if (not links.artifact_ids or one.artifact_id in links.artifact_ids)
                and (not links.run_ids or one.run_id in links.run_ids)
                and (links.type is None or one.type == links.type)
            ]
            return self._page("artifact_tasks", chosen, links.page_size, links.page_token)
        _, kind, identity = path.split("/")
        kept = {"runs": self.runs, "experiments": self.experiments}[kind]
        if identity not in kept:
            raise Refusal(404, f"{kind} {identity} not found")
        return kept[identity]

    def _page(self, key: str, found: Sequence[Message], size: int, token: str) -> dict[str, Any]:
        start, size = int(base64.b64decode(token)) if token else 0, min(size, self.largest)
        answer: dict[str, Any] = {
            key: [one.model_dump(exclude_none=True) for one in found[start : start + size]],
            "total_size": len(found),
        }
        if start + size < len(found):
            answer["next_page_token"] = base64.b64encode(str(start + size).encode()).decode()
        return answer


class Handler(BaseHTTPRequestHandler):
    server: ArtifactsServer

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        server, path = self.server, parts.path.removeprefix(PREFIX)
        server.requests.append((self.path, dict(self.headers)))
        planned = [answer for prefix, answer in server.answers.items() if path.startswith(prefix)]
        try:
            if not parts.path.startswith(PREFIX):
                raise Refusal(404, "Not Found")
            if server.token is not None and self.headers.get("Authorization") != f"Bearer {server.token}":
                raise Refusal(401, "Authentication failure")
            query = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
            status, text = planned[0] if planned else (200, json.dumps(server.answer(path, query)))
        except Refusal as refusal:
            status, text = refusal.status, json.dumps({"code": 5, "message": str(refusal), "details": []})
        except ValueError as error:
            status, text = 400, json.dumps({"code": 3, "message": str(error), "details": []})
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(text.encode())


@contextmanager
def serving() -> Iterator[ArtifactsServer]:
    """A server on loopback."""
    server = ArtifactsServer()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
