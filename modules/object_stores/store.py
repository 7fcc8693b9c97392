"""What every object store can do; a path begins with its bucket."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import IO, Any, Protocol


class ObjectStore(Protocol):
    """Errors are OSError: FileNotFoundError, PermissionError and TimeoutError where that is why."""

    def open(self, path: str, block: int) -> IO[bytes]:
        """An object's bytes, as they are stored, got in parts of ``block`` bytes."""

    def size(self, path: str) -> int | None:
        """Bytes of an object; None: there is none."""

    def below(self, folder: str, deep: bool) -> Iterable[str]:
        """Paths of a folder's objects, those of its folders too if ``deep``."""


class Parts(io.RawIOBase):
    """An object that is read part by part.

    Args:
      part: its bytes from a place on, at most so many; fewer only at its end, none behind it.
      size: of the object, in bytes; only asked for if a reader goes to the end.
    """

    def __init__(self, part: Callable[[int, int], bytes], size: Callable[[], int]):
        self._part, self._size = part, size
        self._at = 0
        self._end: int | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not len(buffer) or (self._end is not None and self._at >= self._end):
            return 0
        data = self._part(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        if 0 < len(data) < len(buffer):  # nothing at all may also lie behind the end
            self._end = self._at
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END and self._end is None:
            self._end = self._size()
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._end or 0}[whence]
        self._at = max(0, start + offset)
        return self._at
