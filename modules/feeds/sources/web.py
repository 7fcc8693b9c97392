"""What all sources behind an http or https address have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from modules.errors import Problem
from modules.feeds.sources.base import TO_HIDE, SourceSettings
from modules.secrets import ENVIRONMENT, FILE
from modules.settings.base import contradiction

if TYPE_CHECKING:
    from modules.settings.workflow import Workflow


class WebSource(SourceSettings):
    """A source that a server answers for."""

    example: ClassVar[str]
    """An address, for messages."""

    url: Annotated[str, Field(min_length=1, max_length=8192)]
    """The address, or ``env:NAME`` or ``file:PATH`` where it holds a secret (``https://user:password@host/``, a signed
    address)."""
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
            yield contradiction(f"{place}.url", self.url, f"an address like {self.example}, or env:NAME")
