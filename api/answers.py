"""The answers that every route of the API may give, for the OpenAPI document."""

from __future__ import annotations

from pydantic import BaseModel


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
    """An index is loaded."""

    ready: bool
    version: str
    methods: list[str]
