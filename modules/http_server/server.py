"""Serves an application until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from modules.http_server import log
from modules.http_server.connection import Connection
from modules.http_server.limits import ConnectionLimits, room
from modules.http_server.table import Table

PAUSE = 0.2
"""Seconds without taking connections when the system has no file or memory for one."""
GRACE = 5
"""Seconds that requests may take to end when the server is stopped."""
MAX_HEADER = 32 << 10
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_NONE_LEFT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_log = logging.getLogger("shelfmark.http")


class Server(uvicorn.Server):
    """uvicorn's server, which takes connections as far as there is room, and leaves the others in the system's queue.

    asyncio's own way takes all there are until the process has no file left.

    Args:
      listener: listens already. most: connections at a time.
    """

    def __init__(self, config: uvicorn.Config, listener: socket.socket, limits: ConnectionLimits, most: int):
        super().__init__(config)
        self._listener, self._limits, self._most = listener, limits, most

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts the application, then takes connections."""
        await super().startup(sockets=[])
        self._loop = asyncio.get_running_loop()
        self._table = Table(self._limits, self._most)
        self._listener.setblocking(False)
        self._accepting = self._loop.create_task(self._accept())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes no more connections, and ends those that there are."""
        self._accepting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._accepting
        self._listener.close()
        # Who does not take an answer gets no more time than the others; so no request is left to be cancelled for it.
        self._loop.call_later(GRACE - 1, self._end_waiting)
        await super().shutdown(sockets=[])

    def _end_waiting(self) -> None:
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection) and connection.waits_since is not None:
                connection.end()

    async def _accept(self) -> None:
        while True:
            try:
                taken, address = await self._loop.sock_accept(self._listener)
            except OSError as error:
                # The others are of a connection that ended before it was taken.
                none_left = error.errno in _NONE_LEFT
                if none_left:
                    _log.error("no connection can be taken: %s", error.strerror)
                    self._table.close_any()
                await asyncio.sleep(PAUSE if none_left else 0)
                continue
            started = False
            try:
                started = await self._start(taken, str(address[0]))
            except Exception:
                # Whatever is wrong with one connection, others are taken.
                _log.exception("a connection could not be served")
            finally:
                if not started:
                    taken.close()
            # Others get their turn between two connections.
            await asyncio.sleep(0)

    async def _start(self, taken: socket.socket, address: str) -> bool:
        """Serves a connection once there is room; False if its address has too many."""
        if not self._table.admits(address):
            if self.config.ssl is None:
                with contextlib.suppress(OSError):
                    taken.send(BUSY)
                    taken.shutdown(socket.SHUT_WR)
            return False
        while not self._table.has_room():
            self._table.changed.clear()
            await self._table.changed.wait()
        connection = Connection(
            self._table, address, config=self.config, server_state=self.server_state,
            app_state=self.lifespan.state, _loop=self._loop,
        )  # fmt: skip
        connection.making = self._loop.create_task(self._make(connection, taken))
        return True

    async def _make(self, connection: Connection, taken: socket.socket) -> None:
        try:
            if self.config.ssl is None:
                await self._loop.connect_accepted_socket(lambda: connection, taken)
                return
            raw, _ = await self._loop.connect_accepted_socket(_Paused, taken)
            wait = self._limits.wait
            connection.raw = raw
            transport = await self._loop.start_tls(
                raw, connection, self.config.ssl, server_side=True,
                ssl_handshake_timeout=wait, ssl_shutdown_timeout=wait,
            )  # fmt: skip
            if transport is not None and not transport.is_closing():
                connection.connection_made(transport)
        except OSError:
            # No TLS, or it left.
            pass
        finally:
            if connection.transport is None:
                self._table.remove(connection)


class _Paused(asyncio.Protocol):
    """Reads nothing, until TLS takes the transport over."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()


class Undisturbed:
    """Middleware: that a client left while its request was read is no error; nobody is left to be answered."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(ClientDisconnect):
            await self.app(scope, receive, send)


def serve(
    app: ASGIApp,
    listener: socket.socket,
    limits: ConnectionLimits,
    certificate: Path | None = None,
    key: Path | None = None,
) -> None:
    """Serves until it is stopped.

    Args:
      app: An ASGI application.
      listener: Listens already (:func:`modules.http_server.listening.listen`); closed at the end.
      limits: The limits of connections.
      certificate: A PEM file; None: plain HTTP.
      key: The certificate's private key, a PEM file.

    Raises:
      InputError: The system allows too few open files.
    """
    most = room(limits)
    handler = log.set_up()

    async def report() -> None:
        handler.report()

    config = uvicorn.Config(
        Undisturbed(app),
        loop="asyncio",
        http="h11",
        # No page speaks WebSocket, and its connections would know no limits.
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        # What a client says of itself is no address to count by.
        proxy_headers=False,
        ssl_certfile=str(certificate) if certificate is not None else None,
        ssl_keyfile=str(key) if key is not None else None,
        timeout_graceful_shutdown=GRACE,
        h11_max_incomplete_event_size=MAX_HEADER,
        callback_notify=report,
        timeout_notify=1,
    )
    try:
        with _termination_is_success():
            Server(config, listener, limits, most).run()
    finally:
        handler.report(now=True)


@contextlib.contextmanager
def _termination_is_success() -> Iterator[None]:
    """SIGTERM ends the process with 0: when it has ended in order, uvicorn raises the signal once more, which would
    kill it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: object) -> None:
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
