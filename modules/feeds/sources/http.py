"""A feed behind an http or https address."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from modules.errors import InputError, Problem
from modules.feeds.sources.base import TO_HIDE, Fetched, SourceSettings
from modules.secrets import ENVIRONMENT, FILE, text_behind
from modules.settings.base import contradiction

if TYPE_CHECKING:
    from modules.feeds.sources.download import Request
    from modules.settings.workflow import Workflow

_LONGEST_TOKEN = 16_384


class HttpSource(SourceSettings):
    """Fetched when a run starts, unless the server says that nothing has changed."""

    kind: Literal["http"] = "http"
    url: Annotated[str, Field(min_length=1, max_length=8192)]
    """``https://host/path``, or ``env:NAME`` or ``file:PATH`` where it holds a secret (``https://user:password@host/``,
    a signed address)."""
    token: Annotated[str, Field(pattern=r"^(env|file):.+")] | None = None
    """``env:NAME`` or ``file:PATH`` of a token that is sent as ``Authorization: Bearer``, to the address's own host
    alone."""
    allow_private: bool = False
    """Allows hosts with loopback, private, link-local and other addresses that are not public."""
    timeout: Annotated[float, Field(gt=0.0, le=3600.0)] = 60.0
    """Seconds that the host may say nothing."""

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        yield from super().check(workflow, place)
        if self.url.startswith((ENVIRONMENT, FILE)):
            return
        scheme, separator, rest = self.url.partition("://")
        host = rest.partition("/")[0]
        if "@" in host:
            expected = f"no user or password in a workflow file; {TO_HIDE}"
            yield contradiction(f"{place}.url", f"{scheme}://***", expected)
        elif not separator or scheme.lower() not in ("http", "https") or not host:
            yield contradiction(f"{place}.url", self.url, "an address like https://host/feed.csv.gz, or env:NAME")

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
        return request(url, token, is_hidden)
