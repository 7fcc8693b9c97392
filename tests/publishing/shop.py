"""A shop's predictions, and a shop that receives them: what is published, and what has arrived."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from modules.predictions.documents import Documents
from modules.predictions.read import PredictionFiles, Query
from modules.predictions.sinks.base import Delivery
from publishing.log import PublicationLog
from publishing.pace import Pace
from publishing.publish import Counts, Way, publish
from publishing.targets.base import Options, Target
from publishing.targets.webhook import WebhookTarget
from tests.modules.reporting.sample import taxonomy, write_predictions

SECRET = "b9f1c0a7e5d34a86-wood"
Rows = list[dict[str, Any]]
State = dict[str, dict[str, Any]]
Answer = int | tuple[int, dict[str, str]] | str
"""A status, one with headers, or ``torn``: takes the batch and closes the connection in the middle of its answer."""


def predict(folder: Path, splits: dict[str, int], seed: int = 0) -> Rows:
    """Writes predictions in place of those that are there."""
    shutil.rmtree(folder, ignore_errors=True)
    return write_predictions(folder, splits, seed)


def documents(folder: Path, version: int = 1, run: str = "run-1", **more: Any) -> Documents:
    return Documents(Delivery(PredictionFiles(folder), Query(), taxonomy()), run, "model-1", version, **more)


def expected(rows: Rows) -> dict[str, tuple[str, str, float]]:
    """What the shop is to have: id to category's id, path and probability."""
    return {r["id"]: tuple(r["exclusive"][part] for part in ("category_id", "category", "probability")) for r in rows}


def answers(state: State) -> dict[str, tuple[str, str, float]]:
    """The same of what has arrived."""
    parts = ("category_id", "category", "probability")
    return {name: tuple(d["objectives"]["exclusive"][part] for part in parts) for name, d in state.items()}


def rounded(said: dict[str, tuple[str, str, float]]) -> dict[str, tuple[str, str, float]]:
    return {name: (category, path, round(p, 4)) for name, (category, path, p) in said.items()}


class Clock:
    """Time that passes when somebody waits."""

    def __init__(self) -> None:
        self.now, self.waits = 1000.0, list[float]()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def pace(self, rate: float | None = None) -> Pace:
        return Pace(rate, self, self.sleep, lambda low, high: high)


def publish_to(
    target: Target, folder: Path, log_file: Path, run: str = "run-1", clock: Clock | None = None,
    rate: float | None = None, **way: Any,
) -> Counts:  # fmt: skip
    """One publication in this process, which waits for nothing."""
    way = {"batch": 7, **way}
    with PublicationLog(log_file, target.name) as log:
        version = log.begin(run)
        pace = (clock or Clock()).pace(rate)
        return publish(documents(folder, version, run), log, target, pace, Way(**way), lambda counts: None)


def apply(state: State, batch: list[dict[str, Any]]) -> None:
    """What a receiver does: a document replaces those of no larger version."""
    for document in batch:
        name, version = document["id"], document["version"]
        if version < state.get(name, {"version": 0})["version"]:
            continue
        if document.get("deleted"):
            state.pop(name, None)
        else:
            state[name] = document


class Receiver:
    """A shop's webhook on loopback.

    Attributes:
      state: what it has. requests: ids of each batch. headers: of each batch. keys: of the batches that it took.
    """

    def __init__(self, script: Callable[[int, list[dict[str, Any]]], Answer]):
        self.script = script
        self.state: State = {}
        self.requests: list[list[str]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""
        self.process: int | None = None
        self.lock = threading.Lock()

    def answer(self, body: bytes, headers: dict[str, str]) -> Answer:
        # The recipe of docs/how_to/publishing.md.
        mine = hmac.new(SECRET.encode(), headers["shelfmark-timestamp"].encode() + b"." + body, hashlib.sha256)
        assert headers["shelfmark-signature"] == f"v1={mine.hexdigest()}"
        batch = json.loads(body)["products"]
        with self.lock:
            number = len(self.requests)
            self.requests.append([document["id"] for document in batch])
            self.headers.append(headers)
            said = self.script(number, batch)
            if said == "kill before":
                os.kill(self.process or 0, signal.SIGKILL)
            elif said in (200, "torn", "kill after"):
                apply(self.state, batch)
                if said == "kill after":
                    os.kill(self.process or 0, signal.SIGKILL)
            return said


@contextmanager
def receiver(script: Callable[[int, list[dict[str, Any]]], Answer] = lambda number, batch: 200) -> Iterator[Receiver]:
    """``script``: number of the request, from 0 on, and its products, to the answer."""
    shop = Receiver(script)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            said = shop.answer(body, {name.lower(): value for name, value in self.headers.items()})
            status, more = (said, {}) if isinstance(said, int) else (200, {}) if isinstance(said, str) else said
            text = b"no: " + SECRET.encode() if status == 400 else b"thank you"
            self.send_response(status)
            for name, value in {"Content-Length": str(len(text)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            if isinstance(said, str):
                self.wfile.write(text[:3])
                self.close_connection = True
            else:
                self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """A client that was killed is no failure of the test."""

    server = Quiet(("127.0.0.1", 0), Handler)
    shop.url = f"http://127.0.0.1:{server.server_address[1]}/hooks/3f9a7c?key=2b8d"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield shop
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def webhook(shop: Receiver, **options: Any) -> WebhookTarget:
    options = {"secret": SECRET.encode(), "allow_private": True, **options}
    return WebhookTarget(shop.url, Options(**options), is_hidden=False)
