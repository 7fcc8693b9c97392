"""What people and scripts are answered while the label store cannot be used."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from labelling.store.outages import Unavailable

if TYPE_CHECKING:
    from labelling.web.context import Web

RETRY = 5
"""Seconds after which browsers try again."""

LOG_EVERY = 60.0
"""Seconds between two lines of the log about outages of the same kind."""

_log = logging.getLogger("shelfmark.labelling")


class Outages:
    """Answers for all pages; the log gets what they do not show."""

    def __init__(self, web: Web):
        self._web = web
        self._logged: dict[str, float] = {}

    def answer(self, request: Request, error: Unavailable) -> Response:
        """503: a page that loads itself again, or offers a form to send again; JSON to scripts."""
        self._log(error)
        request.state.session = getattr(request.state, "session", None)
        headers = {"retry-after": str(RETRY)}
        if "text/html" not in request.headers.get("accept", ""):
            return JSONResponse({"error": error.reason, "store": error.kind}, 503, headers)
        posted = request.method == "POST"
        # Nobody's password is part of a page.
        fields = getattr(request.state, "form", []) if posted and request.url.path != "/sign-in" else []
        response = self._web.page(
            request, "unavailable.html.j2", code=503, reason=error.reason, fields=fields, posted=posted, retry=RETRY
        )
        response.headers.update(headers)
        return response

    def _log(self, error: Unavailable) -> None:
        now = time.monotonic()
        if now - self._logged.get(error.kind, -LOG_EVERY) >= LOG_EVERY:
            self._logged[error.kind] = now
            cause = error.__cause__
            _log.warning("%s%s", error, f" ({getattr(cause, 'orig', cause)})" if cause is not None else "")
