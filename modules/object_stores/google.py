"""Google Cloud Storage by Google's own client: Arrow's blocks all threads while it waits, and knows no timeouts.

Objects are read part by part: the client's own reader asks for the object's size without a timeout.
"""

from __future__ import annotations

import errno
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

from modules.errors import reason
from modules.object_stores.patience import Patience
from modules.object_stores.store import ObjectStore, Parts

_CONNECTIONS = 256


class GoogleStore:
    """Implements :class:`modules.object_stores.store.ObjectStore`."""

    def __init__(self, client: Client, patience: Patience):
        self._client = client
        self._how: dict[str, Any] = {
            "timeout": (patience.connect, patience.read),
            "retry": DEFAULT_RETRY.with_timeout(patience.deadline),
        }

    def open(self, path: str, block: int) -> IO[bytes]:
        """See the protocol."""
        stream = Parts(lambda start, size: self._part(path, start, size), lambda: self.size(path) or 0)
        opened = io.BufferedReader(stream, block)
        opened.peek(1)  # that it is not there is said here, not later
        return cast(IO[bytes], opened)

    def _part(self, path: str, start: int, size: int) -> bytes:
        """At most ``size`` bytes from ``start`` on."""
        with _errors(path):
            try:
                # A stored object that is marked as compressed would be unpacked otherwise, to any size.
                content: bytes = self._blob(path).download_as_bytes(
                    start=start, end=start + size - 1, raw_download=True, checksum=None, **self._how
                )
            except RequestRangeNotSatisfiable:
                return b""
        return content

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
            return [f"{bucket}/{blob.name}" for blob in listed if not blob.name.endswith("/")]

    def _blob(self, path: str) -> Any:
        bucket, _, name = path.partition("/")
        if not bucket or not name:
            raise FileNotFoundError(errno.ENOENT, "there is no such object", path)
        return self._client.bucket(bucket).blob(name)


def google(patience: Patience) -> ObjectStore:
    """As Google's application default credentials; without any, as nobody: for what is public."""
    return _google(os.environ.get("STORAGE_EMULATOR_HOST"), patience)


@lru_cache
def _google(_emulator: str | None, patience: Patience) -> ObjectStore:
    try:
        client = Client()
    except (GoogleAuthError, OSError):  # the latter: it knows no project
        client = Client.create_anonymous_client()
    # As many connections are kept as threads may read images; by default ten are, and others made anew each time.
    for scheme in ("https://", "http://"):
        client._http.mount(scheme, HTTPAdapter(pool_maxsize=_CONNECTIONS))
    return GoogleStore(client, patience)


@contextmanager
def _errors(path: str) -> Iterator[None]:
    """The client's errors as Python's own."""
    try:
        yield
    except NotFound:
        raise FileNotFoundError(errno.ENOENT, "there is no such object", path) from None
    except (Forbidden, Unauthorized) as error:
        raise PermissionError(errno.EACCES, _text(error), path) from None
    except (Timeout, RetryError) as error:
        raise TimeoutError(errno.ETIMEDOUT, _text(error), path) from None
    except ValueError as error:
        raise OSError(errno.EINVAL, _text(error), path) from None
    except (GoogleAPIError, GoogleAuthError, RequestException) as error:
        raise OSError(errno.EIO, _text(error), path) from None


def _text(error: Exception) -> str:
    return reason(error)
