"""A feed that is an index of OpenSearch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from modules.feeds.sources.search import SearchSource


class OpenSearchSource(SearchSource):
    """From version 2.4 on, which has points in time."""

    engine: ClassVar[str] = "OpenSearch"
    opening: ClassVar[str] = "_search/point_in_time"
    identifier: ClassVar[str] = "pit_id"
    closing: ClassVar[str] = "_search/point_in_time"

    kind: Literal["opensearch"] = "opensearch"
    order: Annotated[str, Field(min_length=1, max_length=255)] = "_id"
    """The field that documents are read in the order of: unique to each, and one that the engine can sort by.
    ``_shard_doc`` costs the server less, and needs OpenSearch 3.3."""

    def closed(self, point: str) -> Mapping[str, Any]:
        return {"pit_id": [point]}
