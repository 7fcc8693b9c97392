"""A search engine on loopback that answers as OpenSearch and Elasticsearch document it, and fails when told to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import orjson


class Asked(NamedTuple):
    """A request: method, path, its parameters, its body, and who asked."""

    method: str
    path: str
    parameters: dict[str, list[str]]
    body: Any
    authorization: str | None


class Failure(NamedTuple):
    """An answer in place of the engine's own."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = {}


Documents = dict[str, dict[str, Any]]
Script = Callable[[int, Asked], Failure | None]


class Engine:
    """One index, ``products``.

    Attributes:
      documents: id to source, in the order of their shards. points: those that are open.
      asked: every request. script: number and request to a failure.
    """

    def __init__(self, kind: str, documents: Documents):
        self.kind, self.documents = kind, documents
        self.points: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        self.asked: list[Asked] = []
        self.script: Script = lambda number, asked: None
        self.url = ""
        self._opened = 0
        self._lock = threading.Lock()

    @property
    def pages(self) -> list[Any]:
        """The bodies of all searches."""
        return [asked.body for asked in self.asked if asked.path == "/_search"]

    def answer(self, asked: Asked) -> Failure:
        with self._lock:
            self.asked.append(asked)
            return self.script(len(self.asked) - 1, asked) or self._own(asked)

    def _own(self, asked: Asked) -> Failure:
        point = "_search/point_in_time" if self.kind == "opensearch" else "_pit"
        name = "pit_id" if self.kind == "opensearch" else "id"
        match asked.method, asked.path.strip("/"):
            case "POST", path if path == f"products/{point}" and asked.parameters.get("keep_alive"):
                self._opened += 1
                self.points[f"point-{self._opened}"] = list(self.documents.items())
                return _json({name: f"point-{self._opened}"})
            case "POST", path if path.endswith(point):
                return error(404, "index_not_found_exception", "no such index")
            case "DELETE", path if path == point:
                given = asked.body[name]
                for opened in given if self.kind == "opensearch" else [given]:
                    if self.points.pop(opened, None) is None:
                        return error(404, "resource_not_found_exception", "no such point in time")
                return _json({"succeeded": True})
            case "POST", "_search":
                return self._page(asked.body)
        return error(400, "illegal_argument_exception", f"no handler for {asked.method} {asked.path}")

    def _page(self, body: dict[str, Any]) -> Failure:
        rows = self.points.get(body["pit"]["id"])
        if rows is None:
            return error(404, "search_context_missing_exception", "No search context found for id [1]")
        ((field, direction),) = body["sort"][0].items()
        assert direction == "asc" and body["pit"]["keep_alive"]
        if field == "_shard_doc":
            keyed = [(number, row) for number, row in enumerate(rows)]
        else:
            keyed = [(row[0] if field == "_id" else row[1][field], row) for row in rows]
        keyed.sort(key=lambda pair: pair[0])
        rest = [pair for pair in keyed if "search_after" not in body or pair[0] > body["search_after"][0]]
        hits = [{"_id": row[0], "_source": row[1], "sort": [key]} for key, row in rest[: body["size"]]]
        total = {"total": {"value": len(rows), "relation": "eq"}} if body["track_total_hits"] else {}
        return _json({
            "pit_id": body["pit"]["id"], "timed_out": False, "_shards": {"total": 2, "failed": 0},
            "hits": {**total, "hits": hits},
        })  # fmt: skip


def error(status: int, kind: str, reason: str) -> Failure:
    """An error in the engines' form."""
    return Failure(status, orjson.dumps({"error": {"root_cause": [{"type": kind, "reason": reason}]}}))


def _json(answer: Any) -> Failure:
    return Failure(200, orjson.dumps(answer))


@contextmanager
def engine(kind: str, documents: Documents) -> Iterator[Engine]:
    """A running engine."""
    running = Engine(kind, documents)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            with suppress(OSError):
                super().handle()

        def do_POST(self) -> None:
            url = urlsplit(self.path)
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = orjson.loads(data) if data else None
            asked = Asked(self.command, url.path, parse_qs(url.query), body, self.headers.get("Authorization"))
            status, content, headers = running.answer(asked)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_DELETE = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    running.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield running
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
