"""A server's socket: taken, refused, and without Nagle's delay where asyncio serves it."""

from __future__ import annotations

import asyncio
import socket

import pytest

from modules.errors import InputError
from modules.http_server.listening import listen


def test_answers_are_not_held_back() -> None:
    async def of_a_connection() -> int:
        seen: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def taken(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            seen.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listener = listen("127.0.0.1", 0)
        async with await asyncio.start_server(taken, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            found = await seen
            writer.close()
            return found

    assert asyncio.run(of_a_connection()) != 0


def test_a_port_that_is_taken_is_said() -> None:
    with listen("127.0.0.1", 0) as first, pytest.raises(InputError, match="--port"):
        listen("127.0.0.1", first.getsockname()[1])
    with pytest.raises(InputError, match="cannot listen there"):
        listen("192.0.2.1", 0)
