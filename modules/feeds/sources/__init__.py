"""Where a feed comes from that is no file here. A kind is a file of this folder and a line of :data:`Source`, or an
entry point.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias, get_args

from pydantic import Field

from modules.feeds.sources.base import SourceSettings
from modules.feeds.sources.elasticsearch import ElasticsearchSource
from modules.feeds.sources.http import HttpSource
from modules.feeds.sources.opensearch import OpenSearchSource
from modules.feeds.sources.sql import SqlSource
from modules.plugins import EntryPoints, WithEntryPoints

_Builtin: TypeAlias = HttpSource | SqlSource | OpenSearchSource | ElasticsearchSource

SOURCES: EntryPoints[SourceSettings] = EntryPoints(
    "shelfmark.feed_sources",
    "feed source",
    SourceSettings,  # type: ignore[type-abstract]
    [kind.model_fields["kind"].default for kind in get_args(_Builtin)],
)
"""Those that other distributions add."""

Source = Annotated[_Builtin, Field(discriminator="kind"), WithEntryPoints(SOURCES, SourceSettings)]
"""Any kind, as the workflow file declares it."""
