"""A feed that is a query of an SQL database: SQLite, PostgreSQL, MySQL and MariaDB."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from modules.errors import Problem
from modules.feeds.sources.base import TO_HIDE, Fetched, SourceSettings
from modules.secrets import ENVIRONMENT, FILE, text_behind
from modules.settings.base import contradiction

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

    from modules.settings.workflow import Workflow


class SqlSource(SourceSettings):
    """Each row of the query is a record, each column one of the feed's; read when a run starts, and never written."""

    kind: Literal["sql"] = "sql"
    url: Annotated[str, Field(min_length=1, max_length=8192)]
    """``env:NAME`` or ``file:PATH`` of an address like ``postgresql://USER:PASSWORD@HOST/DATABASE``, or the address
    itself where it holds no password: ``sqlite:///shop.sqlite``."""
    query: Annotated[str, Field(min_length=1, max_length=65_536)]
    """One statement. With ``ORDER BY`` the same rows are the same snapshot, so that nothing runs again."""

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        yield from super().check(workflow, place)
        if self.url.startswith((ENVIRONMENT, FILE)):
            return
        scheme, separator, rest = self.url.partition("://")
        user, at, _ = rest.partition("/")[0].rpartition("@")
        if (at and ":" in user) or "?" in rest:
            yield contradiction(
                f"{place}.url", f"{scheme}://***", f"no password or parameter in a workflow file; {TO_HIDE}"
            )
        elif not separator or not rest:
            expected = "an address like postgresql://USER@HOST/DATABASE or sqlite:///FILE, or env:NAME"
            yield contradiction(f"{place}.url", self.url, expected)

    def title(self) -> str:
        from modules.databases import title_of

        return title_of(self._address())

    def fetch(self, file: Path, validators: Mapping[str, str]) -> Fetched | None:
        from modules.feeds.sources.rows import write_rows

        write_rows(self, self._address(), file)
        return Fetched(".jsonl.gz")

    def _address(self) -> URL:
        from modules.databases import database_url

        return database_url(text_behind(self.url, "source.url")[0], "source.url")
