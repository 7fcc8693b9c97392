"""Where the next page begins: an opaque text that fits one question alone."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Hashable

from api.refusals import Refused

_CHECK = 8
_LONGEST = 8192
"""An id of 1,000 characters that take four bytes each, in base64."""


def cursor_after(last: str, question: Hashable) -> str:
    """The cursor behind ``last``, for the same question again.

    It carries a checksum, no signature: who makes one up gets at most what any other cursor would give.
    """
    data = last.encode()
    return base64.urlsafe_b64encode(_check(data, question) + data).rstrip(b"=").decode()


def read_cursor(cursor: str | None, question: Hashable) -> str:
    """What the page begins behind; empty without a cursor.

    Raises:
      Refused: The cursor is damaged, or belongs to another question.
    """
    if cursor is None:
        return ""
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), b"-_", validate=True)
        if len(cursor) <= _LONGEST and raw[:_CHECK] == _check(raw[_CHECK:], question):
            return raw[_CHECK:].decode()
    except (binascii.Error, ValueError):
        pass
    raise wrong_cursor()


def wrong_cursor() -> Refused:
    """That a cursor is damaged, or belongs to another question."""
    expected = "the cursor of an answer to the same question"
    return Refused(422, "the cursor is damaged, or of another question", "cursor", expected, "begin again without it")


def _check(data: bytes, question: Hashable) -> bytes:
    return hashlib.blake2b(repr(question).encode() + b"\0" + data, digest_size=_CHECK).digest()
