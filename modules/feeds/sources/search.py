"""What OpenSearch and Elasticsearch have in common as sources of a feed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from modules.feeds.sources.base import Fetched
from modules.feeds.sources.web import WebSource
from modules.secrets import text_behind

if TYPE_CHECKING:
    from modules.feeds.sources.download import Request


class SearchSource(WebSource):
    """Each document of an index is a record, its ``_source`` with the document's ``_id``; read when a run starts.

    Attributes:
      engine: its name. opening: what follows the index' name where a point in time is opened.
      identifier: where the answer to that has the point in time. closing: where it is closed.
    """

    example: ClassVar[str] = "https://host:9200"
    engine: ClassVar[str]
    opening: ClassVar[str]
    identifier: ClassVar[str]
    closing: ClassVar[str]

    index: Annotated[str, Field(pattern=r'^[^\s/\\?#"<>|]{1,255}$')]
    """An index or an alias; several are separated by commas, and ``*`` stands for any letters."""
    query: dict[str, Any] | None = None
    """Which documents, in the engine's query language, such as ``{term: {sold: true}}``; left out: all."""
    order: Annotated[str, Field(min_length=1, max_length=255)]
    """The field that documents are read in the order of: unique to each, and one that the engine can sort by."""
    page: Annotated[int, Field(ge=1, le=10_000)] = 1000
    """Documents that are asked for at a time."""

    @abstractmethod
    def closed(self, point: str) -> Mapping[str, Any]:
        """The body of the request that closes a point in time."""

    def title(self) -> str:
        return f"{self._request().title}, index {self.index}"

    def fetch(self, file: Path, validators: Mapping[str, str]) -> Fetched | None:
        from modules.feeds.sources.documents import write_documents

        write_documents(self, self._request(), file)
        return Fetched(".jsonl.gz")

    def _request(self) -> Request:
        from modules.feeds.sources.download import request

        url, is_hidden = text_behind(self.url, "source.url")
        return request(url, None, is_hidden, self.example)
