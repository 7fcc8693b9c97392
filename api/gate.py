"""What stands before every route of the API: the token, the host's name, and the metrics of every request."""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.refusals import Refused, refusal
from api.similarity.metrics import Metrics
from modules.http_server.gate import Gate, loopback_hosts

OPEN_PATHS = ("/healthz", "/readyz")
"""Paths that need no token."""


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
      token: The token that every request must bring; None: none is needed.
      port: The server's port on loopback without a token, where only loopback's own names are answered; None: any name
        is.
    """

    token: str | None = None
    port: int | None = None


class TokenGate(Gate):
    """Refuses requests without the server's token, and those to a foreign name of loopback."""

    def __init__(self, app: ASGIApp, access: Access):
        super().__init__(app, None if access.port is None else loopback_hosts(access.port))
        self._token = access.token

    async def refusal(self, request: Request) -> Response | None:
        """421 for a foreign name, 401 without the token."""
        if not self.knows_host(request):
            expected = "127.0.0.1 or localhost"
            return refusal(Refused(421, "this server is not called that", "header host", expected))
        if self._token is None or request.url.path in OPEN_PATHS:
            return None
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        is_right = hmac.compare_digest(token.strip().encode(), self._token.encode())
        if kind.lower() == "bearer" and is_right:
            return None
        next_ = "send -H 'authorization: Bearer TOKEN'"
        error = Refused(401, "no or a wrong token", "header authorization", "the server's token", next_)
        return refusal(error, {"www-authenticate": "Bearer"})


class Measured:
    """ASGI middleware that counts requests by route and status, and measures how long they take."""

    def __init__(self, app: ASGIApp, metrics: Metrics):
        self.app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_noting_status)
        finally:
            # The template of the path, never the path: ids would make a series each.
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - started)
