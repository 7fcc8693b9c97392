"""The endpoints of Kubeflow Pipelines' API server (v2beta1) that submitting uses, over HTTP, with a memory.

Requests and answers are read by the models of kfp-server-api: an unknown field, or a value of the wrong type, is an
error of the test.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kfp_server_api

from tests.kubeflow.emulator.server import Refused, parse_package, run_values


def strict(body: dict[str, Any], model: str) -> dict[str, Any]:
    """``body`` if the model knows every field of it, at every depth, and takes its values."""
    kind = getattr(kfp_server_api, model)
    unknown = set(body) - set(kind.attribute_map.values())
    assert not unknown, f"{model} has no {unknown}"
    for name, inner in kind.openapi_types.items():
        value = body.get(kind.attribute_map[name])
        if value is not None and hasattr(kfp_server_api, inner) and isinstance(value, dict):
            strict(value, inner)
    client = kfp_server_api.ApiClient(kfp_server_api.Configuration())
    client._ApiClient__deserialize(body, model)
    return body


class Server(ThreadingHTTPServer):
    """State of the server, and what it was asked.

    Attributes:
      refusals: path prefix to (status, body) that it answers with instead.
      script: answers to GET /runs/ID, one after the other; the last one stays.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pipelines: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, list[dict[str, Any]]] = {}
        self.packages: dict[str, str] = {}
        self.experiments: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.recurring: dict[str, dict[str, Any]] = {}
        self.headers: list[dict[str, str]] = []
        self.refusals: dict[str, tuple[int, str]] = {}
        self.namespaces: set[str] | None = None
        self.script: list[dict[str, Any]] = [{"state": "SUCCEEDED"}]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer({}, b"")

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        json_sent = self.headers.get("Content-Type") == "application/json"
        self._answer(json.loads(raw) if json_sent else {}, raw)

    def _answer(self, body: dict[str, Any], raw: bytes) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        path = parts.path.removeprefix("/apis/v2beta1")
        self.server.headers.append(dict(self.headers))
        status, text = 200, ""
        refused = [answer for prefix, answer in self.server.refusals.items() if path.startswith(prefix)]
        if refused:
            status, text = refused[0]
        else:
            try:
                text = json.dumps(self._handle(path, query, body, raw))
            except Refused as error:
                status, text = 400, json.dumps({"error": str(error), "code": 3, "message": str(error)})
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/dex/auth")
        self.end_headers()
        self.wfile.write(text.encode())

    def _handle(self, path: str, query: dict[str, str], body: dict[str, Any], raw: bytes) -> dict[str, Any]:
        server, post = self.server, self.command == "POST"
        namespace = query.get("namespace") or body.get("namespace")
        if server.namespaces is not None and namespace is not None and namespace not in server.namespaces:
            raise Refused(f"Failed to authorize: namespaces {namespace!r} not found")
        if path == "/pipelines" and not post:
            return _listed(server.pipelines, query, "pipelines", "V2beta1ListPipelinesResponse")
        if path == "/pipelines/upload":
            made = {"pipeline_id": str(uuid.uuid4()), "display_name": query["name"]}
            server.pipelines[made["pipeline_id"]] = strict(made, "V2beta1Pipeline")
            self._add_version(made["pipeline_id"], query["name"], raw)
            return made
        if path == "/pipelines/upload_version":
            return self._add_version(query["pipelineid"], query["name"], raw)
        if path.endswith("/versions"):
            found = {"pipeline_versions": server.versions[path.split("/")[2]][::-1]}
            return strict(found, "V2beta1ListPipelineVersionsResponse")
        if path == "/experiments" and not post:
            return _listed(server.experiments, query, "experiments", "V2beta1ListExperimentsResponse")
        if path == "/experiments":
            made = {**strict(body, "V2beta1Experiment"), "experiment_id": str(uuid.uuid4())}
            server.experiments[made["experiment_id"]] = made
            return made
        if path in ("/runs", "/recurringruns") and post:
            return self._start(path, body)
        if path.startswith("/runs/"):
            current = server.script.pop(0) if len(server.script) > 1 else server.script[0]
            return strict({**server.runs[path.split("/")[2]], **current}, "V2beta1Run")
        raise Refused(f"no such endpoint: {self.command} {path}")

    def _add_version(self, pipeline: str, name: str, raw: bytes) -> dict[str, Any]:
        form = BytesParser(policy=HTTP).parsebytes(
            f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode() + raw
        )
        part = next(form.iter_parts())
        assert part.get_param("name", header="content-disposition") == "uploadfile"
        text = part.get_payload(decode=True).decode()
        parse_package(text)
        version = {"pipeline_id": pipeline, "pipeline_version_id": str(uuid.uuid4()), "display_name": name}
        self.server.versions.setdefault(pipeline, []).append(strict(version, "V2beta1PipelineVersion"))
        self.server.packages[version["pipeline_version_id"]] = text
        return version

    def _start(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        once = path == "/runs"
        strict(body, "V2beta1Run" if once else "V2beta1RecurringRun")
        reference = body["pipeline_version_reference"]
        spec = parse_package(self.server.packages[reference["pipeline_version_id"]])[0]
        run_values(spec, body["runtime_config"]["parameters"])
        if body["experiment_id"] not in self.server.experiments:
            raise Refused("experiment not found")
        key = "run_id" if once else "recurring_run_id"
        made = {**body, key: str(uuid.uuid4())}
        (self.server.runs if once else self.server.recurring)[made[key]] = made
        return made


def _listed(entries: dict[str, Any], query: dict[str, str], key: str, model: str) -> dict[str, Any]:
    wanted = strict(json.loads(query["filter"]), "V2beta1Filter")["predicates"][0]
    strict(wanted, "V2beta1Predicate")
    assert wanted["operation"] == "EQUALS"
    found = [entry for entry in entries.values() if entry[wanted["key"]] == wanted["string_value"]]
    return strict({key: found}, model)


@contextmanager
def serving() -> Iterator[Server]:
    """A server on a port of its own."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
