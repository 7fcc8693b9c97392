"""The application: routes, and what they share."""

from __future__ import annotations

import json
import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.staticfiles import StaticFiles

from labelling.store import Store, rows, status
from labelling.store.accounts import Session
from labelling.store.outages import Unavailable
from labelling.web.images import Images
from labelling.web.indexes import Indexes, Source
from labelling.web.outage import Outages
from labelling.web.proxies import Network, TrustedProxies
from labelling.web.search import Search
from labelling.web.security import Guard
from modules.taxonomy import Category, Taxonomy

HERE = Path(__file__).parent
AGREEMENT_SECONDS = 30.0
SEARCHES = 6
"""Kept: of the store's taxonomy and the index's, and of the ones before, which running requests may still have."""


@dataclass(frozen=True)
class Settings:
    """How the server is reached.

    Attributes:
      annotator: who labels without accounts; None: people sign in.
      port: on loopback; None elsewhere.
      trusted_proxies: what they say of whom a request comes from is believed.
      one_session: a sign-in ends the account's other sessions.
    """

    annotator: str | None = None
    image_hosts: tuple[str, ...] = ()
    port: int | None = None
    trusted_proxies: tuple[Network, ...] = ()
    one_session: bool = False


class Web:
    """What the pages share: store, indexes, templates, taxonomy."""

    def __init__(self, store: Store, settings: Settings, source: Source | None = None):
        self.store, self.settings = store, settings
        self.indexes = Indexes(source)
        self.images = Images(store)
        self._lock = threading.Lock()
        self._taxonomy: Taxonomy | None = None
        self._fingerprint = ""
        self._search: dict[tuple[int, bool], tuple[Taxonomy, Search]] = {}
        self.templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.templates.filters |= {
            "count": lambda value: f"{value:,}", "percent": percent, "figure": figure, "whole": whole, "moment": moment,
            "query": query,
        }  # fmt: skip
        self.templates.globals |= {"link": link}

    def taxonomy(self, connection: Connection) -> Taxonomy | None:
        """The newest taxonomy, read again only when another one came."""
        fingerprint = status.taxonomy_fingerprint(connection)
        with self._lock:
            if fingerprint != self._fingerprint:
                self._taxonomy = status.newest_taxonomy(connection)
                self._fingerprint = fingerprint or ""
            return self._taxonomy

    def search(self, tree: Taxonomy, exclusive: bool) -> Search:
        """Search over the categories of a taxonomy that an objective of this kind can have as answers."""
        key = (id(tree), exclusive)
        with self._lock:
            if key not in self._search:
                if len(self._search) == SEARCHES:
                    del self._search[next(iter(self._search))]
                # With the tree, so that no other one gets its id.
                self._search[key] = (tree, Search(tree.exclusive if exclusive else list(tree)))
            return self._search[key][1]

    def page(self, request: Request, template: str, /, *, code: int = 200, **values: Any) -> Response:
        """A rendered page."""
        session: Session | None = request.state.session
        html = self.templates.get_template(template).render(
            session=session, local=self.settings.annotator is not None, path=request.url.path, **values
        )
        return HTMLResponse(html, code)

    def missing(self, request: Request, what: str, code: int = 404) -> Response:
        """The page for what is not there."""
        return self.page(request, "missing.html.j2", code=code, what=what)


class Names:
    """Categories by their ids, also those that the taxonomy has lost."""

    def __init__(self, tree: Taxonomy | None):
        self.tree = tree

    def __call__(self, category: str | None) -> str:
        """The category's path, its id where it has none any more."""
        found = self.get(category)
        return found.text if found is not None else category or ""

    def get(self, category: str | None) -> Category | None:
        """The category; None if the taxonomy has no such one."""
        return self.tree[category] if category and self.tree is not None and category in self.tree else None


def create_app(store: Store, settings: Settings, source: Source | None = None) -> FastAPI:
    """The pages over one store, and over the similarity indexes of ``source``."""
    from labelling.web.pages import browse, labelling, people, similar

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


def wants_json(request: Request) -> bool:
    """Whether a script asks."""
    return "application/json" in request.headers.get("accept", "")


def percent(value: float | None) -> str:
    """0.873 as 87.3%."""
    return "" if value is None or math.isnan(value) else f"{100 * value:.1f}%"


def figure(value: Any) -> str:
    """A number to three digits, anything else as it is."""
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        return f"{value:,.0f}" if value.is_integer() and abs(value) >= 10 else f"{value:.3f}"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return f"{value:,}" if isinstance(value, int) else str(value)


def whole(value: Any) -> str:
    """A count, whatever its type."""
    return f"{value:,.0f}" if isinstance(value, int | float) else ""


def moment(time: int | None) -> str:
    """A time for people, UTC."""
    return "" if not time else rows.time_text(time)[:16].replace("T", " ")


def query(values: dict[str, Any]) -> str:
    """A query string of what is there."""
    return urlencode({name: value for name, value in values.items() if value not in (None, "")})


def link(path: str, **values: Any) -> str:
    """A path with a query."""
    found = query(values)
    return f"{path}?{found}" if found else path
