"""What formats of text share: lines in bounded memory, and bytes that are not UTF-8."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from modules.feeds.opening import BOM

BLOCK = 1 << 20
"""Bytes that are read at once."""


def line_blocks(stream: IO[bytes], limit: int) -> Iterator[tuple[int, list[bytes]]]:
    """Lines without their newline, in blocks of about a megabyte: (number of the first line, lines).

    A line of more than ``limit`` bytes comes as its first ``limit`` + 1 bytes, so that memory stays bounded.
    """
    number = 1
    rest = b""
    first = True
    while block := stream.read(BLOCK):
        if first:
            block = block.removeprefix(BOM)
            first = False
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        if len(rest) > limit:
            rest = rest[: limit + 1]
        if lines:
            yield number, lines
            number += len(lines)
    if rest:
        yield number, [rest]
