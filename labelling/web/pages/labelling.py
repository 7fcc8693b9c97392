"""The labelling page: the next product, the answer, undo. Handlers are plain functions, which run in threads."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from labelling.store import queue, status
from labelling.store.answering import Answer, Kept, give, is_known, undo
from labelling.store.database import now
from labelling.store.queue import Which
from labelling.web.cards import card
from labelling.web.context import Web, wants_json
from labelling.web.dependencies import AskedFilters, Missing, NotKept, SharedWeb, SignedIn, form_of
from labelling.web.formatting import link
from labelling.web.forms import AnswerForm, Filters, HoldForm, UndoForm, numbers
from labelling.web.names import Names
from labelling.web.security import safe_target
from modules.objectives import kind_named
from modules.taxonomy import Taxonomy

router = APIRouter()


@router.get("/label")
def label(request: Request, web: SharedWeb, session: SignedIn, filters: AskedFilters, q: str = "") -> Response:
    """The next product of a queue; with ``q``, which a browser without scripts sends, and the categories like it."""
    with web.store.read() as connection:
        names = web.names(connection)
        if filters.batch and filters.batch not in {known.id for known in status.queues(connection)}:
            raise Missing("There is no such batch.")
    item = _next_item(web, session.account, filters, [], names.tree)
    html = _card(web, session.csrf, item, names, filters) if item is not None else ""
    with web.store.read() as connection:
        progress = web.progress.of(connection, session.account, filters)
        product = queue.item_of(connection, item) if item is not None else None
    hits = web.search(names.tree, True).find(q) if q and names.tree is not None else []
    return web.page(
        request, "label.html.j2", card=html, filters=filters.given, progress=progress, hits=hits, text=q,
        category=names(filters.category), item=item, request_id=secrets.token_urlsafe(18), product=product,
    )  # fmt: skip


@router.get("/label/next")
def label_next(web: SharedWeb, session: SignedIn, filters: AskedFilters, held: str = "") -> Response:
    """The next product beside those that are on the page already."""
    with web.store.read() as connection:
        names = web.names(connection)
    item = _next_item(web, session.account, filters, numbers(held), names.tree)
    return JSONResponse({"item": item, "html": _card(web, session.csrf, item, names, filters) if item else None})


@router.post("/label")
def answer(
    request: Request, web: SharedWeb, session: SignedIn, form: Annotated[AnswerForm, Depends(form_of(AnswerForm))]
) -> Response:
    """Keeps an answer."""
    try:
        with web.store.write() as connection:
            kept = _keep(connection, web, session.account, form)
            progress = web.progress.of(connection, session.account, form.filters)
    except ValueError as error:
        raise NotKept(str(error)) from None
    if wants_json(request):
        return JSONResponse({"labels": len(kept.labels), "left": kept.left, "progress": progress})
    if form.to and safe_target(form.to) == form.to:
        return RedirectResponse(form.to, 303)
    return _back(form.filters)


@router.post("/undo")
def take_back(
    request: Request, web: SharedWeb, session: SignedIn, form: Annotated[UndoForm, Depends(form_of(UndoForm))]
) -> Response:
    """Takes the annotator's last answer back, and shows its product again."""
    with web.store.write() as connection:
        undone = undo(connection, session.account, form.request, now())
        progress = web.progress.of(connection, session.account, form.filters)
    if not wants_json(request):
        return _back(form.filters)
    if undone is None:
        return JSONResponse({"item": None, "html": None, "progress": progress})
    html = None
    if undone.item is not None:
        with web.store.read() as connection:
            names = web.names(connection)
        html = _card(web, session.csrf, undone.item, names, form.filters)
    return JSONResponse({"item": undone.item, "html": html, "product": undone.product_id, "progress": progress})


@router.post("/hold")
def hold(web: SharedWeb, session: SignedIn, form: Annotated[HoldForm, Depends(form_of(HoldForm))]) -> Response:
    """Keeps the products that are on the page from going to somebody else."""
    with web.store.write() as connection:
        queue.renew(connection, session.account, form.held, now())
    return Response(status_code=204)


@router.post("/release")
def release(web: SharedWeb, session: SignedIn) -> Response:
    """Lets others have the products that the annotator was shown."""
    with web.store.write() as connection:
        queue.release(connection, session.account)
    return RedirectResponse("/", 303)


def _next_item(
    web: Web, annotator: str, filters: Filters, held: Sequence[int], taxonomy: Taxonomy | None
) -> int | None:
    predicted = None
    if filters.category is not None:
        predicted = {filters.category}
        if taxonomy is not None and filters.category in taxonomy:
            predicted |= {category.id for category in taxonomy.descendants(filters.category)}
    which = Which(filters.batch, filters.objective, predicted, filters.wanted_kind)
    with web.store.write() as connection:
        if held:
            queue.renew(connection, annotator, held, now())
        return queue.take(connection, annotator, now(), which, held=held)


def _card(web: Web, csrf: str, item: int, names: Names, filters: Filters) -> str:
    with web.store.read() as connection:
        question_card = card(connection, item, names, web.settings.image_hosts)
    return web.render(
        "card.html.j2", card=question_card, csrf=csrf, filters=filters.given, request=secrets.token_urlsafe(18)
    )  # fmt: skip


def _keep(connection: Connection, web: Web, annotator: str, form: AnswerForm) -> Kept:
    """Keeps an answer; in a writing transaction.

    Raises:
      ValueError: It is about nothing that the store knows, or value and category do not fit.
    """
    if form.item is None and not is_known(connection, form.product):
        raise ValueError("the label store knows no such product")
    given = Answer(
        product_id=form.product,
        objective=form.objective,
        value=form.value or ("yes" if form.category else ""),
        annotator=annotator,
        request=form.request,
        item=form.item,
        category=form.category if form.value in (None, "yes", "no") else None,
        seconds=form.seconds,
        note=form.note,
        also=form.also,
    )
    return give(connection, given, now(), valid=_valid_categories(connection, web.taxonomy(connection)))


def _valid_categories(connection: Connection, taxonomy: Taxonomy | None) -> Callable[[str, str | None], bool]:
    kinds = status.kinds(connection)

    def valid(objective: str, category: str | None) -> bool:
        if objective not in kinds or taxonomy is None:
            return False
        if category is None:
            return True
        return category in taxonomy and (not kind_named(kinds[objective]).single_label or taxonomy[category].exclusive)

    return valid


def _back(filters: Filters) -> Response:
    given: dict[str, Any] = filters.given
    return RedirectResponse(link("/label", **given), 303)
