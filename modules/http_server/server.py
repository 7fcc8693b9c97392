"""Serves an application until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from pathlib import Path
from typing import Any

import uvicorn

from modules.http_server import log
from modules.http_server.connections import Connection, Table
from modules.http_server.limits import Limits, room

AT_ONCE = 16
"""Connections taken before others get their turn."""
PAUSE = 1.0
"""Seconds without taking connections when the system has no file or memory for one."""
MAX_HEADER = 32 << 10
_NONE_LEFT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_log = logging.getLogger("shelfmark.http")


class Server(uvicorn.Server):
    """uvicorn's server, with another way to take connections: one at a time, as far as there is room.

    Args:
      listener: listens already. most: connections at a time.
    """

    def __init__(self, config: uvicorn.Config, listener: socket.socket, limits: Limits, most: int):
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
        await super().shutdown(sockets)

    async def _accept(self) -> None:
        ready = asyncio.Event()
        self._loop.add_reader(self._listener, ready.set)
        try:
            while True:
                await ready.wait()
                # Others come in between; whoever waits longer stays in the system's queue.
                for _ in range(AT_ONCE):
                    while not self._table.has_room():
                        self._loop.remove_reader(self._listener)
                        self._table.freed.clear()
                        await self._table.freed.wait()
                        self._loop.add_reader(self._listener, ready.set)
                    if not await self._take():
                        ready.clear()
                        break
                await asyncio.sleep(0)
        finally:
            self._loop.remove_reader(self._listener)

    async def _take(self) -> bool:
        """Takes a connection; False if there is none."""
        try:
            taken, address = self._listener.accept()
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            # The others are of a connection that ended before it was taken.
            if error.errno in _NONE_LEFT:
                _log.error("no connection can be taken: %s", error.strerror)
                self._loop.remove_reader(self._listener)
                await asyncio.sleep(PAUSE)
                self._loop.add_reader(self._listener, lambda: None)
            return True
        taken.setblocking(False)
        connection = Connection(
            self._table, str(address[0]), config=self.config, server_state=self.server_state,
            app_state=self.lifespan.state, _loop=self._loop,
        )  # fmt: skip
        connection.making = self._loop.create_task(self._make(connection, taken))
        return True

    async def _make(self, connection: Connection, taken: socket.socket) -> None:
        ssl: dict[str, Any] = {}
        if self.config.ssl is not None:
            ssl = {"ssl": self.config.ssl, "ssl_handshake_timeout": self._limits.header}
        try:
            await self._loop.connect_accepted_socket(lambda: connection, taken, **ssl)
        except OSError:
            # No TLS, or it left.
            pass
        finally:
            if connection.transport is None:
                self._table.remove(connection)


def serve(
    app: Any, listener: socket.socket, limits: Limits, certificate: Path | None = None, key: Path | None = None
) -> None:
    """Serves until it is stopped.

    Args:
      app: an ASGI application. listener: listens already, see :func:`modules.listening.listen`.
      certificate, key: PEM files; None: plain HTTP.

    Raises:
      InputError: the system allows too few open files.
    """
    most = room(limits.reserve)
    handler = log.set_up()

    async def report() -> None:
        handler.report()

    config = uvicorn.Config(
        app,
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
        timeout_keep_alive=max(int(limits.idle), 1),
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=MAX_HEADER,
        callback_notify=report,
        timeout_notify=1,
    )
    try:
        Server(config, listener, limits, most).run()
    finally:
        handler.report(now=True)
