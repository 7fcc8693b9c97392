"""Routes for whoever watches over the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from api import answers
from api.refusals import Refused, answer

if TYPE_CHECKING:
    from api.app import Services

router = APIRouter()


@router.get("/healthz", response_model=answers.Health)
async def health() -> Response:
    """Whether the process answers."""
    return answer({"ok": True})


@router.get("/readyz", response_model=answers.Ready, response_model_exclude_none=True)
async def ready(request: Request) -> Response:
    """Whether anything can be answered: an index, a model or the last blessed run's predictions are loaded."""
    services: Services = request.app.state.services
    served: dict[str, Any] = {}
    if services.similar is not None and services.similar.loaded is not None:
        catalogue = services.similar.loaded.catalogue
        served |= {"version": catalogue.version, "methods": list(catalogue.methods)}
    if services.classifier is not None and services.classifier.models.loaded is not None:
        served["model"] = services.classifier.models.loaded.push
    if services.products is not None and services.products.loaded is not None:
        served["run"] = services.products.loaded.run
    if not served:
        raise Refused(503, "nothing is loaded yet", "", "", "try again when /readyz answers 200")
    return answer({"ready": True, **served})


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """For Prometheus."""
    services: Services = request.app.state.services
    return Response(services.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
