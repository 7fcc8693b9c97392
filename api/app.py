"""The API's application: its routes, the form of its refusals, and what stands before them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from api import answers, health
from api.classify import routes as classify
from api.classify.classifier import Classifier
from api.current import Current
from api.gate import Access, Measured, TokenGate
from api.products import routes as products
from api.products.table import ProductTable
from api.refusals import Refused, refusal
from api.similarity import routes as similarity
from api.similarity.engine import Engine
from api.similarity.metrics import Metrics
from api.tokens import FileClients
from api.watching import Loader, watch

TOKENS_POLL = 1.0
"""Seconds between looks at the file of tokens: a token that is revoked is refused soon."""
_log = logging.getLogger("shelfmark.api")


@dataclass(frozen=True)
class Services:
    """What a server answers about; None: its routes are not there.

    Attributes:
      metrics: what the requests are counted in.
      similar, classifier, products: similar products, products of a request, and the last blessed run.
    """

    metrics: Metrics
    similar: Engine | None = None
    classifier: Classifier | None = None
    products: Current[ProductTable] | None = None

    def loaders(self) -> dict[str, Loader]:
        """What is looked for anew while the server runs, by its name for the log."""
        models = None if self.classifier is None else self.classifier.models
        services = {"index": self.similar, "model": models, "table of predictions": self.products}
        return {name: service for name, service in services.items() if service is not None}

    def close(self) -> None:
        """Lets go of the threads."""
        for service in (self.similar, self.classifier):
            if service is not None:
                service.close()


def create_app(services: Services, access: Access, poll: float = 0.0) -> FastAPI:
    """Makes the application.

    Args:
      services: What it answers about; closed when the server ends.
      access: Who may ask.
      poll: Seconds between looks for a new index, model and run; 0: only ``POST /v1/reload`` looks, for an index.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        looks = services.loaders().items() if poll else ()
        watching = [asyncio.create_task(watch(loader, poll, name)) for name, loader in looks]
        if isinstance(access.clients, FileClients):
            watching.append(asyncio.create_task(watch(access.clients, TOKENS_POLL, "file of tokens")))
        yield
        for task in watching:
            task.cancel()
        services.close()

    app = FastAPI(
        title="Shelfmark", version="1", docs_url=None, redoc_url=None, lifespan=lifespan,
        responses={"4XX": {"model": answers.Error}, "503": {"model": answers.Error}},
    )  # fmt: skip
    app.state.services = services
    if services.similar is not None:
        app.include_router(similarity.router)
    if services.classifier is not None:
        app.include_router(classify.router)
    if services.products is not None:
        app.include_router(products.router)
    app.include_router(health.router)
    app.add_exception_handler(Refused, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_invalid)
    app.add_exception_handler(ClientDisconnect, _leave_unanswered)
    app.add_exception_handler(HTTPException, _refuse_path)
    app.add_exception_handler(Exception, _fail)
    app.add_middleware(TokenGate, access=access)
    # The last one added stands before the others.
    app.add_middleware(Measured, metrics=services.metrics)
    return app


async def _refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return refusal(error, {"retry-after": "1"} if error.status == 503 else None)


async def _refuse_invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return refusal(Refused.invalid(error))


async def _leave_unanswered(_request: Request, _error: Exception) -> Response:
    # The client has left: nobody gets the answer.
    return Response(status_code=400)


async def _refuse_path(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    next_ = "see /openapi.json for what may be asked"
    return refusal(Refused(error.status_code, str(error.detail), "path or method", "a path of this server", next_))


async def _fail(_request: Request, error: Exception) -> Response:
    _log.error("a request failed", exc_info=error)
    return refusal(Refused(500, "the server failed", "", "", "its log says why"))
