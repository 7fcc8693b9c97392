"""What may be asked about products that come with the request."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator
from starlette.requests import Request

from api.bodies import Asked, read_json
from api.refusals import Refused

MAX_PRODUCTS = 256
MAX_TOP = 100
MAX_EXPLAINED = 4
"""Products of a request that asks why: each costs as much as a hundred that are classified."""


class Classify(Asked):
    """The body of ``POST /v1/classify``."""

    product: dict[str, Any] | None = Field(
        None, description="A record with the fields that the workflow's feed mapping names.",
        examples=[{"id": "42", "title": "Red suede boots", "brand": "Acme"}],
    )  # fmt: skip
    products: Annotated[list[Any], Field(min_length=1, max_length=MAX_PRODUCTS)] | None = Field(
        None, description="Several records; what is wrong with one of them is said in its place."
    )
    retailer: Annotated[str, Field(max_length=1000)] | None = Field(
        None, description="Whose feed the records are like, where the workflow has several."
    )
    top: Annotated[int, Field(ge=1, le=MAX_TOP)] = Field(5, description="Categories per objective, best first.")

    why: bool = Field(
        False,
        description="Also say which words and attributes spoke for the categories; then up to "
        f"{MAX_EXPLAINED} products, since each word of a product asks the model again.",
    )

    @model_validator(mode="after")
    def _few(self) -> Classify:
        if self.why and self.products is not None and len(self.products) > MAX_EXPLAINED:
            raise ValueError(f"{MAX_EXPLAINED} products at most, where why is asked for")
        return self

    @model_validator(mode="after")
    def _some(self) -> Classify:
        if (self.product is None) == (self.products is None):
            raise ValueError("either product or products")
        return self


async def read_classify(request: Request) -> Classify:
    """Reads the body of ``POST /v1/classify``.

    Raises:
      Refused: The body is too long, is no JSON, or asks for what cannot be had.
    """
    content = await read_json(request, "send fewer products at a time")
    try:
        return Classify.model_validate(content)
    except ValidationError as error:
        raise Refused.invalid(error) from None
