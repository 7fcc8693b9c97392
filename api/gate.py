"""What stands before every route of the API: the token, the host's name, and the metrics of every request."""

from __future__ import annotations

import time
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.rate import RateLimit
from api.refusals import Refused, refusal
from api.similarity.metrics import Metrics
from api.tokens import Clients
from modules.counting import counted
from modules.http_server.gate import Gate, loopback_hosts

OPEN_PATHS = ("/healthz", "/readyz")
"""Paths that need no token."""


SCOPE_OF = {
    "/v1/classify": "classify",
    "/v1/products": "read",
    "/v1/categories": "read",
    "/v1/similar": "similar",
    "/v1/reload": "similar",
}
"""Beginning of a path to the scope that it needs; other paths need a token of any scope."""


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
      clients: Who has a token; None: no token is needed.
      port: The server's port on loopback without a token, where only loopback's own names are answered; None: any name
        is.
      rate: How many requests each client may send; None: as many as it likes.
    """

    clients: Clients | None = None
    port: int | None = None
    rate: RateLimit | None = None


class TokenGate(Gate):
    """Refuses requests without a token of the right scope, too many, and those to a foreign name of loopback."""

    def __init__(self, app: ASGIApp, access: Access):
        super().__init__(app, None if access.port is None else loopback_hosts(access.port))
        self._access = access

    async def refusal(self, request: Request) -> Response | None:
        """421 for a foreign name, 401 without a token, 403 for one of another scope, 429 for too many requests."""
        if not self.knows_host(request):
            expected = "127.0.0.1 or localhost"
            return refusal(Refused(421, "this server is not called that", "header host", expected))
        # The path that the routes see, never the URL's, which is put together with the client's Host header.
        path: str = request.scope["path"]
        clients = self._access.clients
        if clients is None or path in OPEN_PATHS:
            return None
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        client = clients.of_token(token.strip()) if kind.lower() == "bearer" else None
        if client is None:
            next_ = "send -H 'authorization: Bearer TOKEN'"
            error = Refused(401, "no or a wrong token", "header authorization", "the server's token", next_)
            return refusal(error, {"www-authenticate": "Bearer"})
        scope = SCOPE_OF.get("/".join(path.split("/")[:3]))
        if scope is not None and scope not in client.scopes:
            expected = f"a token with the scope {scope}"
            next_ = f"shelfmark serve token NAME --scope {scope} makes one"
            return refusal(Refused(403, "the token is not for this", "header authorization", expected, next_))
        wait = 0 if self._access.rate is None else self._access.rate.wait(client.name)
        if wait:
            next_ = f"try again in {counted(wait, 'second')}"
            error = Refused(429, "too many requests with this token", "header authorization", "fewer a second", next_)
            return refusal(error, {"retry-after": str(wait)})
        return None


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
