"""Slow, silent and broken clients against both servers, over sockets: others are served, and nothing is left behind."""

from __future__ import annotations

import json
import resource
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest

from labelling.store import Store, accounts
from labelling.store.database import now
from tests.labelling.test_serving import certificate
from tests.modules.http_server.attacked import DEADLINE, Attacked, attacked, is_closed, leave, noise, send, until

WAIT = 1.0
"""Seconds that these servers wait for a client."""
HALF_OPEN = 200
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module", params=["label", "similar"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    with attacked(tmp_path_factory.mktemp(request.param), request.param, "--client-timeout", str(WAIT)) as found:
        yield found


def half_open(server: Attacked, stack: ExitStack, hosts: int, number: int = HALF_OPEN) -> list[socket.socket]:
    """Connections from so many addresses, each with the beginning of a request."""
    found = []
    for i in range(number):
        one = stack.enter_context(server.connect(f"127.0.0.{2 + i % hosts}"))
        send(one, b"GET / HTTP/1.1\r\nHost: x\r\n")
        found.append(one)
    return found


def longest(server: Attacked) -> int:
    """Bytes of the longest body that it takes."""
    return 64 << 10 if server.kind == "label" else 8 << 20


@pytest.mark.parametrize("hosts", [1, 20, HALF_OPEN])
def test_half_open_connections_keep_nobody_out(server: Attacked, hosts: int) -> None:
    with ExitStack() as stack:
        opened = half_open(server, stack, hosts)
        for _ in range(5):
            assert server.answers() < 10
        assert len(server.files()) < 128
        # Without anybody else in need of room they are closed, too.
        assert all(is_closed(one, DEADLINE) for one in opened)
        server.is_well()


@pytest.mark.parametrize(
    "pieces",
    [
        "nothing",
        "a header",
        "a header, byte by byte",
        "a body",
        "a body, byte by byte",
        "nearly a body",
    ],
)
def test_who_takes_too_long_is_closed(server: Attacked, pieces: str) -> None:
    size = longest(server)
    header = server.post(size)
    with server.connect() as one:
        if "body" in pieces:
            send(one, header + b"a" * (size - 1 if pieces.startswith("nearly") else 1))
        elif pieces == "a header":
            send(one, header[:-1])
        start = time.monotonic()
        while not is_closed(one, 0.1):
            assert time.monotonic() < start + DEADLINE
            if "byte by byte" in pieces:
                send(one, b"a")
        assert time.monotonic() > start + WAIT / 2
    server.is_well()


def test_a_slow_one_is_told_so(server: Attacked) -> None:
    with server.connect() as one:
        send(one, server.post(10) + b"a")
        assert one.recv(1000).startswith(b"HTTP/1.1 408 ")


@pytest.mark.slow
def test_a_connection_may_pause_between_requests_for_some_seconds(server: Attacked) -> None:
    client = HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
    client.connect()
    with client.sock as one:
        for _ in range(3):
            client.request("GET", server.health)
            assert client.getresponse().read()
            assert client.sock is one
        assert not is_closed(one)
        assert is_closed(one, DEADLINE)
    server.is_well()


@pytest.mark.slow
def test_who_is_fast_enough_is_served_however_long_it_takes(server: Attacked) -> None:
    size, rate = 60_000, 24 << 10
    body = (b"name=" if server.kind == "label" else b"[").ljust(size, b" ")
    with server.connect() as one:
        send(one, server.post(size))
        start = time.monotonic()
        while body:
            sent = size - len(body)
            if time.monotonic() - start >= sent / rate:
                send(one, body[:4096])
                body = body[4096:]
            else:
                assert not is_closed(one, 0.02)
        assert time.monotonic() - start > WAIT
        assert one.recv(1000)[:12] in (b"HTTP/1.1 401", b"HTTP/1.1 400")


def big(server: Attacked) -> bytes:
    """A request whose answer is longer than the system's buffers (``similar``), or many with short ones."""
    if server.kind == "label":
        return server.head("GET", "/static/page.css") * 2000
    query = {"queries": [{"id": f"p{1 + i % 199}"} for i in range(256)], "k": 199}
    body = json.dumps(query).encode()
    return server.post(len(body)) + body


@pytest.mark.slow
def test_answers_that_nobody_takes_are_dropped(server: Attacked) -> None:
    with ExitStack() as stack:
        senders = []
        for i in range(8):
            one = stack.enter_context(server.connect(f"127.0.0.{2 + i}", receive=4096))
            senders.append(threading.Thread(target=send, args=(one, big(server))))
            senders[-1].start()
        until(lambda: server.sockets() > server.sockets_at_rest, "no connection was taken")
        assert server.answers() < 20
        server.is_well()
        for sender in senders:
            sender.join(timeout=DEADLINE)
            assert not sender.is_alive()
    assert "does not take its answer" in server.log.read_text()


@pytest.mark.slow
# The other one has no answers beyond the system's buffers.
@pytest.mark.parametrize("server", ["similar"], indirect=True)
def test_an_answer_that_is_taken_slowly_arrives_whole(server: Attacked) -> None:
    whole = httpx.post(server.url + "/v1/similar", content=big(server).partition(b"\r\n\r\n")[2],
                       headers={"content-type": "application/json"}, timeout=DEADLINE).content  # fmt: skip
    assert len(whole) > 4 << 20
    with server.connect(receive=64 << 10) as one:
        send(one, big(server))
        found, start = bytearray(), time.monotonic()
        while not found.endswith(whole[-100:]):
            # Two megabytes a second: longer than the server waits for one that takes nothing.
            until(lambda: time.monotonic() - start >= len(found) / (2 << 20), "")  # noqa: B023
            piece = one.recv(64 << 10)
            assert piece, f"closed after {len(found):,} bytes"
            found += piece
        assert found.endswith(whole) and time.monotonic() - start > WAIT
    server.is_well()


@pytest.mark.slow
@pytest.mark.parametrize("abruptly", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
def test_leaving_at_any_moment_leaves_nothing_behind(server: Attacked, abruptly: bool, chunked: bool) -> None:
    if chunked:
        body = b"5\r\nname=\r\n3;x=y\r\nann\r\n0\r\n\r\n"
        whole = server.post(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + body
    else:
        whole = server.post(300) + b"name=ann&to=/".ljust(300, b" ")
    for cut in [*range(0, len(whole), 7), len(whole)]:
        one = server.connect()
        one.sendall(whole[:cut])
        leave(one, abruptly)
    for _ in range(20):
        # In the middle of an answer.
        one = server.connect(receive=4096)
        one.sendall(big(server)[: 50_000 if server.kind == "label" else None])
        one.recv(10)
        leave(one, abruptly)
    server.is_well()


def garbage(server: Attacked) -> list[bytes]:
    good = server.head("GET", server.health)
    bad = [
        b"\r\n" * 100, b"\0" * 100, noise(1, 10_000), b"GET", b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + noise(2, 500),
        b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 10_000, b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
        b"GET \xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        server.post(5).replace(b"Length: 5", b"Length: -5") + b"name=",
        server.post(5).replace(b"Content-Length: 5", b"Content-Length: 5\r\nContent-Length: 6") + b"name=a",
        server.post(5).replace(b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"zz\r\nname",
        server.post(5).replace(b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"5\r\nname=" + noise(3, 100),
        server.post(5).replace(b"Content-Length: 5", b"Transfer-Encoding: chunked\r\nContent-Length: 5") + b"0\r\n\r\n",
        server.post(5).replace(b"Content-Length: 5", b"Content-Length: 5\r\nExpect: 100-continue"),
        server.head("GET", server.health, "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
        server.head("GET", server.health, "Content-Length: 1000000") + b"a" * 5000,
        server.head("BREW", "/"), server.head("CONNECT", "example.com:443"), server.head("GET", "http://[/"),
    ]  # fmt: skip
    return [*bad, *(good + one for one in bad), *(one[: len(one) // 2] + good for one in bad)]


def test_garbage_also_behind_good_requests_is_refused(server: Attacked) -> None:
    with ExitStack() as stack:
        for data in garbage(server):
            one = stack.enter_context(server.connect())
            send(one, data)
            with server.connect() as leaving:
                send(leaving, data)
        assert server.answers() < 10
    server.is_well()


@pytest.mark.slow
def test_it_goes_on_after_the_system_had_no_file_left(server: Attacked) -> None:
    pid = server.process.pid
    limit = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, limit[1]))
    try:
        with ExitStack() as stack:
            half_open(server, stack, 3, 20)
            until(lambda: "no connection can be taken" in server.log.read_text(), "no word in the log")
            before = server.log.stat().st_size
            waiting = stack.enter_context(server.connect())
            send(waiting, server.head("GET", server.health))
            assert not is_closed(waiting, 3 * WAIT)
            assert server.log.stat().st_size < before + 2000
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
            # Who came meanwhile is served.
            assert waiting.recv(100).startswith(b"HTTP/1.1 200 ")
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
    server.is_well()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["label", "similar"])
def test_it_ends_at_once_whoever_keeps_it_waiting(tmp_path: Path, kind: str) -> None:
    with attacked(tmp_path, kind) as server, ExitStack() as stack:
        half_open(server, stack, 5, 10)
        for _ in range(5):
            send(stack.enter_context(server.connect()), server.post(1000) + b"a" * 10)
        reader = stack.enter_context(server.connect(receive=4096))
        sending = threading.Thread(target=send, args=(reader, big(server)))
        sending.start()
        until(lambda: server.sockets() >= server.sockets_at_rest + 16, "not all are connected")
        server.answers()
        start = time.monotonic()
        assert server.stop() in (0, -signal.SIGINT, 128 + signal.SIGINT)
        assert time.monotonic() - start < 20
        assert "Traceback" not in server.log.read_text(), server.log.read_text()
        sending.join(timeout=DEADLINE)


@pytest.mark.slow
def test_one_address_leaves_room_for_others(tmp_path: Path) -> None:
    with attacked(tmp_path, "similar", "--connections-per-address", "5") as server, ExitStack() as stack:
        opened = half_open(server, stack, 1, 30)
        until(lambda: sum(is_closed(one) for one in opened) >= 25, "more are open than one address may have")
        assert not any(is_closed(one) for one in opened[-5:])
        assert server.sockets() == server.sockets_at_rest + 5
        server.answers()
        assert not any(is_closed(one) for one in opened[-5:])


@pytest.mark.slow
@pytest.mark.parametrize("trusted", ["127.0.0.9", "10.0.0.0/8"])
def test_a_trusted_proxy_speaks_for_many(tmp_path: Path, trusted: str) -> None:
    with Store(tmp_path / "labels.sqlite") as store, store.write() as connection:
        accounts.put(connection, "boss", now(), password=PASSWORD, role="admin")
    options = ("--accounts", "--trusted-proxy", trusted, "--connections-per-address", "3")
    with attacked(tmp_path, "label", *options) as server, ExitStack() as stack:
        opened = [stack.enter_context(server.connect("127.0.0.9")) for _ in range(12)]
        for one in opened:
            send(one, server.post(100) + b"name=")
        kept = 12 if trusted == "127.0.0.9" else 3
        # Who sent too early to a closed one has it closed already; the others learn of it in their own time.
        until(lambda: sum(is_closed(one) for one in opened) >= 12 - kept, f"fewer than {12 - kept} were closed")
        until(lambda: server.sockets() == server.sockets_at_rest + kept, f"not {kept} are open")
        assert sum(is_closed(one) for one in opened) == 12 - kept


@pytest.mark.slow
def test_with_tls_the_same(tmp_path: Path) -> None:
    file, key = certificate(tmp_path)
    options = ("--certificate", str(file), "--key", str(key), "--client-timeout", str(WAIT))
    context = ssl.create_default_context(cafile=str(file))
    with attacked(tmp_path, "label", *options) as server, ExitStack() as stack:
        server.url = server.url.replace("http:", "https:")

        def ask() -> None:
            with httpx.Client(verify=context, timeout=DEADLINE) as http:
                for _ in range(3):
                    answer = http.get(server.url + "/static/page.css")
                    assert answer.status_code == 200 and int(answer.headers["content-length"]) == len(answer.content)

        ask()
        until(lambda: server.sockets() <= 4, "a connection is still open")
        at_rest = server.sockets()
        opened = [stack.enter_context(server.connect(f"127.0.0.{2 + i % 50}")) for i in range(HALF_OPEN)]
        for i, one in enumerate(opened):
            send(
                one, [b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", noise(i, 300), b"GET / HTTP/1.1\r\n"][i % 4]
            )
        ask()
        assert all(is_closed(one, DEADLINE) for one in opened)
        # Behind the handshake: half a request, and answers that nobody takes.
        half = stack.enter_context(context.wrap_socket(server.connect(), server_hostname="127.0.0.1"))
        half.sendall(b"GET / HTTP/1.1\r\n")
        reader = stack.enter_context(
            context.wrap_socket(server.connect("127.0.0.3", receive=4096), server_hostname="127.0.0.1")
        )
        sending = threading.Thread(target=send, args=(reader, server.head("GET", "/static/page.css") * 2000))
        sending.start()
        ask()
        until(lambda: server.sockets() <= at_rest, "connections are still open")
        sending.join(timeout=DEADLINE)
        ask()
        text = server.log.read_text()
        assert "Traceback" not in text and len(text) < 8192, text


# Minutes long, with the limits that users have.


@pytest.fixture(params=["label", "similar"])
def usual(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Attacked]:
    with attacked(tmp_path, request.param) as found:
        yield found


def asking(server: Attacked, seconds: float, attack: Callable[[], None]) -> float:
    """Attacks again and again, in four threads, while somebody asks; the longest time that an answer took."""
    end, slowest, asked = time.monotonic() + seconds, 0.0, 0

    def go_on() -> None:
        while time.monotonic() < end:
            attack()

    threads = [threading.Thread(target=go_on) for _ in range(4)]
    for thread in threads:
        thread.start()
    while time.monotonic() < end:
        slowest, asked = max(slowest, server.answers()), asked + 1
    for thread in threads:
        thread.join(timeout=DEADLINE)
    assert asked > 5
    return slowest


@pytest.mark.slow
@pytest.mark.attack
def test_a_minute_of_half_open_connections(usual: Attacked, record_property: Callable[[str, object], None]) -> None:
    before = usual.memory()

    def attack() -> None:
        with ExitStack() as stack:
            for one in half_open(usual, stack, 50):
                send(one, b"x: y\r\n")

    slowest = asking(usual, 60, attack)
    print(f"{usual.kind}: slowest {slowest:.2f} s, log {usual.log.stat().st_size:,} bytes, "
          f"{usual.memory() - before} MiB more")  # fmt: skip
    assert slowest < 10 and usual.memory() - before < 100
    usual.is_well()


@pytest.mark.slow
@pytest.mark.attack
@pytest.mark.parametrize("kind", ["label", "similar"])
def test_bodies_that_never_end(tmp_path: Path, kind: str) -> None:
    with attacked(tmp_path, kind, files=None) as server, ExitStack() as stack:
        before, size = server.memory(), longest(server)
        body, senders = b" " * (size - 1), []
        for i in range(HALF_OPEN):
            one = stack.enter_context(server.connect(f"127.0.0.{2 + i % 20}"))
            senders.append(threading.Thread(target=send, args=(one, server.post(size) + body)))
            senders[-1].start()
        slowest, start = server.answers(), time.monotonic()
        while server.sockets() > server.sockets_at_rest + 1 or any(sender.is_alive() for sender in senders):
            slowest = max(slowest, server.answers())
            assert time.monotonic() - start < 3 * DEADLINE
        more = server.memory() - before
        print(f"{kind}: slowest {slowest:.2f} s, log {server.log.stat().st_size:,} bytes, {more} MiB more at the peak")
        assert slowest < 10 and more < 700
        server.is_well()


@pytest.mark.slow
@pytest.mark.attack
def test_eighty_answers_that_nobody_takes(tmp_path: Path) -> None:
    with attacked(tmp_path, "similar", files=None) as server, ExitStack() as stack:
        before, slowest = server.memory(), 0.0
        for i in range(80):
            one = stack.enter_context(server.connect(f"127.0.0.{2 + i % 20}", receive=4096))
            send(one, big(server))
        end = time.monotonic() + 2 * DEADLINE
        while server.sockets() > server.sockets_at_rest + 1 and time.monotonic() < end:
            slowest = max(slowest, server.answers())
        more = server.memory() - before
        print(f"slowest {slowest:.2f} s, log {server.log.stat().st_size:,} bytes, {more} MiB more at the peak")
        assert more < 700
        server.is_well()
