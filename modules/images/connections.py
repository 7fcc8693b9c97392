"""Connections to addresses that were checked, kept open for the next image, and cut when their time is up."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from urllib3.connection import HTTPConnection, HTTPSConnection

from modules.images.references import WebAddress

Connection = HTTPConnection
_TICK = 0.2
"""Seconds; how late a connection may be cut."""


class Connections:
    """Open connections by scheme, host, port and address; for many threads.

    The name of the host goes into the certificate's check and into TLS's server name; the connection is made to the
    address alone, and no proxy is asked.
    """

    def __init__(self, idle: int, connect_timeout: float, tls: ssl.SSLContext | None = None):
        """``idle``: connections kept open at most while nobody uses them."""
        self._limit = idle
        self._timeout = connect_timeout
        self._tls = tls or ssl.create_default_context()
        self._idle: dict[tuple[str, str, int, str], list[Connection]] = {}
        self._count = 0
        self._lock = threading.Lock()

    def take(self, address: WebAddress, ip: str) -> tuple[Connection, bool]:
        """A connection, and whether it was used before (then the host may have closed it meanwhile)."""
        key = address.scheme, address.host, address.port, ip
        with self._lock:
            kept = self._idle.get(key)
            while kept:
                self._count -= 1
                connection = kept.pop()
                if connection.is_connected:
                    return connection, True
                connection.close()
        if address.scheme == "http":
            return HTTPConnection(ip, address.port, timeout=self._timeout), False
        return (
            HTTPSConnection(
                ip, address.port, timeout=self._timeout, ssl_context=self._tls, server_hostname=address.host
            ),
            False,
        )

    def give_back(self, address: WebAddress, ip: str, connection: Connection) -> None:
        """Keeps a connection whose answer was read to its end."""
        with self._lock:
            if connection.sock is not None and self._count < self._limit:
                self._idle.setdefault((address.scheme, address.host, address.port, ip), []).append(connection)
                self._count += 1
                return
        connection.close()

    def close(self) -> None:
        """Closes those that nobody uses."""
        with self._lock:
            for kept in self._idle.values():
                for connection in kept:
                    connection.close()
            self._idle.clear()
            self._count = 0


class Deadlines:
    """Cuts connections at a time: a host that sends a byte now and then never meets a read timeout."""

    def __init__(self) -> None:
        self._watched: dict[int, tuple[float, socket.socket]] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._number = 0

    @contextmanager
    def until(self, deadline: float, sock: socket.socket) -> Iterator[None]:
        """Within it, ``sock`` is shut down at ``deadline`` (of ``time.monotonic()``)."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="image-deadlines", daemon=True)
                self._thread.start()
            self._number += 1
            number = self._number
            if self._closed.is_set():
                _cut(sock)
            else:
                self._watched[number] = deadline, sock
        try:
            yield
        finally:
            with self._lock:
                self._watched.pop(number, None)

    def _watch(self) -> None:
        while not self._closed.wait(_TICK):
            now = time.monotonic()
            with self._lock:
                for number in [n for n, (deadline, _) in self._watched.items() if deadline <= now]:
                    _cut(self._watched.pop(number)[1])

    def close(self) -> None:
        """Cuts all at once: nobody would do it later."""
        with self._lock:
            self._closed.set()
            for _, sock in self._watched.values():
                _cut(sock)
            self._watched.clear()


def _cut(sock: socket.socket) -> None:
    # The plain socket's method: SSLSocket's own would take the session from under the reader.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
