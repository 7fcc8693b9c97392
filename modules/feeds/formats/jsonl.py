"""JSON Lines: one JSON value on each line."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from modules.errors import reason
from modules.feeds.formats.base import FeedFormat, Head, ReadOptions, Record, Sniffed
from modules.feeds.formats.text import line_blocks
from modules.feeds.opening import BOM, open_text
from modules.feeds.quarantine import BadRecord, raw_text


class JsonLines(FeedFormat):
    """Stretches are blocks of lines. Blank lines count as lines and are no records."""

    kind = "jsonl"
    title = "JSON Lines (one object on each line)"
    suffixes = (".jsonl", ".ndjson", ".json")
    splittable = True

    def read(self, path: str, options: ReadOptions) -> Iterator[Record | BadRecord]:
        limit = options.max_record_bytes
        with open_text(path) as stream:
            for stretch, (number, lines) in enumerate(line_blocks(stream, limit)):
                if not options.is_mine(stretch):
                    continue
                for line, raw in enumerate(lines, number):
                    if len(raw) > limit:
                        yield BadRecord(path, line, "too_long", f"more than {limit:,} bytes", raw_text(raw))
                        continue
                    try:
                        yield Record(line, orjson.loads(raw), raw)
                    except orjson.JSONDecodeError as error:
                        if raw.strip():
                            yield _broken(path, line, raw, error)

    def sniff(self, head: Head) -> Sniffed | None:
        text = head.data.removeprefix(BOM).lstrip()
        return Sniffed(0.9) if text[:1] == b"{" else None


def _broken(path: str, line: int, raw: bytes, error: Exception) -> BadRecord:
    try:
        raw.decode()
    except UnicodeDecodeError as undecodable:
        return BadRecord(path, line, "undecodable", reason(undecodable), raw_text(raw))
    return BadRecord(path, line, "broken_json", str(error), raw_text(raw))
