"""Where a feed comes from that is no file here. A kind is a file of this folder and a line of :data:`Source`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from modules.feeds.sources.http import HttpSource
from modules.feeds.sources.sql import SqlSource

Source = Annotated[HttpSource | SqlSource, Field(discriminator="kind")]
"""Any kind, as the workflow file declares it."""
