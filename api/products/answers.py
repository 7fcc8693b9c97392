"""The answers about products and categories of the last blessed run, for the OpenAPI document."""

from __future__ import annotations

from pydantic import BaseModel, Field

from api.answers import Objective


class Similar(BaseModel):
    """A similar product."""

    id: str
    score: float


class Product(BaseModel):
    """What the run says of a product: the document that `shelfmark publish` sends."""

    id: str
    retailer: str
    objectives: dict[str, Objective]
    neighbours: list[Similar] | None = Field(None, description="Where the run has a table of neighbours.")
    version: int
    run: str
    model: str


class Products(BaseModel):
    """A page of products, in the order of their ids."""

    products: list[Product]
    next: str | None = Field(description="The cursor of the next page; null on the last one.")


class Category(BaseModel):
    """A category, and how many products are predicted to be in it or below."""

    id: str
    path: str
    name: str
    parent: str | None
    level: int
    products: int


class Categories(BaseModel):
    """A page of categories, in the order of the taxonomy."""

    categories: list[Category]
    next: str | None
    run: str


class Figures(BaseModel):
    """A category's figures in one run, such as `f1`, `precision`, `recall` and `support`."""

    run: str
    time: str
    objective: str
    values: dict[str, float]


class CategoryWithFigures(Category):
    """A category, and what the runs have measured of it, oldest run first."""

    children: list[str]
    metrics: list[Figures] = Field(description="Of the last run that measured it; one entry per objective.")
    history: list[Figures]
    run: str
