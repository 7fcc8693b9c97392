"""Objects at ``s3://bucket/name``, ``minio://``, ``gs://`` and whatever else Arrow's file systems reach.

Not by Beam's file systems: for S3 they need boto3, and they make a client for every object that is opened.
"""

from __future__ import annotations

import re
from typing import IO

from modules.object_stores.patience import PATIENCE, Patience
from modules.object_stores.store import Store

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
      OSError: as :func:`open_object` does.
    """
    store, path = _find(url, patience)
    parts, size = [], 0
    with store.open(path, min(_SMALL_BLOCK, most + 1)) as stream:
        while size <= most and (part := stream.read(min(_SMALL_BLOCK, most + 1 - size))):
            parts.append(part)
            size += len(part)
    return None if size > most else b"".join(parts)


def size_of(url: str) -> int:
    """Bytes of an object.

    Raises:
      OSError: as :func:`open_object` does.
    """
    store, path = _find(url, PATIENCE)
    size = store.size(path)
    if size is None:
        raise FileNotFoundError(2, "there is no such object", url)
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


def _find(url: str, patience: Patience) -> tuple[Store, str]:
    """The store behind an address, and what it calls the object."""
    scheme, _, path = url.partition("://")
    if scheme == "gs":
        from modules.object_stores.google import google

        return google(patience), path
    from modules.object_stores.arrow import other, s3

    if scheme in ("s3", "minio"):
        return s3(path.partition("/")[0], patience), path
    return other(scheme, path)
