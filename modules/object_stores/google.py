"""Google Cloud Storage by Google's own client: Arrow's blocks all threads while it waits, and knows no timeouts."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import IO, Any, cast

from google.api_core.exceptions import (
    Forbidden,
    GoogleAPIError,
    NotFound,
    RequestRangeNotSatisfiable,
    RetryError,
    Unauthorized,
)
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage import Client
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException, Timeout

from modules.object_stores.patience import Patience
from modules.object_stores.store import Store

_CONNECTIONS = 256


class GoogleStore:
    """Implements :class:`modules.object_stores.store.Store`."""

    def __init__(self, client: Client, patience: Patience):
        self._client = client
        self._how: dict[str, Any] = {
            "timeout": (patience.connect, patience.read),
            "retry": DEFAULT_RETRY.with_timeout(patience.deadline),
        }

    def open(self, path: str, block: int) -> IO[bytes]:
        """See the protocol."""
        opened = io.BufferedReader(_Stream(self, path), block)
        opened.peek(1)  # that it is not there is said here, not later
        return cast(IO[bytes], opened)

    def part(self, path: str, start: int, size: int) -> bytes:
        """At most ``size`` bytes from ``start`` on."""
        with _errors(path):
            try:
                # A stored object that is marked as compressed would be unpacked otherwise, to any size.
                found: bytes = self._blob(path).download_as_bytes(
                    start=start, end=start + size - 1, raw_download=True, checksum=None, **self._how
                )
            except RequestRangeNotSatisfiable:
                return b""
        return found

    def size(self, path: str) -> int | None:
        """See the protocol."""
        try:
            with _errors(path):
                blob = self._blob(path)
                blob.reload(**self._how)
                return int(blob.size)
        except FileNotFoundError:
            return None

    def below(self, folder: str, deep: bool) -> Iterable[str]:
        """See the protocol."""
        bucket, _, prefix = folder.partition("/")
        prefix = f"{prefix}/" if prefix else ""
        with _errors(folder):
            listed = self._client.list_blobs(bucket, prefix=prefix, delimiter=None if deep else "/", **self._how)
            # Some programs mark a folder by an empty object that is called like it.
            return [f"{bucket}/{one.name}" for one in listed if not one.name.endswith("/")]

    def _blob(self, path: str) -> Any:
        bucket, _, name = path.partition("/")
        if not bucket or not name:
            raise FileNotFoundError(2, "there is no such object", path)
        return self._client.bucket(bucket).blob(name)


def google(patience: Patience) -> Store:
    """As Google's application default credentials; without any, as nobody: for what is public."""
    return _google(os.environ.get("STORAGE_EMULATOR_HOST"), patience)


@lru_cache
def _google(_emulator: str | None, patience: Patience) -> Store:
    try:
        client = Client()
    except (GoogleAuthError, OSError):  # the latter: it knows no project
        client = Client.create_anonymous_client()
    # As many connections are kept as threads may read images; by default ten are, and others made anew each time.
    for scheme in ("https://", "http://"):
        client._http.mount(scheme, HTTPAdapter(pool_maxsize=_CONNECTIONS))
    return GoogleStore(client, patience)


class _Stream(io.RawIOBase):
    """Reads an object part by part. The client's own reader asks for the object's size without a timeout."""

    def __init__(self, store: GoogleStore, path: str):
        self._store, self._path = store, path
        self._at = 0
        self._end: int | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not len(buffer) or (self._end is not None and self._at >= self._end):
            return 0
        data = self._store.part(self._path, self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        if len(data) < len(buffer):
            self._end = self._at
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END and self._end is None:
            self._end = self._store.size(self._path) or 0
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._end or 0}[whence]
        self._at = max(0, start + offset)
        return self._at


@contextmanager
def _errors(path: str) -> Iterator[None]:
    """The client's errors as Python's own."""
    try:
        yield
    except NotFound:
        raise FileNotFoundError(2, "there is no such object", path) from None
    except (Forbidden, Unauthorized) as error:
        raise PermissionError(13, _text(error), path) from None
    except (Timeout, RetryError) as error:
        raise TimeoutError(110, _text(error), path) from None
    except ValueError as error:
        raise OSError(22, _text(error), path) from None
    except (GoogleAPIError, GoogleAuthError, RequestException) as error:
        raise OSError(5, _text(error), path) from None


def _text(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
