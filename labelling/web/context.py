"""What the pages share: the server's settings, the store, indexes, templates, the taxonomy."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from labelling.store import Store, status
from labelling.store.accounts import Session
from labelling.web.formatting import figure, link, moment, percent, query, whole
from labelling.web.images import Images
from labelling.web.indexes import Indexes, Source
from labelling.web.names import Names
from labelling.web.progress import Progress
from labelling.web.search import Search
from labelling.web.sign_ins import SignIns
from modules.http_server.addresses import Network
from modules.taxonomy import Taxonomy

HERE = Path(__file__).parent
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
    """What the pages share.

    Args:
      store: The label store.
      settings: How the server is reached.
      source: Opens the similarity indexes; None: there are none.
    """

    def __init__(self, store: Store, settings: Settings, source: Source | None = None):
        self.store, self.settings = store, settings
        self.indexes = Indexes(source)
        self.images = Images(store)
        self.progress = Progress()
        self.sign_ins = SignIns(store, alone=settings.one_session)
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

    def names(self, connection: Connection) -> Names:
        """The categories' names by the newest taxonomy."""
        return Names(self.taxonomy(connection))

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
        html = self.render(template, session=session, local=self.settings.annotator is not None, path=request.url.path,
                           **values)  # fmt: skip
        return HTMLResponse(html, code)

    def render(self, template: str, /, **values: Any) -> str:
        """A rendered template."""
        return self.templates.get_template(template).render(**values)

    def missing(self, request: Request, what: str, code: int = 404) -> Response:
        """The page for what is not there."""
        return self.page(request, "missing.html.j2", code=code, what=what)


def wants_json(request: Request) -> bool:
    """Whether a script asks."""
    return "application/json" in request.headers.get("accept", "")
