"""What may be asked about similar products: typed, frozen models, checked before anything is searched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.requests import Request

from api.bodies import MAX_BODY, Asked, read_json
from api.refusals import Refused
from modules.errors import shorten

MAX_QUERIES = 256
MAX_IMAGES = 16
"""In a request: a small file may take long to decode."""
MAX_K = 1000
MAX_TEXT = 2000
MAX_ID = 1000
MAX_DIMENSION = 8192

Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_ID)]
# Only the first mistake is answered: the thousands of others in a long list are not looked for.
Names = Annotated[list[Name], Field(fail_fast=True, min_length=1, max_length=100)]
Number = Annotated[float, Field(allow_inf_nan=False, ge=-3e38, le=3e38)]
Price = Annotated[float, Field(allow_inf_nan=False, ge=0.0)]


class Query(Asked):
    """What neighbours are looked for of: an id, or a vector, or a text or an image (or both)."""

    id: Name | None = Field(None, description="Of a product in the index.", examples=["D0000042"])
    vector: Annotated[list[Number], Field(fail_fast=True, min_length=1, max_length=MAX_DIMENSION)] | None = Field(
        None, description="An embedding of the run's model; of any length but zero."
    )
    text: Text | None = Field(None, description="A title; the run's model embeds it.")
    image: Annotated[str, Field(min_length=1, max_length=MAX_BODY)] | None = Field(
        None, description="JPEG, PNG, WebP or GIF in base64."
    )

    @model_validator(mode="after")
    def _one(self) -> Query:
        given = [name for name in ("id", "vector", "text", "image") if getattr(self, name) is not None]
        if len(given) != 1 and given != ["text", "image"]:
            raise ValueError(f"one of id, vector, text, image (or text and image); not {' and '.join(given) or 'none'}")
        return self


class Within(Asked):
    """Which products may be answers; what is left out restricts nothing."""

    category: Names | None = Field(None, description="Ids or paths; all below them count, too.")
    retailer: Names | None = None
    availability: Names | None = None
    price_from: Price | None = None
    price_to: Price | None = None


class Similar(Asked):
    """The body of ``POST /v1/similar``."""

    query: Query | None = None
    queries: Annotated[list[Query], Field(fail_fast=True, min_length=1, max_length=MAX_QUERIES)] | None = None
    k: Annotated[int, Field(ge=1, le=MAX_K)] = 10
    by: Name | None = Field(None, description="The method; default: the first that the run has.", examples=["joint"])
    within: Within = Field(default_factory=lambda: Within.model_validate({}))

    @model_validator(mode="after")
    def _some(self) -> Similar:
        if (self.query is None) == (self.queries is None):
            raise ValueError("either query or queries")
        if sum(query.image is not None for query in self.all()) > MAX_IMAGES:
            raise ValueError(f"at most {MAX_IMAGES} images in a request")
        return self

    def all(self) -> list[Query]:
        """The queries."""
        return list(self.queries or ([self.query] if self.query is not None else []))


class PathParameters(BaseModel):
    """The parameters of ``GET /v1/similar/{id}``; numbers come as texts, so that they are refused in the API's form."""

    model_config = ConfigDict(frozen=True)

    k: str = Field("10", description="How many; 1 to 1,000.")
    by: str | None = None
    category: list[str] | None = None
    retailer: list[str] | None = None
    availability: list[str] | None = None
    price_from: str | None = None
    price_to: str | None = None

    def asked(self, id: str, given: Iterable[str]) -> Similar:
        """The request that the parameters stand for.

        Args:
          id: The product whose neighbours are asked for.
          given: The names of all parameters that the request has.

        Raises:
          Refused: A parameter does not exist, or does not fit.
        """
        known = list(type(self).model_fields)
        for name in given:
            if name not in known:
                raise Refused(422, "no such parameter", shorten(name), f"one of: {', '.join(known)}")
        within = self.model_dump(include={"category", "retailer", "availability"}, exclude_none=True)
        for name in ("price_from", "price_to"):
            if (text := getattr(self, name)) is not None:
                within[name] = _number(name, text)
        return valid({"query": {"id": id}, "k": _number("k", self.k), "by": self.by, "within": within})


def _number(name: str, text: str) -> int | float:
    """Reads a number of the parameters of a path."""
    try:
        return int(text[:30]) if name == "k" else float(text[:30])
    except ValueError:
        raise Refused(422, f"got {text[:80]!r}", name, "a number", "see /openapi.json for what may be asked") from None


async def read_similar(request: Request) -> Similar:
    """Reads the body of ``POST /v1/similar``.

    Raises:
      Refused: The body is too long, is no JSON, or asks for what cannot be had.
    """
    content = await read_json(request, "send fewer queries at a time")
    return valid(content)


def valid(content: Any) -> Similar:
    """Checks a request.

    Args:
      content: The request as plain values, in the form of ``POST /v1/similar``.

    Raises:
      Refused: It does not fit; the first mistake says why.
    """
    try:
        return Similar.model_validate(content)
    except ValidationError as error:
        raise Refused.invalid(error) from None
