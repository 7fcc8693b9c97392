"""What of a feed a run would leave out, as far as the products that were looked at tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modules.counting import counted
from modules.examples import BRAND, DESCRIPTION, TITLE
from modules.feeds.cleaning import clean
from modules.feeds.quarantine import Tally
from modules.settings.feed import FeedSettings
from pipeline.init.columns import SampledColumn
from pipeline.init.fields import FieldGuess


def left_out_notes(
    tally: Tally, columns: Mapping[str, SampledColumn], sample: Sequence[Mapping[str, Any]],
    fields: Sequence[FieldGuess], settings: FeedSettings,
) -> Iterator[str]:  # fmt: skip
    """Records that go to quarantine, and texts that are cut.

    Args:
      tally: the records that could not be read.
      columns: what ``sample``, the others, was summarised to.
    """
    by_field = {guess.field: guess.column for guess in fields}
    yield from _bad_notes(tally, columns[by_field["id"]], settings)
    for field in (TITLE, DESCRIPTION, BRAND):
        if field in by_field:
            yield from _cut_notes(by_field[field], sample, settings.max_field_chars)


def _bad_notes(tally: Tally, ids: SampledColumn, settings: FeedSettings) -> Iterator[str]:
    reasons = Counter(tally.counts)
    reasons["no_id"] += ids.rows - ids.filled
    reasons["duplicate_id"] += ids.filled - len(ids.distinct)
    bad, read = reasons.total(), ids.rows + tally.counts.total()
    if not bad:
        return
    named = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()) if count)
    first = min(
        (kept[0] for kept in tally.examples.values()), key=lambda record: (record.file, record.line), default=None
    )
    where = f"; the first that cannot be read: {first.file}:{first.line}: {first.detail}" if first else ""
    share = settings.quarantine.max_share
    then = (
        f"a run stops at more than {share:.0%}: mend the feed, or raise feed.quarantine.max_share"
        if bad > share * read
        else "a run leaves them out and counts them"
    )
    yield f"{counted(bad, 'record')} of {read:,} would go to quarantine ({named}); {then}{where}"


def _cut_notes(column: str, sample: Sequence[Mapping[str, Any]], limit: int) -> Iterator[str]:
    long = [text for record in sample if isinstance(text := record.get(column), str) and len(text) > limit]
    cut = sum(len(clean(text, len(text))) > limit for text in long)
    if cut:
        yield (
            f"column {column!r}: {counted(cut, 'text is', 'texts are')} longer than {counted(limit, 'character')}, "
            "after which a run cuts them (feed.max_field_chars)"
        )
