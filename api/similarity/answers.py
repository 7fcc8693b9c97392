"""The answers about similar products, for the OpenAPI document."""

from __future__ import annotations

from pydantic import BaseModel


class Neighbour(BaseModel):
    """A product, and how alike it is: the cosine, or the score of a full-text engine."""

    id: str
    score: float
    title: str | None
    category: str | None
    retailer: str | None
    price: float | None
    availability: str | None


class Index(BaseModel):
    """What was searched."""

    version: str
    by: str
    products: int


class Neighbours(BaseModel):
    """Of one query, best first."""

    neighbours: list[Neighbour]


class Similar(BaseModel):
    """The answer to ``query``."""

    neighbours: list[Neighbour]
    index: Index


class SimilarOfMany(BaseModel):
    """The answer to ``queries``, in their order."""

    results: list[Neighbours]
    index: Index


class Reloaded(BaseModel):
    """Whether another index is served now, and which one is."""

    changed: bool
    version: str
