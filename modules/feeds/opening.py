"""Opening a feed's file, wherever it lies: the one place that knows of compression, archives and encodings."""

from __future__ import annotations

import functools
import gzip
import io
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from modules import object_stores
from modules.errors import InputError, Problem, reason
from modules.feeds.encodings import BOM, UTF8, Transcoded, encoding_of
from modules.object_stores import is_remote

__all__ = [
    "BOM",
    "UNREADABLE",
    "content_name",
    "encoding",
    "open_plain",
    "open_raw",
    "open_text",
    "seekable",
    "size_of",
]

UNREADABLE = (OSError, EOFError, zlib.error, zipfile.BadZipFile)
"""What reading a file to its end raises where that is impossible, compressed or not."""

_BLOCK = 1 << 20
_MAGIC_BYTES = 8
_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_ZSTD = b"(\xb5/\xfd"
_ZSTD_WINDOW = 1 << 27
"""Bytes of the largest window, as of zstd's own command line."""
_ZSTD_INPUT = 256
"""Compressed bytes at once: a block of four bytes may become 128 KiB."""
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_COMPRESSED = (".gz", ".zst")
_ARCHIVE = ".zip"
_WORKBOOK = "[Content_Types].xml"
"""The member that every Office document has: such an archive is one file."""

# The whole magic number each, since a CSV's header may well begin with "BZ".
_REFUSED: tuple[tuple[bytes, str], ...] = (
    (b"BZh", "a plain, gzip, zstd or zip file, not a bzip2 file"),
    (b"\xfd7zXZ\x00", "a plain, gzip, zstd or zip file, not an xz file"),
    (b"7z\xbc\xaf\x27\x1c", "a plain, gzip, zstd or zip file, not a 7z archive"),
)


def open_raw(path: str) -> IO[bytes]:
    """The file's own bytes."""
    if not is_remote(path):
        return open(path, "rb")
    return object_stores.open_object(path)


def open_plain(path: str) -> IO[bytes]:
    """The file's content; gzip, zstd and zip are recognised by their first bytes, whatever the file is called.

    Raises:
      InputError: it is an archive with several tables, or compressed in a way that is not read.
    """
    raw = open_raw(path)
    try:
        magic = raw.read(_MAGIC_BYTES)
        raw.seek(0)
        if magic.startswith(_GZIP):
            return gzip.GzipFile(fileobj=raw, mode="rb")  # type: ignore[return-value]
        if magic.startswith(_ZSTD):
            return io.BufferedReader(_Zstd(raw), _BLOCK)
        if magic.startswith(_ZIP):
            return _open_member(path, raw)
        for mark, expected in _REFUSED:
            if magic.startswith(mark):
                raise InputError(Problem(path, f"expected {expected}", hint="unpack it first"))
    except BaseException:
        raw.close()
        raise
    return raw


def open_text(path: str, encoding_name: str | None = None) -> IO[bytes]:
    """The file's content as UTF-8, without byte order mark.

    Args:
      encoding_name: of the file's text; None: as :func:`encoding` tells it.

    Raises:
      InputError: as :func:`open_plain`.
    """
    name = encoding_name or encoding(path)
    stream = open_plain(path)
    if name.replace("_", "-").lower() in (UTF8, "utf8", "utf-8-sig"):
        return stream
    return io.BufferedReader(Transcoded(stream, name), _BLOCK)


def encoding(path: str) -> str:
    """The encoding of a file of text, told from all of its bytes.

    Raises:
      OSError, EOFError, zlib.error, zipfile.BadZipFile: the file is missing or cannot be read to its end.
    """
    stamp = 0 if is_remote(path) else os.stat(path).st_mtime_ns
    return _encoding(path, size_of(path), stamp)


@functools.lru_cache(256)
def _encoding(path: str, size: int, stamp: int) -> str:
    """A file that has changed is another one."""
    with open_plain(path) as stream:
        return encoding_of(stream)


def content_name(path: str) -> str:
    """The name of what is in a file, in lower case: without what tells compression, of an archive its table's.

    Raises:
      InputError: an archive that cannot be read, or has several tables.
    """
    name = path.lower()
    for suffix in _COMPRESSED:
        name = name.removesuffix(suffix)
    if not name.endswith(_ARCHIVE):
        return name
    if os.path.splitext(name.removesuffix(_ARCHIVE))[1]:
        return name.removesuffix(_ARCHIVE)
    try:
        with open_raw(path) as raw, zipfile.ZipFile(raw) as archive:
            return os.path.basename(_member(path, archive).filename).lower()
    except UNREADABLE as error:
        raise InputError(Problem(path, f"expected a readable zip archive ({reason(error)})")) from None


@contextmanager
def seekable(path: str) -> Iterator[IO[bytes]]:
    """The file's content, for formats that are not read from the front: unpacked into a temporary file if need be."""
    with open_plain(path) as stream, tempfile.TemporaryFile() as plain:
        if not isinstance(stream, gzip.GzipFile | _Member) and not isinstance(getattr(stream, "raw", None), _Zstd):
            yield stream
            return
        while block := stream.read(_BLOCK):
            plain.write(block)
        plain.seek(0)
        yield plain


def size_of(path: str) -> int:
    """Bytes as stored."""
    if not is_remote(path):
        return os.path.getsize(path)
    return object_stores.size_of(path)


class _Member(io.BufferedReader):
    """An archive's table; closes the archive with it."""

    def __init__(self, raw: IO[bytes], archive: zipfile.ZipFile, info: zipfile.ZipInfo):
        super().__init__(archive.open(info), _BLOCK)  # type: ignore[arg-type]
        self._files = archive, raw

    def close(self) -> None:
        super().close()
        for file in self._files:
            file.close()


def _open_member(path: str, raw: IO[bytes]) -> IO[bytes]:
    try:
        archive = zipfile.ZipFile(raw)
        if _WORKBOOK in archive.namelist():
            raw.seek(0)
            return raw
        return _Member(raw, archive, _member(path, archive))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise InputError(Problem(path, f"expected a readable zip archive ({reason(error)})")) from None


def _member(path: str, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The one table of an archive; read as a stream, it costs no memory, whatever it says of its size."""
    members = [
        info
        for info in archive.infolist()
        if not info.is_dir()
        and not info.filename.startswith("__MACOSX/")
        and info.filename.rpartition("/")[2][:1] != "."
    ]
    if len(members) != 1:
        shown = ", ".join(repr(info.filename) for info in members[:10]) or "none"
        expected = f"expected one file in the archive; it has {len(members):,}: {shown}"
        raise InputError(Problem(path, expected, hint="unpack it first"))
    if members[0].flag_bits & 1:
        raise InputError(Problem(path, "expected an archive without password", hint="unpack it first"))
    if members[0].compress_type not in _ZIP_METHODS:
        raise InputError(Problem(path, "expected an archive that is deflated or stored", hint="unpack it first"))
    return members[0]


class _Zstd(io.RawIOBase):
    """Unpacks zstd in bounded memory; an end inside of a frame is an error."""

    def __init__(self, raw: IO[bytes]):
        self._raw = raw
        self._frame = _new_frame()
        self._inside = False
        self._pending = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            block = self._pending or self._raw.read(_ZSTD_INPUT)
            if not block:
                if self._inside:
                    raise EOFError("the zstd file ends in the middle")
                return 0
            self._unpack(block)
        number = min(len(buffer), len(self._ready))
        buffer[:number] = self._ready[:number]
        self._ready = self._ready[number:]
        return number

    def _unpack(self, block: bytes) -> None:
        import zstandard

        try:
            self._ready = memoryview(self._frame.decompress(block))
        except zstandard.ZstdError as error:
            raise OSError(f"no readable zstd file: {error}") from None
        self._inside = not self._frame.eof
        self._pending = b""
        if self._frame.eof:
            self._pending = self._frame.unused_data
            self._frame = _new_frame()

    def close(self) -> None:
        self._raw.close()
        super().close()


def _new_frame() -> Any:
    import zstandard

    return zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
