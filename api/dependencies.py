"""What the API's routes ask for by ``Depends``."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from api.similarity.engine import Engine


async def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.services.similar
    return engine


SimilarityEngine = Annotated[Engine, Depends(_engine)]
"""The engine that the application was made with."""
