"""Opening a feed's file, wherever it lies: the one place that knows of compression, containers and encodings."""

from __future__ import annotations

import gzip
import os
import zlib
from typing import IO

from modules import object_stores
from modules.errors import InputError, Problem
from modules.object_stores import is_remote

UNREADABLE = (OSError, EOFError, zlib.error)
"""What reading a file to its end raises where that is impossible, gzip or not."""

BOM = b"\xef\xbb\xbf"
_MAGIC_BYTES = 8

# The whole magic number each, since a CSV's header may well begin with "PK" or "BZ".
_REFUSED: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a plain or gzip file, not a zip archive", "unpack it first"),
    (b"BZh", "a plain or gzip file, not a bzip2 file", "unpack it first"),
    (b"\xfd7zXZ\x00", "a plain or gzip file, not an xz file", "unpack it first"),
    (b"(\xb5/\xfd", "a plain or gzip file, not a zstd file", "unpack it first"),
    (b"\xff\xfe", "UTF-8, not UTF-16", "`iconv -f UTF-16 -t UTF-8 FILE` converts it"),
    (b"\xfe\xff", "UTF-8, not UTF-16", "`iconv -f UTF-16 -t UTF-8 FILE` converts it"),
)


def open_raw(path: str) -> IO[bytes]:
    """The file's own bytes."""
    if not is_remote(path):
        return open(path, "rb")
    return object_stores.open_object(path)


def open_plain(path: str) -> IO[bytes]:
    """The file's content; gzip is recognised by its first bytes, whatever the file is called."""
    raw = open_raw(path)
    magic = raw.read(2)
    raw.seek(0)
    return gzip.GzipFile(fileobj=raw, mode="rb") if magic == b"\x1f\x8b" else raw  # type: ignore[return-value]


def open_text(path: str) -> IO[bytes]:
    """The file's content, which is UTF-8 text as far as its first bytes tell.

    Raises:
      InputError: it is an archive, compressed in a way that is not read, or UTF-16.
    """
    stream = open_plain(path)
    head = stream.read(_MAGIC_BYTES)
    stream.seek(0)
    for magic, expected, hint in _REFUSED:
        if head.startswith(magic):
            stream.close()
            raise InputError(Problem(path, f"expected {expected}", hint=hint))
    return stream


def size_of(path: str) -> int:
    """Bytes as stored."""
    if not is_remote(path):
        return os.path.getsize(path)
    return object_stores.size_of(path)
