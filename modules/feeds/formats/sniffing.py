"""Which format a file's content is of, whatever it is called."""

from __future__ import annotations

from modules.errors import InputError, Problem, reason
from modules.feeds.formats import FORMATS, format_named
from modules.feeds.formats.base import Head, Sniffed
from modules.feeds.opening import BOM, UNREADABLE, open_plain, open_text

HEAD_BYTES = 262_144


def sniff(path: str) -> tuple[str, Sniffed, Head]:
    """The name of the format that the file's beginning looks like most, how much, and that beginning.

    Of formats that are equally sure the first counts, those of the package before others.

    Raises:
      InputError: the file cannot be read, is empty, or looks like no format that is known.
    """
    head = read_head(path)
    if not head.data.removeprefix(BOM).strip():
        raise InputError(Problem(path, "expected products; the file is empty"))
    candidates = [(name, sniffed) for name in FORMATS.names() if (sniffed := format_named(name).sniff(head))]
    name, best = max(candidates, key=lambda candidate: candidate[1].confidence, default=("", Sniffed(0.0)))
    if best.confidence < 1.0:
        # Without an unmistakable mark it would be text, which an archive and UTF-16 are not.
        open_text(path).close()
    if not candidates:
        raise InputError(_unknown(path, head))
    return name, best, head


def read_head(path: str) -> Head:
    """The file's first bytes, uncompressed.

    Raises:
      InputError: it cannot be read.
    """
    try:
        with open_plain(path) as stream:
            data = stream.read(HEAD_BYTES)
    except UNREADABLE as error:
        raise InputError(Problem(path, f"expected a file that can be read: {reason(error)}")) from None
    return Head(path.lower().removesuffix(".gz"), data, len(data) < HEAD_BYTES)


def _unknown(path: str, head: Head) -> Problem:
    """What is wrong with a file of text that looks like no format."""
    first = head.data.removeprefix(BOM).lstrip()[:1]
    titles = ", ".join(FORMATS.get(name).title for name in FORMATS.names())
    if first == b"[":
        hint = "jq -c '.[]' FILE > FILE.jsonl converts it"
        return Problem(path, "expected JSON Lines (one object on each line), found a JSON array", hint=hint)
    if first == b"<":
        return Problem(path, f"expected {titles}; found XML or HTML")
    return Problem(path, f"expected {titles}", line=1)
