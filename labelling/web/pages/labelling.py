"""The labelling page: the next product, the answer, undo, search."""

from __future__ import annotations

import math
import secrets
import time
from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from labelling.store import queue, status
from labelling.store.agreement import agreement
from labelling.store.answering import Answer, give, is_known, undo
from labelling.store.database import now
from labelling.store.queue import Which
from labelling.web.cards import card
from labelling.web.context import Web, wants_json
from labelling.web.formatting import link
from labelling.web.names import Names
from labelling.web.outage import RETRY
from labelling.web.security import form_of, safe_target
from modules.objectives import DEFAULT_KIND, kind_named
from modules.taxonomy import Taxonomy

FILTERS = ("batch", "objective", "category", "kind")
AGREEMENT_SECONDS = 30.0
MAX_NOTE = 2000
MAX_NUMBERS = 500  # more than the page keeps unsaved, loaded ahead and passed over
NO_PICTURE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4" '
    'fill="none" stroke="#8a94a3" stroke-width="1"/></svg>'
)


def routes(web: Web) -> APIRouter:
    """The routes; handlers are plain functions, which run in threads."""
    router = APIRouter()
    known: dict[tuple[str, str], tuple[float, float | None]] = {}

    def chosen(values: Any) -> dict[str, str]:
        return {name: values.get(name) for name in FILTERS if values.get(name)}

    def which(filters: dict[str, str], tree: Taxonomy | None) -> Which:
        category = filters.get("category")
        below = None
        if category is not None:
            below = {category}
            if tree is not None and category in tree:
                below |= {found.id for found in tree.descendants(category)}
        kind = filters.get("kind")
        # Reviews are a queue of their own; nobody stumbles into them.
        if kind is None and "batch" not in filters:
            kind = "batch"
        return Which(filters.get("batch"), filters.get("objective"), below, kind)

    def progress(connection: Connection, annotator: str, filters: dict[str, str]) -> dict[str, Any]:
        done = total = 0
        for one in status.queues(connection, filters.get("batch")):
            if one.state == "open" and one.kind == filters.get("kind", one.kind if "batch" in filters else "batch"):
                done, total = done + one.done, total + one.total
        work = status.work(connection, annotator, now())
        return {
            "done": done, "total": total, "today": work.today, "pace": work.pace and round(work.pace),
            "agreement": agreed(connection, annotator, filters.get("objective")),
        }  # fmt: skip

    def agreed(connection: Connection, annotator: str, objective: str | None) -> float | None:
        """The annotator's mean kappa; counted anew at most twice a minute."""
        kinds = status.kinds(connection)
        name = objective if objective in kinds else next(iter(kinds), None)
        if name is None:
            return None
        key = (annotator, name)
        if key not in known or time.monotonic() - known[key][0] > AGREEMENT_SECONDS:
            people = {one.annotator: one.kappa for one in agreement(connection, name, kinds[name]).annotators}
            kappa = people.get(annotator)
            known[key] = (time.monotonic(), None if kappa is None or kappa != kappa else round(kappa, 2))
        return known[key][1]

    def next_item(annotator: str, filters: dict[str, str], held: list[int], tree: Taxonomy | None) -> int | None:
        with web.store.write() as connection:
            if held:
                queue.renew(connection, annotator, held, now())
            return queue.take(connection, annotator, now(), which(filters, tree), held=held)

    def rendered(request: Request, item: int, names: Names, filters: dict[str, str]) -> str:
        with web.store.read() as connection:
            found = card(connection, item, names, web.settings.image_hosts)
        session = request.state.session
        template = web.templates.get_template("card.html.j2")
        return template.render(card=found, csrf=session.csrf, filters=filters, request=secrets.token_urlsafe(18))

    @router.get("/label")
    def label(request: Request) -> Response:
        filters = chosen(request.query_params)
        annotator = request.state.session.account
        with web.store.read() as connection:
            names = Names(web.taxonomy(connection))
            known_batches = {one.id for one in status.queues(connection)}
        if filters.get("batch", None) not in {None, *known_batches}:
            return web.missing(request, "There is no such batch.")
        item = next_item(annotator, filters, [], names.tree)
        html = rendered(request, item, names, filters) if item is not None else ""
        with web.store.read() as connection:
            found = progress(connection, annotator, filters)
        # Search without a script: the same page with answers below.
        text = request.query_params.get("q", "")
        hits = web.search(names.tree, True).find(text) if text and names.tree is not None else []
        return web.page(
            request, "label.html.j2", card=html, filters=filters, progress=found, hits=hits, text=text,
            category=names(filters.get("category")), item=item, request_id=secrets.token_urlsafe(18),
            product=product_of(item),
        )  # fmt: skip

    def product_of(item: int | None) -> Any:
        if item is None:
            return None
        with web.store.read() as connection:
            return queue.item_of(connection, item)

    @router.get("/label/next")
    def label_next(request: Request) -> Response:
        filters = chosen(request.query_params)
        held = numbers(request.query_params.get("held", ""))
        with web.store.read() as connection:
            names = Names(web.taxonomy(connection))
        item = next_item(request.state.session.account, filters, held, names.tree)
        return JSONResponse({"item": item, "html": rendered(request, item, names, filters) if item else None})

    @router.post("/label")
    def answer(request: Request) -> Response:
        form = form_of(request)
        annotator = request.state.session.account
        filters = chosen({name: form(f"filter_{name}") for name in FILTERS})
        category = form("category")
        try:
            seconds = _seconds(form("seconds"))
            item = _item(form("item"))
            product = required(form("product"))
            with web.store.write() as connection:
                if item is None and not is_known(connection, product):
                    raise ValueError("the label store knows no such product")
                kept = give(
                    connection,
                    Answer(
                        product_id=product,
                        objective=required(form("objective")),
                        value=form("value") or ("yes" if category else ""),
                        annotator=annotator,
                        request=required(form("request"))[:64],
                        item=item,
                        category=category if form("value") in (None, "yes", "no") else None,
                        seconds=seconds,
                        note=(form("note") or "")[:MAX_NOTE] or None,
                        also=[value for name, value in request.state.form if name == "also"],
                    ),
                    now(),
                    valid=valid_categories(connection),
                )
                found = progress(connection, annotator, filters)
        except ValueError as error:
            if wants_json(request):
                return JSONResponse({"error": f"not kept: {error}"}, 400)
            return web.missing(request, f"Not kept: {error}.", 400)
        if wants_json(request):
            return JSONResponse({"labels": len(kept.labels), "left": kept.left, "progress": found})
        target = form("to")
        return RedirectResponse(target, 303) if target and safe_target(target) == target else back(filters)

    def valid_categories(connection: Connection) -> Any:
        tree = web.taxonomy(connection)
        kinds = status.kinds(connection)

        def valid(objective: str, category: str | None) -> bool:
            if objective not in kinds or tree is None:
                return False
            if category is None:
                return True
            return category in tree and (not kind_named(kinds[objective]).single_label or tree[category].exclusive)

        return valid

    def back(filters: dict[str, str]) -> Response:
        return RedirectResponse(link("/label", **filters), 303)

    @router.post("/undo")
    def take_back(request: Request) -> Response:
        form = form_of(request)
        annotator = request.state.session.account
        filters = chosen({name: form(f"filter_{name}") for name in FILTERS})
        with web.store.write() as connection:
            undone = undo(connection, annotator, (form("request") or secrets.token_urlsafe(18))[:64], now())
            found = progress(connection, annotator, filters)
        if not wants_json(request):
            return back(filters)
        if undone is None:
            return JSONResponse({"item": None, "html": None, "progress": found})
        with web.store.read() as connection:
            names = Names(web.taxonomy(connection))
        html = rendered(request, undone.item, names, filters) if undone.item is not None else None
        return JSONResponse({"item": undone.item, "html": html, "product": undone.product_id, "progress": found})

    @router.post("/hold")
    def hold(request: Request) -> Response:
        held = numbers(form_of(request)("held") or "")
        with web.store.write() as connection:
            queue.renew(connection, request.state.session.account, held, now())
        return Response(status_code=204)

    @router.post("/release")
    def release(request: Request) -> Response:
        with web.store.write() as connection:
            queue.release(connection, request.state.session.account)
        return RedirectResponse("/", 303)

    @router.get("/search")
    def search(request: Request) -> Response:
        with web.store.read() as connection:
            tree = web.taxonomy(connection)
            kind = status.kinds(connection).get(request.query_params.get("objective", ""), DEFAULT_KIND)
        text = request.query_params.get("q", "")[:200]
        found = web.search(tree, kind_named(kind).single_label).find(text) if tree is not None else []
        return JSONResponse([{"id": one.id, "path": one.text} for one in found])

    @router.get("/image")
    def image(request: Request) -> Response:
        found = web.images.get(request.query_params.get("id", ""))
        if found is None:
            # A picture of no picture: a feed's image may be lost or broken, which is no reason for a broken page.
            return Response(NO_PICTURE, media_type="image/svg+xml", headers={"cache-control": "private, max-age=60"})
        return Response(found, media_type="image/png", headers={"cache-control": "private, max-age=3600"})

    @router.get("/health")
    def health() -> Response:
        found = web.store.state()
        if found == "ok":
            return JSONResponse({"ok": True, "store": found})
        return JSONResponse({"ok": False, "store": found}, 503, {"retry-after": str(RETRY)})

    return router


def numbers(text: str) -> list[int]:
    """Whole numbers out of ``1,2,3``, at most ``MAX_NUMBERS``; anything else is passed over."""
    return [int(part) for part in text.split(",") if part.isascii() and part.isdigit() and len(part) < 19][:MAX_NUMBERS]


def _item(text: str | None) -> int | None:
    """The number of the queue's item; None for an answer to none.

    Raises:
      ValueError: it is no number.
    """
    if text is None:
        return None
    found = numbers(text)
    if len(found) != 1 or not text.isdigit():
        raise ValueError("there is no such item")
    return found[0]


def _seconds(text: str | None) -> float | None:
    """A time that was taken.

    Raises:
      ValueError: it is no number.
    """
    try:
        found = float(text or "nan")
    except ValueError:
        raise ValueError("the seconds are no number") from None
    return None if math.isnan(found) else found


def required(value: str | None) -> str:
    """The value of a field that a form must have."""
    if value is None:
        raise ValueError("a field is missing")
    return value
