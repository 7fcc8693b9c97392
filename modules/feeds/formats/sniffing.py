"""Which format a file's content is of, whatever it is called."""

from __future__ import annotations

from modules.errors import InputError, Problem, reason
from modules.feeds.formats import FORMATS, format_named
from modules.feeds.formats.base import Head, Sniffed
from modules.feeds.opening import BOM, UNREADABLE, content_name, open_plain, open_text

HEAD_BYTES = 262_144


def sniff(path: str) -> tuple[str, Sniffed, Head]:
    """The name of the format that the file's beginning looks like most, how much, and that beginning.

    Of formats that are equally sure the first counts, those of the package before others.

    Raises:
      InputError: the file cannot be read, is empty, or looks like no format that is known.
    """
    raw = read_head(path, text=False)
    sure = _candidates(raw, 1.0)
    if sure:
        # An unmistakable mark; all else is text.
        return *sure[0], raw
    head = read_head(path)
    if not head.data.removeprefix(BOM).strip():
        raise InputError(Problem(path, "expected products; the file is empty"))
    candidates = _candidates(head)
    if not candidates:
        raise InputError(_unknown(path, head))
    return *max(candidates, key=lambda candidate: candidate[1].confidence), head


def _candidates(head: Head, minimum: float = 0.0) -> list[tuple[str, Sniffed]]:
    sniffed = [(name, format_named(name).sniff(head)) for name in FORMATS.names()]
    return [(name, seen) for name, seen in sniffed if seen is not None and seen.confidence >= minimum]


def read_head(path: str, text: bool = True) -> Head:
    """The file's first bytes, uncompressed, of text as UTF-8.

    Raises:
      InputError: it cannot be read.
    """
    try:
        with open_text(path) if text else open_plain(path) as stream:
            data = stream.read(HEAD_BYTES)
    except UNREADABLE as error:
        raise InputError(Problem(path, f"expected a file that can be read: {reason(error)}")) from None
    return Head(content_name(path), data, len(data) < HEAD_BYTES)


def _unknown(path: str, head: Head) -> Problem:
    """What is wrong with a file of text that looks like no format."""
    first = head.data.removeprefix(BOM).lstrip()[:1]
    titles = ", ".join(FORMATS.get(name).title for name in FORMATS.names())
    if first == b"<":
        return Problem(path, f"expected {titles}; found HTML or XML without products")
    return Problem(path, f"expected {titles}", line=1)
