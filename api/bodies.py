"""Bodies of requests: JSON of a bounded length, and what all their models share."""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, model_validator
from starlette.requests import Request

from api.refusals import Refused
from modules.errors import shorten
from modules.http_server.gate import read_body

MAX_BODY = 8 << 20


class Asked(BaseModel):
    """A JSON object of a request: typed, frozen, and without other keys than its own."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, content: Any) -> Any:
        # pydantic would make a mistake of each unknown key, and hundreds of thousands fit into a body.
        unknown = (
            next((key for key in content if key not in cls.model_fields), None) if isinstance(content, dict) else None
        )
        if unknown is not None:
            raise ValueError(f"no other keys than {', '.join(cls.model_fields)}; not {shorten(unknown)!r}")
        return content


async def read_json(request: Request, shorter: str) -> Any:
    """Reads the body of a request.

    Args:
      request: The request, whose body nobody has read yet.
      shorter: What to do where the body is too long.

    Raises:
      Refused: The body is too long, nested too deeply, or no JSON, or the request does not say that it is.
    """
    require_json(request)
    body = await read_body(request, MAX_BODY)
    if body is None:
        raise Refused(413, f"more than {MAX_BODY:,} bytes", "body", f"at most {MAX_BODY:,} bytes", shorter)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        next_ = "send one JSON document in UTF-8 with finite numbers: NaN and Infinity are no JSON"
        raise Refused(400, f"no JSON: {error}", "body", "a JSON object", next_) from None


def require_json(request: Request) -> None:
    """Checks that a POST says that it is JSON, which a form of another site's page cannot, and not compressed.

    Raises:
      Refused: It says something else.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        next_ = "send -H 'content-type: application/json'"
        raise Refused(415, f"content-type {shorten(kind)!r}", "header content-type", "application/json", next_)
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        what = f"content-encoding {shorten(encoding)!r}"
        raise Refused(415, what, "header content-encoding", "a body that is not compressed", "send it as it is")
