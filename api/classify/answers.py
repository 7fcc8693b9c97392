"""The answers about products that come with the request, for the OpenAPI document."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from api.answers import Category, Objective, Problem


class Part(BaseModel):
    """A word or an attribute that was left out of the product."""

    kind: Literal["word", "attribute"]
    text: str = Field(description="The word in lower case, or the attribute's value.")
    columns: list[str] = Field(description="The columns of the product that it stands in.")
    times: int
    effect: float = Field(description="By how much it raises the score of the category; negative: it speaks against.")


class Reasons(Category):
    """What spoke for a category: ln(p / q) with the probability q of `against`, else ln(p / (1 - p)), is the score."""

    is_assigned: bool = Field(description="Whether the product is put into the category.")
    is_guess: bool
    against: Category | None = Field(description="The second best; null where a product may have several categories.")
    parts: list[Part] = Field(description="The parts with the largest effects, the most positive first.")


class Classified(Objective):
    """What the model says of one objective."""

    is_answer: bool = Field(description="Whether the product is put into a category: `categories` is not empty.")
    guess: Category | None = Field(
        description="The best category, where nobody has labelled a product of it and the model knows it by its name "
        "alone. It is no answer: `category` is then null."
    )
    why: list[Reasons] | None = Field(
        None,
        description="Only where the request asks why: for the answer, or each assigned category, or else the best one. "
        "Empty where the model had no label of the objective to learn from.",
    )


class Unusable(Problem):
    """Why a record is no product; `reason` is that of the run's quarantine."""

    reason: str


class Result(BaseModel):
    """Of one record: what the model says, or why it is no product."""

    id: str | None = None
    objectives: dict[str, Classified] | None = None
    untried_words: int | None = Field(None, description="Words behind the first ones, where the request asks why.")
    error: Unusable | None = None


class Single(BaseModel):
    """The answer to `product`."""

    id: str
    objectives: dict[str, Classified]
    untried_words: int | None = Field(None, description="Words behind the first ones, where the request asks why.")
    model: str = Field(description="The fingerprint of the model, as in published documents.")
    version: str = Field(description="The number of the push that the model came with.")


class Many(BaseModel):
    """The answer to `products`, in their order."""

    results: list[Result]
    model: str
    version: str
