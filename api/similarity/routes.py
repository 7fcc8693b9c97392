"""The routes that answer which products are similar."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.bodies import require_json
from api.dependencies import SimilarityEngine
from api.refusals import Refused, answer
from api.similarity import answers
from api.similarity.requests import PathParameters, Similar, read_similar
from modules.errors import InputError

router = APIRouter()
_log = logging.getLogger("shelfmark.api")
_JSON = {"requestBody": {"required": True, "content": {"application/json": {"schema": Similar.model_json_schema()}}}}


@router.post("/v1/similar", openapi_extra=_JSON, response_model=answers.Similar | answers.SimilarOfMany)
async def similar(asked: Annotated[Similar, Depends(read_similar)], engine: SimilarityEngine) -> Response:
    """Neighbours of a product of the index, of a vector, a text or an image; of one query or of several."""
    return answer(await engine.similar(asked))


@router.get("/v1/similar/{id:path}", response_model=answers.Similar)
async def similar_to(
    request: Request, id: str, parameters: Annotated[PathParameters, Query()], engine: SimilarityEngine
) -> Response:
    """Neighbours of a product of the index."""
    return answer(await engine.similar(parameters.asked(id, request.query_params)))


@router.post("/v1/reload", response_model=answers.Reloaded, dependencies=[Depends(require_json)])
async def reload(engine: SimilarityEngine) -> Response:
    """Looks for a new index now; a broken one is refused, and the old one goes on."""
    try:
        changed = await run_in_threadpool(engine.load)
    except InputError as error:
        _log.error("the new index is refused, the old one goes on: %s", error)
        raise Refused(409, "the new index cannot be used", "index", "", "the server's log says why") from None
    return answer({"changed": changed, "version": engine.current().catalogue.version})
