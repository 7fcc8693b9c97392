"""The HTTP endpoint: routes, and what stands before them."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import FastAPI, Query
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.refusals import Refused, answer, refusal
from api.similarity import answers
from api.similarity.engine import Engine
from api.similarity.requests import Similar, read_similar, require_json, valid
from modules.errors import InputError, shorten

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
OPEN = ("/healthz", "/readyz")
"""Paths that need no token."""

_log = logging.getLogger("shelfmark.serving")
_JSON = {"requestBody": {"required": True, "content": {"application/json": {"schema": Similar.model_json_schema()}}}}


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
      token: that every request must bring; None: none needed.
      port: on loopback without a token: only loopback's own names are answered to; None: any.
    """

    token: str | None = None
    port: int | None = None


def create_app(engine: Engine, access: Access, poll: float = 0.0) -> FastAPI:
    """The application.

    Args:
      poll: seconds between looks for a new index; 0: only ``POST /v1/reload`` looks.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(_watch(engine, poll)) if poll else None
        yield
        if watching is not None:
            watching.cancel()
        engine.close()

    app = FastAPI(
        title="Shelfmark: similar products", version="1", docs_url=None, redoc_url=None, lifespan=lifespan,
        responses={"4XX": {"model": answers.Error}, "503": {"model": answers.Error}},
    )  # fmt: skip

    @app.post("/v1/similar", openapi_extra=_JSON, response_model=answers.Similar | answers.SimilarOfMany)
    async def similar(request: Request) -> Response:
        """Neighbours of a product of the index, of a vector, a text or an image; of one query or of several."""
        return answer(await engine.similar(await read_similar(request)))

    @app.get("/v1/similar/{id:path}", response_model=answers.Similar)
    async def similar_to(
        request: Request,
        id: str,
        k: Annotated[str, Query(description="How many; 1 to 1,000.")] = "10",
        by: str | None = None,
        category: Annotated[list[str] | None, Query()] = None,
        retailer: Annotated[list[str] | None, Query()] = None,
        availability: Annotated[list[str] | None, Query()] = None,
        price_from: str | None = None,
        price_to: str | None = None,
    ) -> Response:
        """Neighbours of a product of the index."""
        known = [one.alias for one in request.scope["route"].dependant.query_params]
        for name in request.query_params:
            if name not in known:
                raise Refused(422, "no such parameter", shorten(name), f"one of: {', '.join(known)}")
        given: dict[str, Any] = {"category": category, "retailer": retailer, "availability": availability}
        given |= {name: _number(name, text) for name, text in (("price_from", price_from), ("price_to", price_to))}
        within = {name: value for name, value in given.items() if value is not None}
        asked = {"query": {"id": id}, "k": _number("k", k), "by": by, "within": within}
        return answer(await engine.similar(valid(Similar, asked)))

    @app.post("/v1/reload", response_model=answers.Reloaded)
    async def reload(request: Request) -> Response:
        """Looks for a new index now; a broken one is refused, and the old one goes on."""
        require_json(request)
        try:
            changed = await run_in_threadpool(engine.load)
        except InputError as error:
            _log.error("the new index is refused, the old one goes on: %s", error)
            raise Refused(409, "the new index cannot be used", "index", "", "the server's log says why") from None
        return answer({"changed": changed, "version": engine.current().catalogue.version})

    @app.get("/healthz", response_model=answers.Health)
    async def health() -> Response:
        """Whether the process answers."""
        return answer({"ok": True})

    @app.get("/readyz", response_model=answers.Ready)
    async def ready() -> Response:
        """Whether an index is loaded."""
        catalogue = engine.current().catalogue
        return answer({"ready": True, "version": catalogue.version, "methods": list(catalogue.methods)})

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """For Prometheus."""
        return Response(engine.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    _refusals(app)
    app.add_middleware(Gate, engine=engine, access=access)
    return app


def _refusals(app: FastAPI) -> None:
    @app.exception_handler(Refused)
    async def _refused(_request: Request, error: Refused) -> Response:
        return refusal(error, {"retry-after": "1"} if error.status == 503 else None)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return refusal(Refused(422, "it does not fit", where, first["msg"], "see /openapi.json"))

    @app.exception_handler(ClientDisconnect)
    async def _left(_request: Request, _error: ClientDisconnect) -> Response:
        # Nobody gets it.
        return Response(status_code=400)

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> Response:
        expected = "POST /v1/similar, GET /v1/similar/{id}"
        next_ = "see /openapi.json for what may be asked"
        return refusal(Refused(error.status_code, str(error.detail), "path or method", expected, next_))

    @app.exception_handler(Exception)
    async def _failed(_request: Request, error: Exception) -> Response:
        _log.error("a request failed", exc_info=error)
        return refusal(Refused(500, "the server failed", "", "", "its log says why"))


class Gate:
    """Middleware: token, host name, and the metrics of every request."""

    def __init__(self, app: ASGIApp, engine: Engine, access: Access):
        self.app, self.metrics, self.access = app, engine.metrics, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (b"x-content-type-options", b"nosniff")]}
            await send(message)

        try:
            refused = self._refusal(Request(scope))
            if refused is not None:
                await refused(scope, receive, counted)
            else:
                await self.app(scope, receive, counted)
        finally:
            # The template of the path, never the path: ids would make a series each.
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.requests.labels(route, str(status)).inc()
            self.metrics.seconds.labels(route).observe(time.perf_counter() - started)

    def _refusal(self, request: Request) -> Response | None:
        if self.access.port is not None:
            host = request.headers.get("host", "")
            # A foreign name that points here (DNS rebinding) is somebody else's page asking.
            if host not in {*LOOPBACK_NAMES, *(f"{name}:{self.access.port}" for name in LOOPBACK_NAMES)}:
                expected = "127.0.0.1 or localhost"
                return refusal(Refused(421, "this server is not called that", "header host", expected))
        if self.access.token is not None and request.url.path not in OPEN:
            kind, _, token = request.headers.get("authorization", "").partition(" ")
            right = hmac.compare_digest(token.strip().encode(), self.access.token.encode())
            if kind.lower() != "bearer" or not right:
                next_ = "send -H 'authorization: Bearer TOKEN'"
                error = Refused(401, "no or a wrong token", "header authorization", "the server's token", next_)
                return refusal(error, {"www-authenticate": "Bearer"})
        return None


def _number(name: str, text: str | None) -> int | float | None:
    """A number out of a path's query."""
    if text is None:
        return None
    try:
        return int(text[:30]) if name == "k" else float(text[:30])
    except ValueError:
        raise Refused(422, f"got {text[:80]!r}", name, "a number", "see /openapi.json for what may be asked") from None


async def _watch(engine: Engine, poll: float) -> None:
    said = ""
    while True:
        await asyncio.sleep(poll)
        try:
            await run_in_threadpool(engine.load)
            said = ""
        except (InputError, OSError) as error:
            text = f"{error.filename or 'a file'}: {error.strerror}" if isinstance(error, OSError) else str(error)
            # The same broken index is looked at again and again; one line of it is enough.
            if text != said:
                _log.error("the new index is refused, the old one goes on: %s", text)
            said = text
        except Exception:
            _log.exception("the new index cannot be loaded, the old one goes on")
