"""An object store on loopback that speaks as much of S3 and of Google's JSON API as reading takes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

KEY, SECRET = "reader", "of many secrets"


class ObjectStore(ThreadingHTTPServer):
    """Buckets of objects by name.

    ``asked``: the paths of all requests. ``compressed``: objects that are stored as gzip and said to be so.
    ``forbidden``: Google's side refuses everything. ``slow``: until it is set, a byte of an object comes now and then.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[tuple[str, str], bytes] = {}
        self.asked: list[str] = []
        self.compressed: set[str] = set()
        self.forbidden = False
        self.slow: threading.Event | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def variables(self) -> dict[str, str]:
        """What makes the clients of both come here."""
        return self.variables_for(self.url)

    @staticmethod
    def variables_for(url: str) -> dict[str, str]:
        """What makes them go to another address."""
        aws = {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        return aws | {"STORAGE_EMULATOR_HOST": url, "AWS_EC2_METADATA_DISABLED": "true"}

    def put(self, bucket: str, prefix: str, folder: Path) -> None:
        """The files of a folder as objects below a prefix."""
        for file in folder.iterdir():
            self.objects[bucket, f"{prefix}/{file.name}"] = file.read_bytes()

    def below(self, bucket: str, query: dict[str, str]) -> dict[str, int]:
        """Name to bytes of the objects that a listing shows: those of a prefix, up to a delimiter."""
        prefix, end = query.get("prefix", ""), query.get("delimiter")
        return {
            name: len(data)
            for (its, name), data in sorted(self.objects.items())
            if its == bucket and name.startswith(prefix)
            and not (end and end in name[len(prefix) :].rstrip(end))
        }  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    server: ObjectStore
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.server.asked.append(unquote(url.path))
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        parts = url.path.split("/")
        if "storage" in parts[:3] and self.server.forbidden:
            self._answer(403, b'{"error": {"code": 403, "message": "forbidden"}}', "application/json")
        elif "storage" in parts[:3]:
            self._google(parts[parts.index("b") + 1], list(map(unquote, parts[parts.index("b") + 3 :])), query)
        elif f"Credential={KEY}/" not in self.headers.get("authorization", ""):
            self._answer(403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
        else:
            self._s3(parts[1], unquote("/".join(parts[2:])), query)

    do_HEAD = do_GET

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def _s3(self, bucket: str, key: str, query: dict[str, str]) -> None:
        known = {its for its, _ in self.server.objects}
        if bucket not in known:
            self._answer(404, b"<Error><Code>NoSuchBucket</Code><Message>no such bucket</Message></Error>")
        elif not key:
            found = self.server.below(bucket, query)
            rows = "".join(
                f"<Contents><Key>{escape(name)}</Key><Size>{size}</Size>"
                "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
                for name, size in found.items()
            )
            head = f"<KeyCount>{len(found)}</KeyCount><IsTruncated>false</IsTruncated>"
            text = f"<ListBucketResult>{head}{rows}</ListBucketResult>"
            self._answer(200, text.encode(), "application/xml")
        elif (bucket, key) in self.server.objects:
            self._content(key, self.server.objects[bucket, key])
        else:
            self._answer(404, b"<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>")

    def _google(self, bucket: str, names: list[str], query: dict[str, str]) -> None:
        if (bucket, names[0] if names else "") in self.server.objects:
            data = self.server.objects[bucket, names[0]]
            if query.get("alt") == "media":
                self._content(names[0], data)
            else:
                self._answer(200, json.dumps(_facts(bucket, names[0], len(data))).encode(), "application/json")
        elif names or bucket not in {its for its, _ in self.server.objects}:
            self._answer(404, b'{"error": {"code": 404, "message": "not found"}}', "application/json")
        else:
            found = self.server.below(bucket, query)
            items = [_facts(bucket, name, size) for name, size in found.items()]
            self._answer(200, json.dumps({"items": items}).encode(), "application/json")

    def _content(self, name: str, data: bytes) -> None:
        given = self.headers.get("range")
        packed = {"content-encoding": "gzip"} if name in self.server.compressed else {}
        if given is None:
            return self._answer(200, data, headers=packed)
        first, _, last = given.removeprefix("bytes=").partition("-")
        if int(first) >= len(data):
            return self._answer(416, b"", headers={"content-range": f"bytes */{len(data)}"})
        end = min(int(last or len(data) - 1), len(data) - 1)
        span = f"bytes {first}-{end}/{len(data)}"
        self._answer(206, data[int(first) : end + 1], headers={"content-range": span, **packed})

    def _answer(
        self, code: int, body: bytes, kind: str = "application/octet-stream", headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(code)
        for name, value in {"content-type": kind, "content-length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.server.slow is not None and kind == "application/octet-stream":
            try:
                while body and not self.server.slow.wait(0.2):
                    self.wfile.write(body[:1])
                    body = body[1:]
            except OSError:  # the client has gone
                return
        self.wfile.write(body)


def _facts(bucket: str, name: str, size: int) -> dict[str, str]:
    """An object as Google's JSON API describes it."""
    return {"kind": "storage#object", "name": name, "bucket": bucket, "size": str(size), "generation": "1"}


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """A store without objects."""
    with ObjectStore() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
