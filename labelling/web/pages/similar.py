"""Products and their neighbours by each method, and people's verdicts on which of two is more alike."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
from fastapi import APIRouter
from sqlalchemy import Connection, select
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from labelling.store import tables as t
from labelling.store.database import now
from labelling.store.outages import Unavailable
from labelling.store.triplets import append_triplet, is_question, judged, last_verdict, next_triplets
from labelling.web.alike import columns, drawn, tiles_of
from labelling.web.context import Web, wants_json
from labelling.web.formatting import link
from labelling.web.security import form_of, safe_target
from modules.errors import InputError, Problem
from modules.similarity.catalogue import Catalogue
from modules.similarity_quality.triplets import Question, Triplet, problems_of

DEPTHS = (6, 10, 20, 50)
FOUND = 24


def routes(web: Web) -> APIRouter:
    """The routes."""
    router = APIRouter()
    hosts = web.settings.image_hosts

    def catalogue() -> Catalogue | None:
        try:
            return web.indexes.current()
        except InputError:
            return None

    @router.get("/similar")
    def similar(request: Request) -> Response:
        asked = request.query_params
        name, text = asked.get("id", "")[:1000], asked.get("q", "").strip()[:200]
        category = asked.get("category", "").strip()[:1000]
        k = next((one for one in DEPTHS if asked.get("k") == str(one)), DEPTHS[1])
        try:
            open_ = web.indexes.current()
        except InputError:
            return web.page(request, "no_index.html.j2")
        if text and open_.product(text) is not None:
            return RedirectResponse(link("/similar", id=text, category=category, k=k), 303)
        values: dict[str, Any] = {"text": text, "category": category, "k": k, "depths": DEPTHS, "problem": ""}
        with web.store.read() as connection:
            values["to_judge"] = bool(next_triplets(connection, request.state.session.account))
        if not name:
            ids = [one.id for one in open_.titled(text, FOUND)] if text else drawn(open_, 12, np.random.default_rng())
            with web.store.read() as connection:
                tiles = list(tiles_of(connection, open_, ids, hosts).values())
            return web.page(request, "similar_start.html.j2", tiles=tiles, count=len(open_), **values)
        if open_.product(name) is None:
            return web.missing(request, "The index has no such product.")
        code = 200
        try:
            within = open_.restriction([category]) if category else None
        except InputError as error:
            # Nothing is shown where something else than what was asked for would be.
            found = error.problems[0]
            code, values["problem"] = 422, f"{found.expected}{'; ' + found.hint if found.hint else ''}"
        with web.store.read() as connection:
            one = tiles_of(connection, open_, [name], hosts)[name]
            its = [] if values["problem"] else columns(connection, web.indexes, open_, name, k, within, hosts)
        steps = one.category.split(" > ") if one.category else []
        above = [" > ".join(steps[: i + 1]) for i in range(len(steps))]
        return web.page(request, "similar.html.j2", code=code, one=one, columns=its, above=above, **values)

    @router.get("/similar/categories")
    def categories(request: Request) -> Response:
        open_ = catalogue()
        if open_ is None or open_.taxonomy is None:
            return JSONResponse([])
        text = request.query_params.get("q", "")[:200]
        return JSONResponse([one.text for one in web.search(open_.taxonomy, exclusive=False).find(text)])

    @router.get("/judge")
    def judge(request: Request) -> Response:
        asked = request.query_params
        who = request.state.session.account
        skip = int(asked["skip"]) if _is_number(asked.get("skip")) else 0
        chosen, open_ = _chosen(asked), catalogue()
        with web.store.read() as connection:
            question = chosen or next(iter(next_triplets(connection, who, skip=skip)), None)
            last, count = last_verdict(connection, who), judged(connection, who)
            tiles: dict[str, Any] = {}
            if question is not None:
                try:
                    _check(connection, open_, question)
                except InputError as error:
                    return web.missing(request, str(error))
                tiles = tiles_of(connection, open_, [question.query, question.a, question.b], hosts)
        to = safe_target(asked.get("to")) if asked.get("to") else ""
        return web.page(
            request, "judge.html.j2", question=question, tiles=tiles, last=last, count=count, skip=skip,
            chosen=chosen is not None, to=to, request_id=secrets.token_urlsafe(18),
        )  # fmt: skip

    @router.post("/judge")
    def verdict(request: Request) -> Response:
        form = form_of(request)
        methods = tuple(m for m in (form("a_method"), form("b_method")) if m)
        who = request.state.session.account
        try:
            given = Triplet(
                form("query") or "", form("a") or "", form("b") or "", form("verdict") or "", who, now(),
                methods if len(methods) == 2 else (),
            )  # fmt: skip
            question = Question(given.query, given.a, given.b, given.methods)
            # Opened before the transaction: it may take a while, and nobody could label meanwhile.
            open_ = catalogue()
            with web.store.write() as connection:
                _check(connection, open_, question)
                append_triplet(connection, given, (form("request") or secrets.token_urlsafe(18))[:64])
                count = judged(connection, who)
        except Unavailable:
            raise
        except InputError as error:
            if wants_json(request):
                return JSONResponse({"error": f"not kept: {error}"}, 400)
            return web.missing(request, f"Not kept: {error}", code=400)
        if wants_json(request):
            return JSONResponse({"judged": count})
        to, skip = form("to"), form("skip")
        if to and safe_target(to) == to:
            return RedirectResponse(to, 303)
        return RedirectResponse(link("/judge", skip=skip if _is_number(skip) else ""), 303)

    return router


def _chosen(asked: Any) -> Question | None:
    """Three products that a link or a form names, with the methods that proposed two of them: ``pick``, which comes
    twice, each a method and an id; or ``a``, ``b``, ``a_method`` and ``b_method``."""
    query, a, b = (asked.get(name, "")[:1000] for name in ("query", "a", "b"))
    methods = tuple(one[:1000] for one in (asked.get("a_method"), asked.get("b_method")) if one)
    methods = methods if len(methods) == 2 else ()
    picks = [one.partition(" ") for one in asked.getlist("pick")[:2]]
    if len(picks) == 2:
        a, b = (id for _, _, id in picks)
        methods = tuple(method for method, _, _ in picks)
    return Question(query, a, b, methods) if query and (a or b) else None


def _check(connection: Connection, catalogue: Catalogue | None, question: Question) -> None:
    """Whether these are three products that somebody could know.

    Raises:
      InputError: one is not.
    """
    ids = {name: getattr(question, name) for name in ("query", "a", "b")}
    if problems := problems_of(ids, (*ids, "methods")):
        raise InputError(problems)
    if is_question(connection, question):
        return
    known = set(connection.scalars(select(t.products.c.id).where(t.products.c.id.in_(ids.values()))))
    for one in sorted({*ids.values()} - known):
        if catalogue is None or catalogue.product(one) is None:
            raise InputError(Problem("", "expected a product of the index or the label store", value=one))


def _is_number(text: str | None) -> bool:
    return bool(text) and text is not None and text.isascii() and text.isdigit() and len(text) < 10
