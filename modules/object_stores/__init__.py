"""Objects at ``s3://bucket/name``, ``minio://`` and ``gs://``.

Not by Beam's file systems: for S3 they need boto3, and they make a client for every object that is opened.
"""

from __future__ import annotations

import errno
import re
import threading
from collections.abc import Callable
from typing import IO, TypeVar

from modules.object_stores.patience import PATIENCE, Patience
from modules.object_stores.store import ObjectStore

SCHEMES = ("s3", "minio", "gs")

_T = TypeVar("_T")

_SPECIAL = re.compile(r"[*?[]")
_BLOCK = 1 << 23
_SMALL_BLOCK = 1 << 20


def is_remote(path: str) -> bool:
    """Whether the path names object storage or the like."""
    return "://" in path


def open_object(url: str, patience: Patience = PATIENCE) -> IO[bytes]:
    """An object's bytes, as they are stored, buffered, at any place of it.

    Raises:
      OSError: it cannot be read; FileNotFoundError, PermissionError and TimeoutError where that is why.
    """
    store, path = _find(url, patience)
    return store.open(path, _BLOCK)


def read_object(url: str, most: int, patience: Patience = PATIENCE) -> bytes | None:
    """All bytes of an object; None if there are more than ``most``.

    Raises:
      OSError: as :func:`open_object` does; TimeoutError after ``patience.deadline`` at the latest.
    """
    find = _finder(url, patience)  # imported before the time runs

    def read() -> bytes | None:
        store, path = find()
        parts, size = [], 0
        with store.open(path, min(_SMALL_BLOCK, most + 1)) as stream:
            while size <= most and (part := stream.read(min(_SMALL_BLOCK, most + 1 - size))):
                parts.append(part)
                size += len(part)
        return None if size > most else b"".join(parts)

    return _within(patience.deadline, read, url)


def _within(seconds: float, work: Callable[[], _T], url: str) -> _T:
    """What ``work`` gives, unless it takes longer: the clients know no end of a store that sends a byte now and then.

    The thread that it ran in is left to end by itself. The process' own end waits for one that reads from S3: Arrow
    would crash otherwise.
    """
    results: list[_T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not results:
        raise TimeoutError(errno.ETIMEDOUT, "not there within the time allowed", url)
    return results[0]


def size_of(url: str) -> int:
    """Bytes of an object.

    Raises:
      OSError: as :func:`open_object` does.
    """
    store, path = _find(url, PATIENCE)
    size = store.size(path)
    if size is None:
        raise FileNotFoundError(errno.ENOENT, "there is no such object", url)
    return size


def objects_in(folder: str) -> list[str]:
    """Addresses of a folder's objects, not those of its folders.

    Raises:
      OSError: as :func:`open_object` does.
    """
    folder = folder.rstrip("/")
    store, path = _find(folder, PATIENCE)
    prefix = folder[: len(folder) - len(path)]
    return sorted(prefix + name for name in store.below(path, False))


def match(pattern: str) -> list[str]:
    """Addresses of the objects that a pattern matches, sorted: ``*`` within a folder, ``**/`` any folders or none.

    Raises:
      OSError: as :func:`open_object` does.
    """
    from apache_beam.io.filesystem import FileSystem

    store, path = _find(pattern, PATIENCE)
    special = _SPECIAL.search(path)
    if special is None:
        return [] if store.size(path) is None else [pattern]
    folder = path[: special.start()].rpartition("/")[0]
    deep = "/" in path[len(folder) + 1 :] or "**" in path
    wanted = re.compile(FileSystem.translate_pattern(path).replace(".*/", "(?:.*/)?"))
    prefix = pattern[: len(pattern) - len(path)]
    return sorted(prefix + name for name in store.below(folder, deep) if wanted.match(name))


def _find(url: str, patience: Patience) -> tuple[ObjectStore, str]:
    """The store behind an address, and what it calls the object."""
    return _finder(url, patience)()


def _finder(url: str, patience: Patience) -> Callable[[], tuple[ObjectStore, str]]:
    """Imports the store's client, which may take a second; what it returns finds the store."""
    scheme, _, path = url.partition("://")
    if scheme == "gs":
        from modules.object_stores.google import google

        return lambda: (google(patience), path)
    if scheme not in SCHEMES:
        raise OSError(errno.EINVAL, "an address with s3://, minio:// or gs://", url)
    from modules.object_stores.arrow import s3

    return lambda: (s3(path.partition("/")[0], patience), path)
