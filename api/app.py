"""The API's application: its routes, the form of its refusals, and what stands before them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from api import answers, health
from api.gate import Access, Measured, TokenGate
from api.refusals import Refused, refusal
from api.similarity import routes as similarity
from api.similarity.engine import Engine
from api.similarity.watching import watch

_log = logging.getLogger("shelfmark.api")


def create_app(engine: Engine, access: Access, poll: float = 0.0) -> FastAPI:
    """Makes the application.

    Args:
      engine: Answers what is asked about similar products; closed when the server ends.
      access: Who may ask.
      poll: Seconds between looks for a new index; 0: only ``POST /v1/reload`` looks.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(watch(engine, poll)) if poll else None
        yield
        if watching is not None:
            watching.cancel()
        engine.close()

    app = FastAPI(
        title="Shelfmark: similar products", version="1", docs_url=None, redoc_url=None, lifespan=lifespan,
        responses={"4XX": {"model": answers.Error}, "503": {"model": answers.Error}},
    )  # fmt: skip
    app.state.engine = engine
    app.include_router(similarity.router)
    app.include_router(health.router)
    app.add_exception_handler(Refused, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_invalid)
    app.add_exception_handler(ClientDisconnect, _leave_unanswered)
    app.add_exception_handler(HTTPException, _refuse_path)
    app.add_exception_handler(Exception, _fail)
    app.add_middleware(TokenGate, access=access)
    # The last one added stands before the others.
    app.add_middleware(Measured, metrics=engine.metrics)
    return app


async def _refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return refusal(error, {"retry-after": "1"} if error.status == 503 else None)


async def _refuse_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return refusal(Refused(422, "it does not fit", where, first["msg"], "see /openapi.json"))


async def _leave_unanswered(_request: Request, _error: Exception) -> Response:
    # The client has left: nobody gets the answer.
    return Response(status_code=400)


async def _refuse_path(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    expected = "POST /v1/similar, GET /v1/similar/{id}"
    next_ = "see /openapi.json for what may be asked"
    return refusal(Refused(error.status_code, str(error.detail), "path or method", expected, next_))


async def _fail(_request: Request, error: Exception) -> Response:
    _log.error("a request failed", exc_info=error)
    return refusal(Refused(500, "the server failed", "", "", "its log says why"))
