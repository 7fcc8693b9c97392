"""People's verdicts on which of two products is more alike."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from sqlalchemy import Connection, select
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from labelling.store import tables as t
from labelling.store.database import now
from labelling.store.outages import Unavailable
from labelling.store.triplets import append_triplet, is_question, judged, last_verdict, next_triplets
from labelling.web.alike import tiles_of
from labelling.web.context import wants_json
from labelling.web.dependencies import Missing, NotKept, SharedWeb, SignedIn, form_of
from labelling.web.formatting import link
from labelling.web.forms import Count, Id, VerdictForm
from labelling.web.security import safe_target
from modules.errors import InputError, Problem
from modules.similarity.catalogue import Catalogue
from modules.similarity_quality.triplets import Question, Triplet, problems_of

router = APIRouter()


async def _chosen(
    query: Id = "", a: Id = "", b: Id = "", a_method: Id = "", b_method: Id = "",
    pick: Annotated[list[str] | None, Query()] = None,
) -> Question | None:  # fmt: skip
    """The three products that a link names, with the methods that proposed two of them: ``pick``, which comes twice,
    each a method and an id; or ``a``, ``b``, ``a_method`` and ``b_method``. None: it names none."""
    methods: tuple[str, ...] = (a_method, b_method) if a_method and b_method else ()
    picks = [picked.partition(" ") for picked in (pick or [])[:2]]
    if len(picks) == 2:
        a, b = (id for _, _, id in picks)
        methods = tuple(method for method, _, _ in picks)
    return Question(query, a, b, methods) if query and (a or b) else None


@router.get("/judge")
def judge(
    request: Request, web: SharedWeb, session: SignedIn, chosen: Annotated[Question | None, Depends(_chosen)],
    skip: Count = 0, to: str = "",
) -> Response:  # fmt: skip
    """Three products to judge: those that the link names, or the next ones of the queue."""
    catalogue = web.indexes.current_or_none()
    with web.store.read() as connection:
        question = chosen or next(iter(next_triplets(connection, session.account, skip=skip)), None)
        last, count = last_verdict(connection, session.account), judged(connection, session.account)
        tiles: dict[str, Any] = {}
        if question is not None:
            try:
                _check(connection, catalogue, question)
            except InputError as error:
                raise Missing(str(error)) from None
            ids = [question.query, question.a, question.b]
            tiles = tiles_of(connection, catalogue, ids, web.settings.image_hosts)
    return web.page(
        request, "judge.html.j2", question=question, tiles=tiles, last=last, count=count, skip=skip,
        chosen=chosen is not None, to=safe_target(to) if to else "", request_id=secrets.token_urlsafe(18),
    )  # fmt: skip


@router.post("/judge")
def verdict(
    request: Request, web: SharedWeb, session: SignedIn, form: Annotated[VerdictForm, Depends(form_of(VerdictForm))]
) -> Response:
    """Keeps a verdict."""
    given = Triplet(form.query, form.a, form.b, form.verdict, session.account, now(), form.methods)
    # Opened before the transaction: it may take a while, and nobody could label meanwhile.
    catalogue = web.indexes.current_or_none()
    try:
        with web.store.write() as connection:
            _check(connection, catalogue, Question(given.query, given.a, given.b, given.methods))
            append_triplet(connection, given, form.request)
            count = judged(connection, session.account)
    except Unavailable:
        raise
    except InputError as error:
        raise NotKept(str(error)) from None
    if wants_json(request):
        return JSONResponse({"judged": count})
    if form.to and safe_target(form.to) == form.to:
        return RedirectResponse(form.to, 303)
    return RedirectResponse(link("/judge", skip=form.skip), 303)


def _check(connection: Connection, catalogue: Catalogue | None, question: Question) -> None:
    """Checks that these are three products that somebody could know.

    Raises:
      InputError: A product is unknown, or the three are not different.
    """
    ids = {name: getattr(question, name) for name in ("query", "a", "b")}
    if problems := problems_of(ids, (*ids, "methods")):
        raise InputError(problems)
    if is_question(connection, question):
        return
    known = set(connection.scalars(select(t.products.c.id).where(t.products.c.id.in_(ids.values()))))
    for id in sorted({*ids.values()} - known):
        if catalogue is None or catalogue.product(id) is None:
            raise InputError(Problem("", "expected a product of the index or the label store", value=id))
