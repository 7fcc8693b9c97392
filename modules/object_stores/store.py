"""What every object store can do; a path begins with its bucket."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Protocol


class Store(Protocol):
    """Errors are OSError: FileNotFoundError, PermissionError and TimeoutError where that is why."""

    def open(self, path: str, block: int) -> IO[bytes]:
        """An object's bytes, as they are stored, got in parts of ``block`` bytes."""

    def size(self, path: str) -> int | None:
        """Bytes of an object; None: there is none."""

    def below(self, folder: str, deep: bool) -> Iterable[str]:
        """Paths of a folder's objects, those of its folders too if ``deep``."""
