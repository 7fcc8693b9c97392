"""What formats of text share: lines in bounded memory, whatever ends them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from modules.feeds.encodings import UTF8
from modules.feeds.formats.base import ReadOptions
from modules.feeds.opening import BOM, encoding

BLOCK = 1 << 20
"""Bytes that are read at once."""
_NAMES = {"cp1252": "Windows-1252 (or Latin-1, its part)", "utf-16": "UTF-16"}


def line_blocks(stream: IO[bytes], limit: int) -> Iterator[tuple[int, list[bytes]]]:
    """Lines without what ends them, in blocks of about a megabyte: (number of the first line, lines).

    A line ends with LF, CR LF or CR. One of more than ``limit`` bytes comes as its first ``limit`` + 1 bytes, so that
    memory stays bounded.
    """
    number = 1
    rest = b""
    first = True
    after_cr = False
    while block := stream.read(BLOCK):
        if first:
            while len(block) < len(BOM) and (more := stream.read(BLOCK)):
                block += more
            block = block.removeprefix(BOM)
            first = False
        if after_cr and block.startswith(b"\n"):
            # The other half of the last line's end.
            block = block[1:]
            after_cr = False
        if not block:
            continue
        after_cr = block.endswith(b"\r")
        lines = (rest + block).splitlines()
        rest = b"" if block.endswith((b"\n", b"\r")) else lines.pop()
        if len(rest) > limit:
            rest = rest[: limit + 1]
        if lines:
            yield number, lines
            number += len(lines)
    if rest:
        yield number, [rest]


def encoding_notes(path: str, options: ReadOptions) -> tuple[str, ...]:
    """Says which encoding was told from a file's bytes, where that is not UTF-8."""
    name = options.encoding or encoding(path)
    if options.encoding or name == UTF8:
        return ()
    return (f"its text is read as {_NAMES.get(name, name)}; set the feed's encoding if letters look wrong",)
