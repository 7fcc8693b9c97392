"""The socket that a server listens on."""

from __future__ import annotations

import socket

from modules.errors import InputError, Problem

WAITING = 2048
"""Connections that wait for the server to take them, at most."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections from here on; 0: any free port.

    Raises:
      InputError: the port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol left at 0, asyncio would not know that it is TCP, and leave Nagle's algorithm on: 40 ms more for
    # every answer of two parts.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(WAITING)
    except OSError as error:
        listener.close()
        value = f"{host}:{port}"
        raise InputError(Problem("--port", f"cannot listen there: {error.strerror}", value=value)) from None
    return listener
