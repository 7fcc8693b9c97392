"""S3 by Arrow's file systems: in C++, without Python's lock, connections are kept."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import IO, cast

from pyarrow import fs

from modules.object_stores.patience import Patience
from modules.object_stores.store import ObjectStore, Parts

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_DENIED = ("ACCESS_DENIED", "INVALID_ACCESS_KEY", "SIGNATURE_DOES_NOT_MATCH", "HTTP response code 403")
_LATE = ("Timeout was reached", "curlCode: 28")


class ArrowStore:
    """Implements :class:`modules.object_stores.store.ObjectStore`."""

    def __init__(self, file_system: fs.FileSystem):
        self._fs = file_system

    def open(self, path: str, block: int) -> IO[bytes]:
        """See the protocol."""
        with _errors(path):
            file = self._fs.open_input_file(path)
            end = file.size()

        def part(start: int, size: int) -> bytes:
            with _errors(path):
                return bytes(file.read_at(size, start)) if start < end else b""

        return cast(IO[bytes], io.BufferedReader(Parts(part, lambda: end), block))

    def size(self, path: str) -> int | None:
        """See the protocol."""
        with _errors(path):
            info = self._fs.get_file_info(path)
        return int(info.size) if info.is_file else None

    def below(self, folder: str, deep: bool) -> Iterable[str]:
        """See the protocol."""
        with _errors(folder):
            listed = self._fs.get_file_info(fs.FileSelector(folder, allow_not_found=True, recursive=deep))
        return [info.path for info in listed if info.is_file]


def s3(bucket: str, patience: Patience) -> ObjectStore:
    """Amazon's, or what AWS_ENDPOINT_URL names; as whom, AWS's other variables and files say."""
    endpoint = next(filter(None, map(os.environ.get, _ENDPOINTS)), None)
    region = next(filter(None, map(os.environ.get, _REGIONS)), None)
    return _s3(bucket, endpoint, region, os.environ.get("AWS_ACCESS_KEY_ID"), patience)


@lru_cache
def _s3(bucket: str, endpoint: str | None, region: str | None, _key: str | None, patience: Patience) -> ObjectStore:
    with _errors(bucket):
        if region is None:
            region = "us-east-1" if endpoint else fs.resolve_s3_region(bucket)
        scheme, _, host = (endpoint or "").rpartition("://")
        made = fs.S3FileSystem(
            region=region, scheme=scheme or "https", endpoint_override=host.rstrip("/") or None,
            connect_timeout=patience.connect, request_timeout=patience.read,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=patience.attempts),
        )  # fmt: skip
    return ArrowStore(made)


@contextmanager
def _errors(path: str) -> Iterator[None]:
    """Arrow's errors as Python's own."""
    try:
        yield
    except (OSError, ValueError, NotImplementedError) as error:
        text = (str(error).splitlines() or [""])[0]
        if isinstance(error, FileNotFoundError):
            raise FileNotFoundError(errno.ENOENT, "there is no such object", path) from None
        if any(phrase in text for phrase in _DENIED):
            raise PermissionError(errno.EACCES, text, path) from None
        if any(phrase in text for phrase in _LATE):
            raise TimeoutError(errno.ETIMEDOUT, text, path) from None
        # Of a name that cannot be, Arrow says that it is a wrong value.
        raise OSError(errno.EINVAL if isinstance(error, ValueError) else errno.EIO, text, path) from None
