"""JSON that is no JSON Lines: an array of objects, an object that holds one, or objects over several lines.

The values are cut out of the stream as text and parsed one by one, as lines are: a broken or endless one costs itself
alone, memory holds one of them, and every value is what JSON Lines would have given. Streaming parsers of whole
documents stop at the first error, bound no value's size and give numbers of other types.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from modules.feeds.opening import BOM

BLOCK = 1 << 18
_MARK = re.compile(rb'["\\{}\[\]]')
_IN_STRING = re.compile(rb'["\\]')
_LISTS = ("products", "items", "data", "results", "records", "entries", "rows", "offers", "articles", "catalog", "feed")
"""Keys that an array of products usually has; of several the first in this order."""
_OPENING, _CLOSING = b"{[", b"}]"
_BLANKS = b" \t\r\n"


@dataclass(frozen=True)
class Layout:
    """Where a document's products are.

    Attributes:
      depth: how many brackets are open around each product: 0 where they follow each other.
      path: the keys of the objects that lead to the array with the products.
    """

    depth: int
    path: tuple[str, ...] = ()


def layout_of(head: bytes, whole: bool) -> Layout | None:
    """The layout of a file that begins like this; None for JSON Lines, and for what is no JSON document.

    Args:
      whole: whether ``head`` is the whole file.
    """
    text = head.removeprefix(BOM).lstrip()
    if text[:1] == b"[":
        return Layout(1)
    if text[:1] != b"{":
        return None
    walker = _Walker(record=None)
    walker.feed(text)
    several_lines = b"\n" in text[: walker.first_end or len(text)].replace(b"\r", b"\n")
    alone = not text[walker.first_end :].strip(_BLANKS) if walker.first_end else not whole
    if alone:
        named = [key for key in _LISTS for path in walker.arrays if path[-1] == key]
        arrays = [path for key in named for path in walker.arrays if path[-1] == key]
        if not arrays and (several_lines or not walker.first_end):
            arrays = walker.arrays[:1]
        if arrays:
            return Layout(len(arrays[0]) + 1, arrays[0])
    return Layout(0) if several_lines and walker.first_end else None


def values(stream: IO[bytes], layout: Layout, limit: int) -> Iterator[tuple[int, bytes]]:
    """The text of each value, with its number from 1 on; of one of more than ``limit`` bytes the first ``limit`` + 1.

    Raises:
      EOFError: the document ends before its brackets are closed.
    """
    walker = _Walker(layout, limit)
    number = 0
    first = True
    while block := stream.read(BLOCK):
        if first:
            block = block.removeprefix(BOM)
            first = False
        walker.feed(block)
        for text in walker.take():
            number += 1
            yield number, text
    walker.end()
    for text in walker.take():
        number += 1
        yield number, text
    if walker.is_open:
        raise EOFError("the JSON document ends before its brackets are closed")


class _Walker:
    """Follows brackets and strings through blocks, whatever is between them.

    Attributes:
      arrays: paths of keys to arrays of objects, while no record is wanted.
      first_end: where the first value ends, 0 while it has not.
    """

    def __init__(self, record: Layout | None, limit: int = 1 << 16):
        self._layout = record
        self._limit = limit
        self._brackets = bytearray()
        self._keys: list[str] = []
        self._in_string = False
        self._escaped = False
        self._string = bytearray()
        self._last_string = b""
        self._text: bytearray | None = None
        self._done: list[bytes] = []
        self._seen = 0
        self.arrays: list[tuple[str, ...]] = []
        self.first_end = 0

    @property
    def is_open(self) -> bool:
        return bool(self._brackets) or self._in_string

    def take(self) -> list[bytes]:
        """The values that are complete."""
        done, self._done = self._done, []
        return done

    def feed(self, block: bytes) -> None:
        place = 0
        while place < len(block):
            if self._escaped:
                self._keep(block[place : place + 1])
                self._escaped = False
                place += 1
                continue
            match = (_IN_STRING if self._in_string else _MARK).search(block, place)
            end = match.start() if match else len(block)
            self._keep(block[place:end])
            if match is None:
                break
            place = end + 1
            self._mark(block[end : end + 1], self._seen + place)
        self._seen += len(block)

    def end(self) -> None:
        """Nothing follows."""
        if self._text is not None and self._text.strip(_BLANKS + b","):
            self._finish()

    def _keep(self, text: bytes) -> None:
        if not text:
            return
        if self._in_string and self._text is None and len(self._string) < 256:
            self._string += text[:256]
        if self._text is None and self._at_items() and not self._in_string:
            text = text.lstrip(_BLANKS + b",")
            if not text:
                return
            self._text = bytearray()
        if self._text is None:
            return
        if not self._in_string and self._at_items() and b"," in text:
            # Numbers, null and the like between commas are values, too.
            *parts, text = text.split(b",")
            for part in parts:
                self._text += part
                self._finish()
                self._text = bytearray()
            text = text.lstrip(_BLANKS)
            if not text:
                self._text = None
                return
        if len(self._text) <= self._limit:
            self._text += text[: self._limit + 1 - len(self._text)]

    def _mark(self, mark: bytes, end: int) -> None:
        if mark == b"\\":
            self._keep(mark)
            self._escaped = self._in_string
        elif mark == b'"':
            self._quote(mark)
        elif mark in (b"{", b"["):
            self._open(mark)
        else:
            self._close(mark, end)

    def _quote(self, mark: bytes) -> None:
        if self._in_string:
            self._in_string = False
            self._last_string = bytes(self._string)
            self._string.clear()
        else:
            if self._text is None and self._at_items():
                self._text = bytearray()
            self._in_string = True
        if self._text is not None and len(self._text) <= self._limit:
            self._text += mark

    def _open(self, mark: bytes) -> None:
        if self._text is None and self._at_items():
            self._text = bytearray()
        if self._text is None:
            if self._brackets and self._layout is None and mark == b"{" and self._brackets[-1:] == b"[":
                path = tuple(self._keys[1:])
                if path and b"[" not in self._brackets[:-1] and path not in self.arrays:
                    self.arrays.append(path)
            key = self._last_string.decode("utf-8", "replace") if self._brackets[-1:] == b"{" else ""
            self._keys.append(key)
        elif len(self._text) <= self._limit:
            self._text += mark
        self._brackets += mark

    def _close(self, mark: bytes, end: int) -> None:
        depth = self._layout.depth if self._layout else -1
        if self._text is not None and len(self._brackets) > depth:
            self._brackets.pop()
            if len(self._text) <= self._limit:
                self._text += mark
            if len(self._brackets) == depth:
                self._finish()
            return
        if self._text is not None:
            self._finish()
        if self._brackets:
            self._brackets.pop()
            self._keys.pop()
        if not self._brackets and not self.first_end:
            self.first_end = end

    def _finish(self) -> None:
        if self._text is not None and self._text.strip(_BLANKS):
            self._done.append(bytes(self._text))
        self._text = None

    def _at_items(self) -> bool:
        """Whether what begins here is a product."""
        layout = self._layout
        if layout is None or len(self._brackets) != layout.depth:
            return False
        if layout.depth == 0:
            return True
        return self._brackets[-1:] == b"[" and tuple(self._keys[1:]) == layout.path
