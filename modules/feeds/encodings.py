"""Which encoding a file's text is in, and the same text as UTF-8."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from typing import IO

UTF8 = "utf-8"
BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 20
_SAMPLE = 65_536
"""Bytes of lines that are not UTF-8, for a guess of what they are."""
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (BOM, UTF8),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WESTERN = "cp1252"
_OTHERS = [
    "cp1250",
    "cp1251",
    "cp1253",
    "cp1254",
    "cp1255",
    "cp1256",
    "koi8_r",
    "shift_jis",
    "gb18030",
    "big5",
    "euc_kr",
]
# What shops in Western Europe write: letters anywhere, signs beside words. Not: y with diaeresis, thorn, eth and signs
# that are mostly the bytes of something else.
_LETTERS = frozenset("àâäáãåæçèéêëìíîïñòóôöõøœùúûüýßšžÀÂÄÁÃÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÖÕØŒÙÚÛÜÝŠŽ’\xa0\xad\xb7\xb4")
_SIGNS = frozenset("€„…‰“”•–—™¡¢£§©ª«®°±²³µ¹º»¼½¾¿¨\u201a\u2018\xd7")
_WORD = re.compile(r"[^\W\d_]+")
_BROKEN = "shelfmark-broken-unit"
codecs.register_error(_BROKEN, lambda error: ("\udcff", error.end))  # type: ignore[attr-defined]


def encoding_of(stream: IO[bytes]) -> str:
    """The name of the encoding of a stream's text, which is read to its end in bounded memory.

    A byte order mark decides, and zero bytes in every other place. Without them it is UTF-8, unless more of the lines
    with other characters than ASCII are no UTF-8 than are, and look like text in another encoding: some bad lines in a
    good file are bad lines.

    Raises:
      OSError, EOFError, zlib.error: the stream cannot be read to its end.
    """
    head = stream.read(_BLOCK)
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    wide = _without_mark(head)
    if wide is not None:
        return wide
    good = bad = 0
    sample = bytearray()
    for block in _whole_lines(head, stream):
        try:
            good += not block.isascii() and len(block.decode()) > 0
            continue
        except UnicodeDecodeError:
            pass
        for line in block.splitlines():
            if line.isascii():
                continue
            try:
                line.decode()
                good += 1
            except UnicodeDecodeError:
                bad += 1
                if len(sample) < _SAMPLE:
                    sample += line[:_SAMPLE] + b"\n"
    return _legacy(bytes(sample)) if bad > good else UTF8


def _whole_lines(head: bytes, stream: IO[bytes]) -> Iterator[bytes]:
    """Blocks that end with a line, as far as lines are no longer than a block: no character lies in two of them."""
    rest = b""
    block = head
    while block:
        block = rest + block
        cut = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
        if not cut and len(block) < 2 * _BLOCK:
            rest = block
        else:
            cut = cut or _between_characters(block)
            yield block[:cut]
            rest = block[cut:]
        block = stream.read(_BLOCK)
    if rest:
        yield rest


def _between_characters(block: bytes) -> int:
    """A place near the end of a block where no UTF-8 character is cut."""
    cut = len(block)
    while cut > len(block) - 4 and block[cut - 1] & 0xC0 == 0x80:
        cut -= 1
    return cut - 1 if block[cut - 1] >= 0xC0 else cut


def _without_mark(head: bytes) -> str | None:
    """UTF-16 whose byte order mark is missing."""
    head = head[:4096]
    pairs = len(head) // 2
    if pairs < 4:
        return None
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if odd > 0.6 * pairs and not even:
        return "utf-16-le"
    return "utf-16-be" if even > 0.6 * pairs and not odd else None


def _legacy(sample: bytes) -> str:
    if _is_western(sample):
        return _WESTERN
    from charset_normalizer import from_bytes

    best = from_bytes(sample, cp_isolation=_OTHERS).best()
    # A few odd bytes are no evidence of another script.
    letters = sum(character.isalpha() and not character.isascii() for character in str(best or ""))
    return best.encoding if best is not None and letters >= 8 else UTF8


def _is_western(sample: bytes) -> bool:
    """Whether the sample reads as Windows-1252, of which Latin-1's text is a part."""
    text = sample.decode(_WESTERN, "replace")
    odd = total = 0
    for place, character in enumerate(text):
        if character.isascii():
            continue
        total += 1
        in_word = text[place - 1 : place].isalpha() and text[place + 1 : place + 2].isalpha()
        odd += character not in _LETTERS and (character not in _SIGNS or in_word)
    words = [word for word in _WORD.findall(text) if not word.isascii() and len(word) > 1]
    # In Western languages most letters of a word are ASCII; in Cyrillic or Greek, read wrongly, hardly any is.
    ascii_letters = sum(character.isascii() for word in words for character in word)
    letters = sum(map(len, words))
    return odd <= 0.02 * total and 2 * ascii_letters >= letters


class Transcoded(io.RawIOBase):
    """A stream's text as UTF-8; what cannot be decoded becomes a byte that no UTF-8 has, so that readers see it."""

    def __init__(self, stream: IO[bytes], encoding: str):
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)(_BROKEN)
        self._ready = b""
        self._ended = False

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """As :meth:`io.RawIOBase.readinto`."""
        while not self._ready and not self._ended:
            block = self._stream.read(_BLOCK // 4)
            self._ended = not block
            self._ready = self._decoder.decode(block, self._ended).encode(UTF8, "surrogateescape")
        number = min(len(buffer), len(self._ready))
        buffer[:number] = self._ready[:number]
        self._ready = self._ready[number:]
        return number

    def close(self) -> None:
        """Closes the source, too."""
        self._stream.close()
        super().close()
