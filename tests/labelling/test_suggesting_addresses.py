"""Addresses that are asked for suggestions: servers on loopback that are busy, slow, hostile, or not what they say."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest

from labelling.store import Store
from labelling.suggesting import address
from labelling.suggesting.address import TOKEN, Address
from labelling.suggesting.protocol import Reply
from modules.errors import InputError
from tests.labelling import shop
from tests.labelling.shop import NOW, TOTES
from tests.labelling.suggesting import PATIENT, fails, run, said, totes
from tests.labelling.test_serving import certificate


@contextmanager
def answering(
    *responses: Any, tls: ssl.SSLContext | None = None
) -> Iterator[tuple[str, list[tuple[str, dict[str, str], list[Any]]]]]:
    """A server that answers with (status, headers, body or function from the asked lines to it), the last one again
    and again; and what it was asked."""
    left, asked = list(responses), []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            lines = [orjson.loads(line) for line in self.rfile.read(int(self.headers["content-length"])).splitlines()]
            asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}, lines))
            code, headers, body = left.pop(0) if len(left) > 1 else left[0]
            data: bytes = body(lines) if callable(body) else body
            self.send_response(code)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)
            self.close_connection = True

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """A client that gives up is no failure of the test."""

    server = Quiet(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/suggest?v=1", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_an_address_is_posted_to_with_its_token(local: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, "s3cret")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with answering((200, {}, totes)) as (url, asked):
        outcome = run(local, Address(url, PATIENT), chunk=3, cost_per_product=0.5)
    assert (outcome.answered, outcome.cost) == (5, 2.5)
    assert [path for path, _, _ in asked] == ["/suggest?v=1"] * 2
    assert all(headers["authorization"] == "Bearer s3cret" for _, headers, _ in asked)
    assert [len(lines) for _, _, lines in asked] == [4, 3]


def test_busy_addresses_are_tried_again_and_others_are_not(local: Store) -> None:
    again = {"Retry-After": "0"}
    with answering((429, again, b""), (503, again, b"no"), (200, {}, totes)) as (url, asked):
        assert run(local, Address(url, PATIENT)).answered == 5
        assert len(asked) == 3
    with Store(local.name) as store, store.write() as connection:
        shop.importing.batch(connection, shop.batch(1, "round-2", first=9), NOW)
    for code, expected in ((400, "status 400"), (401, TOKEN), (404, "status 404")):
        with answering((code, again, b"")) as (url, asked):
            assert expected in fails(local, Address(url, PATIENT))
            assert len(asked) == 1
    with answering((503, again, b"")) as (url, asked):
        assert "4 times in a row" in fails(local, Address(url, PATIENT))
        assert len(asked) == address.ATTEMPTS


def test_redirects_are_not_followed(local: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, "s3cret")
    with answering((200, {}, totes)) as (target, reached), answering((307, {"Location": target}, b"")) as (url, asked):
        assert "redirects are not followed" in fails(local, Address(url, PATIENT))
    assert len(asked) == 1 and reached == [] and said(local) == {}


def test_an_answer_that_breaks_off_keeps_its_complete_lines(local: Store) -> None:
    line = orjson.dumps({"product_id": "p0", "category": TOTES}) + b'\n{"product_id": "p1"'
    with answering((200, {"Content-Length": "1000"}, line)) as (url, _):
        assert "broke off" in fails(local, Address(url, PATIENT))
    assert said(local) == {"p0": ("yes", TOTES)}


def test_thinking_may_take_longer_than_connecting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "_CONNECT", 0.2)
    thought = threading.Event()

    def slow(lines: Sequence[Any]) -> bytes:
        thought.wait(PATIENT)
        return totes(lines)

    question = orjson.dumps({"product_id": "p0"})
    with answering((200, {}, slow)) as (url, _), ThreadPoolExecutor(1) as pool:
        reply = pool.submit(Address(url, PATIENT), b"{}\n" + question)
        # Five times as long as connecting may take, it still waits.
        given_up, _ = wait([reply], timeout=1.0)
        thought.set()
        assert not given_up and reply.result(PATIENT) == Reply(totes([{}, orjson.loads(question)]))


def test_a_certificate_that_nobody_vouches_for_is_refused_before_anything_is_sent(
    local: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    with answering((200, {}, totes), tls=context) as (url, asked):
        url = url.replace("http://", "https://")
        assert "no certificate that can be trusted" in fails(local, Address(url, PATIENT)) and asked == []
        # It is another host's, too, under another name.
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        other = Address(url.replace("127.0.0.1", "localhost"), PATIENT)
        assert "no certificate that can be trusted" in fails(local, other) and asked == []
        assert run(local, Address(url, PATIENT)).answered == 5


def test_an_address_that_trickles_meets_the_deadline(local: Store) -> None:
    """A byte now and then keeps every single read in time."""
    import socket

    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def trickle() -> None:
        client, _ = listener.accept()
        with client:
            client.recv(1 << 16)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not stop.wait(0.1):
                try:
                    client.sendall(b" ")
                except OSError:
                    return

    thread = threading.Thread(target=trickle, daemon=True)
    thread.start()
    try:
        error = fails(local, Address(f"http://127.0.0.1:{listener.getsockname()[1]}/", 1.0))
    finally:
        stop.set()
        thread.join(PATIENT)
        listener.close()
    assert "did not answer in time" in error


@pytest.mark.parametrize(
    "url",
    ["ftp://127.0.0.1/", "127.0.0.1/x", "http://user:pass@127.0.0.1/", "http://", "file:///etc/passwd", "https://["],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(InputError, match="--url") as caught:
        Address(url, PATIENT)
    assert "pass" not in str(caught.value).replace("passwd", "")


def test_a_token_does_not_travel_unencrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, "s3cret")
    for url in ("http://classifier.example/", "http://10.0.0.7/", "http://localhost.example/"):
        with pytest.raises(InputError, match="unencrypted") as caught:
            Address(url, PATIENT)
        assert "s3cret" not in str(caught.value)
    Address("https://classifier.example/", PATIENT)
    Address("http://[::1]:8000/", PATIENT)
    monkeypatch.setenv(TOKEN, "two\nlines")
    with pytest.raises(InputError, match="one line"):
        Address("https://classifier.example/", PATIENT)
