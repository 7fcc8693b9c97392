"""The route that puts products into categories."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from api.classify import answers
from api.classify.classifier import Classifier
from api.classify.requests import Classify, read_classify
from api.refusals import answer

router = APIRouter()
_JSON = {"requestBody": {"required": True, "content": {"application/json": {"schema": Classify.model_json_schema()}}}}


async def _classifier(request: Request) -> Classifier:
    classifier: Classifier = request.app.state.services.classifier
    return classifier


@router.post("/v1/classify", openapi_extra=_JSON, response_model=answers.Single | answers.Many)
async def classify(
    asked: Annotated[Classify, Depends(read_classify)], classifier: Annotated[Classifier, Depends(_classifier)]
) -> Response:
    """Categories of one product or of several, by the last model that was blessed."""
    return answer(await classifier.classify(asked))
