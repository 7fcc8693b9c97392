"""Labels of products that the feed does not have: mostly an id that was written in another way."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from modules.feeds.files import format_of
from modules.feeds.mapping import product_id
from modules.feeds.opening import size_of
from modules.feeds.quarantine import BadRecord
from modules.feeds.readers import read_records
from modules.feeds.values import NotUsable, getter
from modules.labels.ids import other_spelling
from modules.object_stores import is_remote
from pipeline.workflow_file import LoadedWorkflow

MAX_BYTES = 256 << 20
"""A larger feed is not read for it: the run counts labels without a product anyway."""
_SHOWN = 5


@dataclass(frozen=True)
class UnknownIds:
    """Labelled products that the feed lacks: how many of how many, and the first ones in alphabetical order."""

    unknown: int
    labelled: int
    first: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """For people; empty if the feed has all of them."""
        if not self.unknown:
            return ""
        ids = listed(self.first, self.unknown)
        return f"{self.unknown:,} of {self.labelled:,} labelled products are not in the feed: {ids}"


def listed(first: Iterable[str], count: int) -> str:
    """The first ids of ``count``, and that there are more."""
    shown = [repr(name) for name in first]
    return ", ".join([*shown, "..."] if count > len(shown) else shown)


def unknown_ids(loaded: LoadedWorkflow, labelled: Collection[str]) -> UnknownIds | None:
    """Which of the labelled products the feed lacks; None if it lies elsewhere, or is too large to be read for it.

    Raises:
      InputError: a file of the feed cannot be read.
    """
    settings = loaded.workflow.feed
    files = loaded.feed_files()
    if not files or any(is_remote(path) for path in files) or sum(map(size_of, files)) > MAX_BYTES:
        return None
    missing = set(labelled)
    read: Any = getter(settings.fields.id)
    for path in files:
        for record in read_records(path, format_of(path, settings), settings):
            if not missing:
                break
            if isinstance(record, BadRecord) or not isinstance(record.data, dict):
                continue
            try:
                name = product_id(settings.fields.id, read(record.data))
            except NotUsable:
                continue
            missing.discard(name)
            missing.discard(other_spelling(name))
    return UnknownIds(len(missing), len(labelled), tuple(sorted(missing)[:_SHOWN]))
