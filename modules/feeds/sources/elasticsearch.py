"""A feed that is an index of Elasticsearch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from modules.feeds.sources.search import SearchSource


class ElasticsearchSource(SearchSource):
    """From version 7.12 on, which can sort a point in time by ``_shard_doc``."""

    engine: ClassVar[str] = "Elasticsearch"
    opening: ClassVar[str] = "_pit"
    identifier: ClassVar[str] = "id"
    closing: ClassVar[str] = "_pit"

    kind: Literal["elasticsearch"] = "elasticsearch"
    order: Annotated[str, Field(min_length=1, max_length=255)] = "_shard_doc"
    """The field that documents are read in the order of: unique to each, and one that the engine can sort by. With one
    of your own the same documents are the same snapshot."""

    def closed(self, point: str) -> Mapping[str, Any]:
        return {"id": point}
