"""The answers about products that come with the request, for the OpenAPI document."""

from __future__ import annotations

from pydantic import BaseModel, Field

from api.answers import Category, Objective, Problem


class Classified(Objective):
    """What the model says of one objective."""

    is_answer: bool = Field(description="Whether the product is put into a category: `categories` is not empty.")
    guess: Category | None = Field(
        description="The best category, where nobody has labelled a product of it and the model knows it by its name "
        "alone. It is no answer: `category` is then null."
    )


class Unusable(Problem):
    """Why a record is no product; `reason` is that of the run's quarantine."""

    reason: str


class Result(BaseModel):
    """Of one record: what the model says, or why it is no product."""

    id: str | None = None
    objectives: dict[str, Classified] | None = None
    error: Unusable | None = None


class Single(BaseModel):
    """The answer to `product`."""

    id: str
    objectives: dict[str, Classified]
    model: str = Field(description="The fingerprint of the model, as in published documents.")
    version: str = Field(description="The number of the push that the model came with.")


class Many(BaseModel):
    """The answer to `products`, in their order."""

    results: list[Result]
    model: str
    version: str
