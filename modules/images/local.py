"""Images that are files below the feed's folder: no path leads out of it, by whatever way."""

from __future__ import annotations

import errno
import os
import stat
from functools import lru_cache
from typing import NamedTuple

from modules.images.outcome import BAD_REFERENCE, NOT_ALLOWED, NOT_FOUND, TOO_LARGE, ImageError


class LocalFile(NamedTuple):
    """A local image: its real path, and a version that changes with its content."""

    path: str
    version: str


class LocalImages:
    """Files below one folder.

    Symbolic links are followed as long as they stay below it.
    """

    def __init__(self, folder: str):
        self._folder = folder
        self._root = os.path.realpath(folder)
        self._real = lru_cache(maxsize=4096)(os.path.realpath)

    def find(self, reference: str) -> LocalFile:
        """The file behind a relative path.

        Raises:
          ImageError: ``bad_reference``, ``not_allowed`` (absolute, or out of the folder), ``not_found``.
        """
        if "\0" in reference:
            raise ImageError(BAD_REFERENCE)
        if os.path.isabs(reference) or ".." in reference.split("/"):
            raise ImageError(NOT_ALLOWED)
        folder, name = os.path.split(os.path.join(self._root, reference))
        path = os.path.join(self._real(folder), name)
        try:
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                path = os.path.realpath(path)
                status = os.lstat(path)
        except OSError as error:
            raise ImageError(BAD_REFERENCE if error.errno == errno.ENAMETOOLONG else NOT_FOUND) from None
        if not path.startswith(os.path.join(self._root, "")):
            raise ImageError(NOT_ALLOWED)
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(NOT_FOUND)
        return LocalFile(path, f"{status.st_mtime_ns}:{status.st_size}")

    def read(self, path: str, max_bytes: int) -> bytes:
        """The bytes of a file that :meth:`find` found.

        Raises:
          ImageError: ``too_large``, ``not_found``.
        """
        try:
            # The path is free of links; one that has come since, or a pipe, is not opened.
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(handle, "rb", buffering=0) as stream:
                status = os.fstat(handle)
                if not stat.S_ISREG(status.st_mode):
                    raise ImageError(NOT_FOUND)
                if status.st_size > max_bytes:
                    raise ImageError(TOO_LARGE)
                data = stream.read(max_bytes + 1) or b""
        except OSError:
            raise ImageError(NOT_FOUND) from None
        if len(data) > max_bytes:
            raise ImageError(TOO_LARGE)
        return data
