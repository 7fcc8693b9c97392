"""JSON Lines, and JSON documents that hold an array of objects."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from modules.errors import reason
from modules.feeds.formats.base import BLANK, FeedFormat, Head, ReadOptions, Record, Sniffed
from modules.feeds.formats.json_documents import Layout, layout_of, values
from modules.feeds.formats.text import encoding_notes, line_blocks
from modules.feeds.opening import BOM, open_text
from modules.feeds.quarantine import BadRecord, raw_text

ROWS = 4096
"""Values of a stretch of a document."""
_HEAD_BYTES = 262_144
# What Python, NumPy and JavaScript write for numbers that JSON has not; strings are matched to be passed over.
_NOT_A_NUMBER = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|-?\b(?:NaN|Infinity)\b', re.DOTALL)


class JsonLines(FeedFormat):
    """Stretches are blocks of lines, or of values. Blank lines count as lines and are no records."""

    kind = "jsonl"
    title = "JSON Lines (one object on each line), or a JSON array of objects"
    suffixes = (".jsonl", ".ndjson", ".json")
    splittable = True

    def read(self, path: str, options: ReadOptions) -> Iterator[Record | BadRecord]:
        layout = _layout(path, options)
        if layout is not None:
            yield from _read_document(path, options, layout)
            return
        limit = options.max_record_bytes
        with open_text(path, options.encoding) as stream:
            for stretch, (number, lines) in enumerate(line_blocks(stream, limit)):
                if not options.is_mine(stretch):
                    continue
                for line, raw in enumerate(lines, number):
                    if raw.strip():
                        yield _record(path, line, raw, limit)
                    else:
                        options.passed_over[BLANK] += 1

    def notes(self, path: str, options: ReadOptions) -> tuple[str, ...]:
        notes = encoding_notes(path, options)
        layout = _layout(path, options)
        if layout is not None and layout.path:
            notes += (f"the products are the values of the array {'.'.join(layout.path)!r}",)
        return notes

    def sniff(self, head: Head) -> Sniffed | None:
        text = head.data.removeprefix(BOM).lstrip()
        if text[:1] == b"[":
            return Sniffed(0.9) if text[1:].lstrip()[:1] in (b"{", b"]") else None
        return Sniffed(0.9) if text[:1] == b"{" else None


def _layout(path: str, options: ReadOptions) -> Layout | None:
    with open_text(path, options.encoding) as stream:
        head = stream.read(_HEAD_BYTES)
    return layout_of(head, len(head) < _HEAD_BYTES)


def _read_document(path: str, options: ReadOptions, layout: Layout) -> Iterator[Record | BadRecord]:
    with open_text(path, options.encoding) as stream:
        for number, raw in values(stream, layout, options.max_record_bytes):
            if options.is_mine((number - 1) // ROWS):
                yield _record(path, number, raw, options.max_record_bytes)


def _record(path: str, line: int, raw: bytes, limit: int) -> Record | BadRecord:
    if len(raw) > limit:
        return BadRecord(path, line, "too_long", f"more than {limit:,} bytes", raw_text(raw))
    try:
        return Record(line, _parse(raw), raw)
    except orjson.JSONDecodeError as error:
        return _broken(path, line, raw, error)


def _parse(raw: bytes) -> Any:
    """The value; a number that is not finite, which JSON has no way to write, is null."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        if b"NaN" not in raw and b"Infinity" not in raw:
            raise
    return orjson.loads(_NOT_A_NUMBER.sub(lambda match: match[0] if match[0][:1] == b'"' else b"null", raw))


def _broken(path: str, line: int, raw: bytes, error: Exception) -> BadRecord:
    try:
        raw.decode()
    except UnicodeDecodeError as undecodable:
        return BadRecord(path, line, "undecodable", reason(undecodable), raw_text(raw))
    return BadRecord(path, line, "broken_json", str(error), raw_text(raw))
