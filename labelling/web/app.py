"""The application: routes, and what stands before them."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.staticfiles import StaticFiles

from labelling.store import Store
from labelling.store.outages import Unavailable
from labelling.web.context import HERE, Settings, Web
from labelling.web.indexes import Source
from labelling.web.outage import Outages
from labelling.web.pages import browse, labelling, people, similar
from labelling.web.proxies import TrustedProxies
from labelling.web.security import Guard


def create_app(store: Store, settings: Settings, source: Source | None = None) -> FastAPI:
    """The pages over one store, and over the similarity indexes of ``source``."""
    app = FastAPI(title="Shelfmark", docs_url=None, redoc_url=None, openapi_url=None)
    web = Web(store, settings, source)
    for module in (labelling, browse, people, similar):
        app.include_router(module.routes(web))
    app.mount("/static", StaticFiles(directory=HERE / "static"))

    @app.exception_handler(404)
    def _not_found(request: Request, _error: Exception) -> Response:
        return web.missing(request, "There is no such page.")

    outages = Outages(web)

    @app.exception_handler(Unavailable)
    def _unavailable(request: Request, error: Unavailable) -> Response:
        return outages.answer(request, error)

    @app.exception_handler(Exception)
    def _failed(_request: Request, _error: Exception) -> Response:
        return PlainTextResponse("Something went wrong; the server's output says what.", 500)

    app.add_middleware(Guard, store=store, settings=settings, outages=outages)
    # The last one added stands before the others.
    app.add_middleware(TrustedProxies, trusted=settings.trusted_proxies)
    return app
