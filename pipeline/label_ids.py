"""Labels of products that the feed does not have: mostly an id that was written in another way."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from modules.counting import counted
from modules.feeds.files import format_of
from modules.feeds.ids import LabelIds
from modules.feeds.mapping import Mapper
from modules.feeds.opening import size_of
from modules.feeds.quarantine import BadRecord
from modules.feeds.readers import read_records
from modules.feeds.values import NotUsable
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
        of = f"of {counted(self.labelled, 'labelled product')}"
        return f"{counted(self.unknown, f'{of} is', f'{of} are')} not in the feed: {ids}"


def listed(first: Iterable[str], count: int) -> str:
    """The first ids of ``count``, and that there are more."""
    shown = [repr(name) for name in first]
    return ", ".join([*shown, "..."] if count > len(shown) else shown)


def unknown_ids(loaded: LoadedWorkflow, labelled: Collection[str]) -> UnknownIds | None:
    """Which of the labelled products the feed lacks; None if it lies elsewhere, or is too large to be read for it.

    Raises:
      InputError: a file of the feed cannot be read.
    """
    sources, files = loaded.workflow.sources, loaded.feed_files()
    paths = [file.path for file in files]
    if not paths or any(is_remote(path) for path in paths) or sum(map(size_of, paths)) > MAX_BYTES:
        return None
    ids = LabelIds.of(sources)
    missing = {ids.product_id(name): name for name in labelled}
    mappers = list(map(Mapper, sources))
    for path, number in files:
        for record in read_records(path, format_of(path, sources[number]), sources[number]):
            if not missing:
                break
            if isinstance(record, BadRecord) or not isinstance(record.data, dict):
                continue
            try:
                product_id = mappers[number].id(record.data)
            except NotUsable:
                continue
            for spelling in ids.spellings(product_id):
                missing.pop(spelling, None)
    return UnknownIds(len(missing), len(labelled), tuple(sorted(missing.values())[:_SHOWN]))
