"""The answers that every route of the API may give, for the OpenAPI document."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class Problem(BaseModel):
    """What is wrong, where in the request, what would be right, what to do."""

    what: str
    where: str
    expected: str
    next: str


class Error(BaseModel):
    """A request that is not answered."""

    error: Problem


class Health(BaseModel):
    """The process answers."""

    ok: bool


class Ready(BaseModel):
    """Something is loaded; what is not is left out."""

    ready: bool
    version: str | None = Field(None, description="Of the index.")
    methods: list[str] | None = Field(None, description="That the index searches by.")
    model: str | None = Field(None, description="The version that classifies.")
    run: str | None = Field(None, description="Whose predictions are answered.")


class Category(BaseModel):
    """A category, and how probable it is."""

    category_id: str
    category: str
    probability: float


class Objective(BaseModel):
    """What is said of a product for one objective."""

    category_id: str | None
    category: str | None = Field(description='The names of the path, joined by " > "; null where there is no answer.')
    probability: float | None
    categories: list[str] = Field(
        description="Ids of the categories that the product is put into: one at most, or those over their threshold."
    )
    decision: Literal["accept", "review"] | None = Field(
        None, description="Whether the category needs no look; only where the last blessed run has thresholds for it."
    )
    top: list[Category] = Field(description="The most probable categories, best first.")
