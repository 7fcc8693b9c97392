"""Both servers in processes of their own, and clients that behave badly."""

from __future__ import annotations

import os
import random
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from labelling.store import Store
from tests.api.shops import write
from tests.servers import free_port

ROOT = Path(__file__).parents[3]
DEADLINE = 60.0
"""Seconds after which something that has to happen has not."""


class Attacked:
    """A running server.

    Args:
      kind: ``label`` or ``similar``. files: that it may have open; None: as many as this process.
    """

    def __init__(self, folder: Path, kind: str, *options: str, files: int | None = 128):
        self.kind, self.port, self.log = kind, free_port(), folder / "log"
        self.health, self.posted = ("/health", "/sign-in") if kind == "label" else ("/healthz", "/v1/similar")
        if kind == "label":
            Store(folder / "labels.sqlite").close()
            command = ["label", "serve", "--store", str(folder / "labels.sqlite")]
        else:
            command = ["similar", "serve", "--index", str(write(folder / "index"))]

        def limited() -> None:
            if files is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "shelfmark", *command, "--port", str(self.port), *options],
                stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT, preexec_fn=limited,
            )  # fmt: skip
        assert self.process.stdout is not None
        if not any(" at http" in line for line in self.process.stdout):
            raise AssertionError(f"it ended with {self.process.wait()}: {self.log.read_text()}")
        self.url = f"http://127.0.0.1:{self.port}"
        if "--certificate" not in options:
            with self.connect() as one:
                one.sendall(self.head("GET", self.health))
                assert one.recv(1000).startswith(b"HTTP/1.1 200 ")
                self.sockets_at_rest = self.sockets() - 1

    def answers(self) -> float:
        """Asks once, on a connection of its own; the seconds that it took."""
        start = time.monotonic()
        assert httpx.get(self.url + self.health, timeout=DEADLINE).status_code == 200
        return time.monotonic() - start

    def files(self) -> list[str]:
        """What the process has open."""
        found = []
        for one in Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                found.append(os.readlink(one))
            except FileNotFoundError:
                continue
        return found

    def sockets(self) -> int:
        return sum(one.startswith("socket:") for one in self.files())

    def memory(self, what: str = "VmHWM") -> int:
        """MiB, at most so far (or now: ``VmRSS``)."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) // 1024 for line in lines if line.startswith(what))

    def is_well(self, log_bytes: int = 8 << 10) -> None:
        """It answers, has let go of all connections, and its log is short and without tracebacks."""
        until(lambda: self.sockets() <= self.sockets_at_rest, "connections are still open")
        self.answers()
        text = self.log.read_text()
        assert "Traceback" not in text and "Exception" not in text and "rror:" not in text, text
        assert len(text) < log_bytes, text

    def connect(self, host: str = "127.0.0.1", receive: int | None = None) -> socket.socket:
        """A connection from an address of loopback; ``receive``: bytes of its buffer."""
        found = socket.socket()
        if receive is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        found.settimeout(DEADLINE)
        found.bind((host, 0))
        found.connect(("127.0.0.1", self.port))
        return found

    def head(self, method: str, path: str, *more: str) -> bytes:
        """A request's header."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *more]
        return "\r\n".join([*lines, "", ""]).encode()

    def post(self, length: int) -> bytes:
        """The header of a request with a body of so many bytes."""
        kind = "application/x-www-form-urlencoded" if self.kind == "label" else "application/json"
        return self.head("POST", self.posted, f"Content-Type: {kind}", f"Content-Length: {length}")

    def stop(self) -> int:
        """Stops it as Ctrl+C does; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(timeout=DEADLINE)
        finally:
            self.process.kill()


@contextmanager
def attacked(folder: Path, kind: str, *options: str, files: int | None = 128) -> Iterator[Attacked]:
    found = Attacked(folder, kind, *options, files=files)
    try:
        yield found
    finally:
        found.stop()


def until(condition: Callable[[], bool], what: str, seconds: float = DEADLINE) -> None:
    """Waits for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        select.select([], [], [], 0.02)


def is_closed(one: socket.socket, seconds: float = 0.0) -> bool:
    """Whether the server closes the connection within that time; what it sends before is dropped."""
    end = time.monotonic() + seconds
    while True:
        readable, _, _ = select.select([one], [], [], max(end - time.monotonic(), 0.0))
        if not readable:
            return False
        try:
            if not one.recv(1 << 16):
                return True
        except OSError:
            return True


def send(one: socket.socket, data: bytes) -> None:
    """Sends as long as the server takes it."""
    with suppress(OSError):
        one.sendall(data)


def leave(one: socket.socket, abruptly: bool) -> None:
    """Closes the connection, abruptly: with a reset."""
    if abruptly:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)
