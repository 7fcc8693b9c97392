"""Pages to look at: queues, runs, categories, products, reviews."""

from __future__ import annotations

import secrets
from typing import Any

from fastapi import APIRouter
from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from labelling.store import status
from labelling.store import tables as t
from labelling.store.agreement import agreement
from labelling.store.database import now
from labelling.web import views
from labelling.web.cards import REASONS, thumbs
from labelling.web.chart import chart
from labelling.web.dependencies import Missing, SharedWeb, SignedIn
from labelling.web.formatting import link
from labelling.web.forms import SearchText
from modules.objectives import DEFAULT_OBJECTIVE

CATEGORIES = 12
ANNOTATORS = 50
PRODUCTS = 60
REVIEWS = 100

router = APIRouter()


@router.get("/")
def home(request: Request, web: SharedWeb, session: SignedIn) -> Response:
    """The queues, the annotators, and how far they are."""
    with web.store.read() as connection:
        names = web.names(connection)
        agreements = [agreement(connection, name, kind) for name, kind in status.kinds(connection).items()]
        annotators = [name for name, _ in status.annotators(connection)[:ANNOTATORS]]
        values: dict[str, Any] = {
            "queues": status.queues(connection),
            "agreed": [measured for measured in agreements if measured.products],
            "people": [status.work(connection, name, now()) for name in annotators],
            "mine": status.work(connection, session.account, now()),
            "categories": [
                (objective, category, names(category), count)
                for objective, category, count in status.categories(connection)[:CATEGORIES]
            ],
        }
    return web.page(request, "home.html.j2", names=names, **values)


@router.get("/product")
def product(request: Request, web: SharedWeb, id: str = "", q: str = "") -> Response:
    """A product; with ``q``, the categories like it to label the product with."""
    with web.store.read() as connection:
        names = web.names(connection)
        values = views.product(connection, id, names, web.settings.image_hosts)
    if values is None:
        raise Missing("The label store knows no such product.")
    objective = next(iter(values["objectives"]), DEFAULT_OBJECTIVE)
    hits = web.search(names.tree, True).find(q) if q and names.tree is not None else []
    return web.page(
        request, "product.html.j2", objective=objective, text=q, hits=hits, request_id=secrets.token_urlsafe(18),
        **values,
    )  # fmt: skip


@router.get("/products")
def products(request: Request, web: SharedWeb, q: SearchText = "") -> Response:
    """The product with an id, or those whose title holds a text."""
    with web.store.read() as connection:
        if connection.execute(select(t.products.c.id).where(t.products.c.id == q)).first() is not None:
            return RedirectResponse(link("/product", id=q), 303)
        like = t.products.c.fields["title"].as_string().icontains(q, autoescape=True)
        query = select(t.products.c.id).where(like).order_by(t.products.c.id).limit(PRODUCTS)
        hits = thumbs(connection, list(connection.scalars(query)) if q else [], web.settings.image_hosts)
    return web.page(request, "products.html.j2", text=q, hits=hits)


@router.get("/runs")
def runs(request: Request, web: SharedWeb) -> Response:
    """The newest runs."""
    with web.store.read() as connection:
        newest = views.runs(connection)
    return web.page(request, "runs.html.j2", runs=newest)


@router.get("/run")
def run(request: Request, web: SharedWeb, id: str = "") -> Response:
    """A run beside the one before."""
    with web.store.read() as connection:
        values = views.run(connection, id, web.names(connection))
    if values is None:
        raise Missing("The label store knows no such run.")
    return web.page(request, "run.html.j2", **values)


@router.get("/categories")
def categories(request: Request, web: SharedWeb) -> Response:
    """All categories."""
    with web.store.read() as connection:
        rows = views.categories(connection, web.names(connection))
    return web.page(request, "categories.html.j2", rows=rows)


@router.get("/category")
def category(request: Request, web: SharedWeb, id: str = "") -> Response:
    """A category over runs."""
    with web.store.read() as connection:
        values = views.category(connection, id, web.names(connection), web.settings.image_hosts)
    if values is None:
        raise Missing("The taxonomy has no such category.")
    charts = {objective: chart(points) for objective, points in values["history"].items()}
    return web.page(request, "category.html.j2", charts=charts, **values)


@router.get("/review")
def review(request: Request, web: SharedWeb) -> Response:
    """Labels that look wrong."""
    with web.store.read() as connection:
        names = web.names(connection)
        queues = [queue for queue in status.queues(connection) if queue.kind == "review"]
        query = select(t.items, t.batches.c.id.label("batch_id")).join(t.batches)
        query = query.where(t.batches.c.kind == "review", t.items.c.state == "open", t.batches.c.state == "open")
        items = connection.execute(query.order_by(t.items.c.batch, t.items.c.rank).limit(REVIEWS)).all()
        products = thumbs(connection, [item.product_id for item in items], web.settings.image_hosts)
    return web.page(
        request, "review.html.j2", queues=queues, items=items, products={thumb.id: thumb for thumb in products},
        names=names, reasons=REASONS,
    )  # fmt: skip
