"""Bodies of requests: JSON of a bounded length."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request

from api.refusals import Refused
from modules.http_server.gate import read_body

MAX_BODY = 8 << 20


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
        next_ = "numbers must be finite: NaN and Infinity are no JSON"
        raise Refused(400, f"no JSON: {error}", "body", "a JSON object", next_) from None


def require_json(request: Request) -> None:
    """Checks that a POST says that it is JSON, which a form of another site's page cannot.

    Raises:
      Refused: It says something else.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        next_ = "send -H 'content-type: application/json'"
        raise Refused(415, f"content-type {kind[:80]!r}", "header content-type", "application/json", next_)
