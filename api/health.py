"""Routes for whoever watches over the server."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response

from api import answers
from api.dependencies import SimilarityEngine
from api.refusals import answer

router = APIRouter()


@router.get("/healthz", response_model=answers.Health)
async def health() -> Response:
    """Whether the process answers."""
    return answer({"ok": True})


@router.get("/readyz", response_model=answers.Ready)
async def ready(engine: SimilarityEngine) -> Response:
    """Whether an index is loaded."""
    catalogue = engine.current().catalogue
    return answer({"ready": True, "version": catalogue.version, "methods": list(catalogue.methods)})


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(engine: SimilarityEngine) -> Response:
    """For Prometheus."""
    return Response(engine.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
