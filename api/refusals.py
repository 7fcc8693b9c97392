"""Why a request is not answered, in the one form that every refusal has."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.responses import Response

from modules.counting import counted
from modules.errors import InputError, shorten


class Refused(Exception):
    """A request that cannot be answered.

    Attributes:
      status: of HTTP. what: the mistake. where: the place in the request. expected: what would be right.
      next: what to do.
    """

    def __init__(self, status: int, what: str, where: str = "", expected: str = "", next: str = ""):
        super().__init__(what)
        self.status = status
        self.what, self.where, self.expected, self.next = what, where, expected, next

    @classmethod
    def of(cls, error: InputError, where: str = "", status: int = 422) -> Refused:
        """An InputError's first problem, which is about the request: never its file, which is the server's affair."""
        problem = error.problems[0]
        value = f"{problem.key} = {shorten(problem.value)!r} does not fit" if problem.value is not None else ""
        place = ".".join(part for part in (where, problem.key) if part)
        return cls(status, value or "it does not fit", place, problem.expected, problem.hint)

    @classmethod
    def invalid(cls, error: ValidationError | RequestValidationError) -> Refused:
        """What pydantic says of a request's first mistake."""
        if isinstance(error, ValidationError):
            mistake: Any = error.errors(include_url=False, include_context=False)[0]
        else:
            mistake = error.errors()[0]
        place = shorten(".".join(str(part) for part in mistake["loc"])) or "body"
        expected = "a JSON object" if mistake["type"] == "model_type" else mistake["msg"].removeprefix("Value error, ")
        return cls(422, f"got {_shown(mistake['input'])}", place, expected, "see /openapi.json for what may be asked")


def refusal(error: Refused, headers: dict[str, str] | None = None) -> Response:
    """The answer to a request that is refused."""
    body = {"what": error.what, "where": error.where, "expected": error.expected, "next": error.next}
    return answer({"error": body}, error.status, headers)


def answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON."""
    return Response(orjson.dumps(content), status, headers, "application/json")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return f"an object of {counted(len(value), 'key')}"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return shorten(repr(value).encode("utf-8", "replace").decode())
