"""A feed behind an http or https address."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from modules.errors import InputError, Problem
from modules.feeds.sources.base import Fetched
from modules.feeds.sources.web import WebSource
from modules.secrets import text_behind

if TYPE_CHECKING:
    from modules.feeds.sources.download import Request

_LONGEST_TOKEN = 16_384


class HttpSource(WebSource):
    """Fetched when a run starts, unless the server says that nothing has changed."""

    example: ClassVar[str] = "https://host/feed.csv.gz"

    kind: Literal["http"] = "http"
    token: Annotated[str, Field(pattern=r"^(env|file):.+")] | None = None
    """``env:NAME`` or ``file:PATH`` of a token that is sent as ``Authorization: Bearer``, to the address's own host
    alone."""

    def title(self) -> str:
        return self._request().title

    def fetch(self, file: Path, validators: Mapping[str, str]) -> Fetched | None:
        from modules.feeds.sources.download import Download

        with Download(self, self._request()) as download:
            return download.fetch(file, validators)

    def _request(self) -> Request:
        from modules.feeds.sources.download import request

        url, is_hidden = text_behind(self.url, "source.url")
        token = None if self.token is None else text_behind(self.token, "source.token")[0]
        if token is not None and not (token.isascii() and token.isprintable() and len(token) <= _LONGEST_TOKEN):
            expected = f"expected a token in one line, of at most {_LONGEST_TOKEN:,} ASCII characters"
            raise InputError(Problem("", expected, key="source.token"))
        return request(url, token, is_hidden, self.example)
