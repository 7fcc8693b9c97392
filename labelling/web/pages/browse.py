"""Pages to look at: queues, batches, runs, categories, products, reviews."""

from __future__ import annotations

import secrets

from fastapi import APIRouter
from sqlalchemy import Connection, select
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from labelling.store import accounts, queue, status
from labelling.store import tables as t
from labelling.store.agreement import agreement
from labelling.store.database import now
from labelling.web import views
from labelling.web.cards import REASONS, thumbs
from labelling.web.chart import chart
from labelling.web.context import Web
from labelling.web.formatting import link
from labelling.web.names import Names
from labelling.web.security import form_of
from modules.objectives import DEFAULT_OBJECTIVE

CATEGORIES = 12


def routes(web: Web) -> APIRouter:
    """The routes."""
    router = APIRouter()
    hosts = web.settings.image_hosts

    def annotators(connection: Connection) -> set[str]:
        """Who can be given products: accounts; without them who serves, and who has labelled."""
        if web.settings.annotator is None:
            return {one.name for one in accounts.everybody(connection) if one.active}
        return {web.settings.annotator, *(name for name, _ in status.annotators(connection))}

    @router.get("/")
    def home(request: Request) -> Response:
        who = request.state.session.account
        with web.store.read() as connection:
            names = Names(web.taxonomy(connection))
            kinds = status.kinds(connection)
            queues = status.queues(connection)
            agreed = [one for name, kind in kinds.items() if (one := agreement(connection, name, kind)).products]
            people = [status.work(connection, name, now()) for name, _ in status.annotators(connection)[:50]]
            mine = status.work(connection, who, now())
            by_category = [(o, c, names(c), n) for o, c, n in status.categories(connection)[:CATEGORIES]]
        return web.page(
            request, "home.html.j2", queues=queues, agreed=agreed, people=people, mine=mine, names=names,
            categories=by_category,
        )  # fmt: skip

    @router.get("/batch")
    def batch(request: Request) -> Response:
        start = _number(request.query_params.get("start"))
        with web.store.read() as connection:
            names = Names(web.taxonomy(connection))
            found = views.batch(connection, request.query_params.get("id", ""), names, hosts, start)
            people = [one.name for one in accounts.everybody(connection) if one.active]
        if found is None:
            return web.missing(request, "There is no such batch.")
        return web.page(request, "batch.html.j2", people=people, **found)

    @router.post("/batch")
    def change_batch(request: Request) -> Response:
        if request.state.session.role != "admin":
            return web.page(request, "missing.html.j2", code=403, what="Only an admin may change a batch.")
        form = form_of(request)
        name, action = form("id") or "", form("action") or ""
        overlap, count = _number(form("overlap")), _number(form("count"))
        with web.store.write() as connection:
            if not status.queues(connection, name):
                return web.missing(request, "There is no such batch.", 400)
            if action in ("close", "reopen"):
                queue.close(connection, name, action == "reopen")
            elif action == "overlap":
                if not 1 <= overlap <= 20:
                    return web.missing(request, "From 1 to 20 answers per product can be asked for.", 400)
                queue.assign(connection, name, wanted=overlap)
            elif action == "assign":
                if form("count") and not count:
                    return web.missing(request, "How many products is no number.", 400)
                if form("annotator") not in annotators(connection):
                    return web.missing(request, "There is no such annotator.", 400)
                queue.assign(connection, name, annotator=form("annotator"), count=count or None)
            elif action == "free":
                queue.assign(connection, name, free=True)
            else:
                return web.missing(request, "A batch cannot be changed in that way.", 400)
            detail = {key: form(key) for key in ("overlap", "annotator", "count") if form(key)}
            who = request.state.session.account
            accounts.record(connection, now(), who, f"batch {action}"[:50], {"batch": name, **detail})
        return RedirectResponse(link("/batch", id=name), 303)

    @router.get("/product")
    def product(request: Request) -> Response:
        text = request.query_params.get("q", "")
        with web.store.read() as connection:
            names = Names(web.taxonomy(connection))
            found = views.product(connection, request.query_params.get("id", ""), names, hosts)
        if found is None:
            return web.missing(request, "The label store knows no such product.")
        objective = next(iter(found["objectives"]), DEFAULT_OBJECTIVE)
        tree = names.tree
        hits = web.search(tree, True).find(text) if text and tree is not None else []
        return web.page(
            request, "product.html.j2", objective=objective, text=text, hits=hits, request_id=secrets.token_urlsafe(18),
            **found,
        )  # fmt: skip

    @router.get("/products")
    def products(request: Request) -> Response:
        text = request.query_params.get("q", "").strip()[:200]
        with web.store.read() as connection:
            if connection.execute(select(t.products.c.id).where(t.products.c.id == text)).first() is not None:
                return RedirectResponse(link("/product", id=text), 303)
            like = t.products.c.fields["title"].as_string().icontains(text, autoescape=True)
            ids = list(connection.scalars(select(t.products.c.id).where(like).order_by(t.products.c.id).limit(60)))
            found = thumbs(connection, ids if text else [], hosts)
        return web.page(request, "products.html.j2", text=text, found=found)

    @router.get("/runs")
    def runs(request: Request) -> Response:
        with web.store.read() as connection:
            found = views.runs(connection)
        return web.page(request, "runs.html.j2", runs=found)

    @router.get("/run")
    def run(request: Request) -> Response:
        with web.store.read() as connection:
            names = Names(web.taxonomy(connection))
            found = views.run(connection, request.query_params.get("id", ""), names)
        if found is None:
            return web.missing(request, "The label store knows no such run.")
        return web.page(request, "run.html.j2", **found)

    @router.get("/categories")
    def categories(request: Request) -> Response:
        with web.store.read() as connection:
            found = views.categories(connection, Names(web.taxonomy(connection)))
        return web.page(request, "categories.html.j2", found=found)

    @router.get("/category")
    def category(request: Request) -> Response:
        with web.store.read() as connection:
            names = Names(web.taxonomy(connection))
            found = views.category(connection, request.query_params.get("id", ""), names, hosts)
        if found is None:
            return web.missing(request, "The taxonomy has no such category.")
        charts = {objective: chart(points) for objective, points in found["history"].items()}
        return web.page(request, "category.html.j2", charts=charts, **found)

    @router.get("/review")
    def review(request: Request) -> Response:
        with web.store.read() as connection:
            names = Names(web.taxonomy(connection))
            queues = [one for one in status.queues(connection) if one.kind == "review"]
            query = select(t.items, t.batches.c.id.label("batch_id")).join(t.batches)
            query = query.where(t.batches.c.kind == "review", t.items.c.state == "open", t.batches.c.state == "open")
            items = connection.execute(query.order_by(t.items.c.batch, t.items.c.rank).limit(100)).all()
            shown = {one.id: one for one in thumbs(connection, [item.product_id for item in items], hosts)}
        return web.page(
            request, "review.html.j2", queues=queues, items=items, shown=shown, names=names, reasons=REASONS
        )

    return router


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0
