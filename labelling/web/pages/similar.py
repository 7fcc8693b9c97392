"""Products and their neighbours by each method."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter
from pydantic import BeforeValidator
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from labelling.store.triplets import next_triplets
from labelling.web.alike import columns, drawn, tiles_of
from labelling.web.context import Web
from labelling.web.dependencies import Missing, SharedWeb, SignedIn
from labelling.web.formatting import link
from labelling.web.forms import MAX_ID, MAX_SEARCH, Id, SearchText
from modules.errors import InputError
from modules.similarity.catalogue import Catalogue
from modules.similarity.items import Restriction

DEPTHS = (6, 10, 20, 50)
"""How many neighbours of each method can be asked for."""
HITS = 24
DRAWN = 12

Depth = Annotated[int, BeforeValidator(lambda text: next((k for k in DEPTHS if text == str(k)), DEPTHS[1]))]

router = APIRouter()


@router.get("/similar")
def similar(
    request: Request, web: SharedWeb, session: SignedIn, id: Id = "", q: SearchText = "", category: str = "",
    k: Depth = DEPTHS[1],
) -> Response:  # fmt: skip
    """The neighbours of a product; without one, products to begin with: those with a text in their title, or any."""
    category = category.strip()[:MAX_ID]
    try:
        catalogue = web.indexes.current()
    except InputError:
        return web.page(request, "no_index.html.j2")
    if q and catalogue.product(q) is not None:
        return RedirectResponse(link("/similar", id=q, category=category, k=k), 303)
    values: dict[str, Any] = {"text": q, "category": category, "k": k, "depths": DEPTHS, "problem": ""}
    with web.store.read() as connection:
        values["to_judge"] = bool(next_triplets(connection, session.account))
    if id:
        return _neighbours(request, web, catalogue, id, values)
    ids = [hit.id for hit in catalogue.titled(q, HITS)] if q else drawn(catalogue, DRAWN, np.random.default_rng())
    with web.store.read() as connection:
        tiles = list(tiles_of(connection, catalogue, ids, web.settings.image_hosts).values())
    return web.page(request, "similar_start.html.j2", tiles=tiles, count=len(catalogue), **values)


def _neighbours(request: Request, web: Web, catalogue: Catalogue, id: str, values: dict[str, Any]) -> Response:
    if catalogue.product(id) is None:
        raise Missing("The index has no such product.")
    within, problem = _within(catalogue, values["category"])
    hosts = web.settings.image_hosts
    with web.store.read() as connection:
        product = tiles_of(connection, catalogue, [id], hosts)[id]
        # Nothing is shown where something else than what was asked for would be.
        by_method = [] if problem else columns(connection, web.indexes, catalogue, id, values["k"], within, hosts)
    steps = product.category.split(" > ") if product.category else []
    above = [" > ".join(steps[: i + 1]) for i in range(len(steps))]
    values |= {"problem": problem, "one": product, "columns": by_method, "above": above}
    return web.page(request, "similar.html.j2", code=422 if problem else 200, **values)


def _within(catalogue: Catalogue, category: str) -> tuple[Restriction | None, str]:
    """The restriction to a category, and what is wrong with the category; empty: nothing."""
    try:
        return catalogue.restriction([category]) if category else None, ""
    except InputError as error:
        problem = error.problems[0]
        return None, f"{problem.expected}{'; ' + problem.hint if problem.hint else ''}"


@router.get("/similar/categories")
def categories(web: SharedWeb, q: str = "") -> Response:
    """The index's categories, those most like the text first."""
    catalogue = web.indexes.current_or_none()
    if catalogue is None or catalogue.taxonomy is None:
        return JSONResponse([])
    hits = web.search(catalogue.taxonomy, exclusive=False).find(q[:MAX_SEARCH])
    return JSONResponse([category.text for category in hits])
