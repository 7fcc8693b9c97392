"""The application: routes, what answers where they cannot, and what stands before them."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles

from labelling.store import Store
from labelling.store.outages import Unavailable
from labelling.web.context import HERE, Settings, Web, wants_json
from labelling.web.dependencies import Missing, NotKept
from labelling.web.indexes import Source
from labelling.web.outage import Outages
from labelling.web.pages import ROUTERS
from labelling.web.security import Guard
from modules.http_server.proxies import TrustedProxies


def create_app(store: Store, settings: Settings, source: Source | None = None) -> FastAPI:
    """Makes the application.

    Args:
      store: The label store that the pages show and write to.
      settings: How the server is reached.
      source: Opens the similarity indexes that pages look into; None: there are none.
    """
    app = FastAPI(title="Shelfmark", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.web = web = Web(store, settings, source)
    outages = Outages(web)
    app.state.outages = outages
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=HERE / "static"))
    app.add_exception_handler(404, _no_page)
    app.add_exception_handler(Missing, _missing)
    app.add_exception_handler(NotKept, _not_kept)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(Exception, _failed)
    app.add_middleware(Guard, store=store, settings=settings, outages=outages)
    # The last one added stands before the others.
    app.add_middleware(TrustedProxies, trusted=settings.trusted_proxies)
    return app


# Plain functions, which run in threads, as the pages do.


def _no_page(request: Request, _error: Exception) -> Response:
    return _web(request).missing(request, "There is no such page.")


def _missing(request: Request, error: Exception) -> Response:
    assert isinstance(error, Missing)
    return _web(request).missing(request, error.what, error.code)


def _not_kept(request: Request, error: Exception) -> Response:
    if wants_json(request):
        return JSONResponse({"error": f"not kept: {error}"}, 400)
    return _web(request).missing(request, f"Not kept: {error}.", 400)


def _unavailable(request: Request, error: Exception) -> Response:
    assert isinstance(error, Unavailable)
    outages: Outages = request.app.state.outages
    return outages.answer(request, error)


def _failed(_request: Request, _error: Exception) -> Response:
    return PlainTextResponse("Something went wrong; the server's output says what.", 500)


def _web(request: Request) -> Web:
    web: Web = request.app.state.web
    return web
