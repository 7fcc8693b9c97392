"""What stands before every route of a server: whether a request is answered at all, and what every answer carries."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")

Header = tuple[bytes, bytes]
NO_SNIFFING: Header = (b"x-content-type-options", b"nosniff")
"""Browsers take an answer as what its content type says, and as nothing else."""


class Gate:
    """ASGI middleware that may refuse a request, and adds headers to every answer.

    No route speaks WebSocket, so only HTTP requests and the lifespan's messages pass. A server derives a class of its
    own, which says what it refuses and which headers it adds.

    Args:
      app: The application behind the gate.
      hosts: The values of the Host header that are answered (:func:`loopback_hosts`); None: any.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None = None):
        self.app, self.hosts = app, hosts

    async def refusal(self, request: Request) -> Response | None:
        """The answer to a request that is refused; None for one that may pass."""
        raise NotImplementedError

    def headers(self, request: Request) -> Sequence[Header]:
        """The headers that are added to the answer, in lower case."""
        return (NO_SNIFFING,)

    def knows_host(self, request: Request) -> bool:
        """Tells whether the server goes by the name that the request uses."""
        return self.hosts is None or request.headers.get("host", "") in self.hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        added = self.headers(request)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        answer = await self.refusal(request)
        await (self.app if answer is None else answer)(scope, receive, send_with_headers)


def loopback_hosts(port: int | None) -> frozenset[str]:
    """The Host headers of a server that whoever reaches loopback may use. A foreign name that points there (DNS
    rebinding) is the page of somebody else asking."""
    return frozenset({*LOOPBACK_NAMES, *(f"{name}:{port}" for name in LOOPBACK_NAMES)})


async def read_body(request: Request, max_bytes: int) -> bytes | None:
    """Reads the body of a request.

    Args:
      request: The request, whose body nobody has read yet.
      max_bytes: The longest body that is read.

    Returns:
      The body; None if it is longer.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            return None
    return bytes(body)
