"""From a reference to the bytes behind it, wherever they lie."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from modules.images.http import WebImages
from modules.images.local import LocalImages
from modules.images.outcome import NOT_ALLOWED, ImageError
from modules.images.references import StoredObject, parse
from modules.images.stores import patience, read_object
from modules.object_stores import is_remote
from modules.settings.images import ImageSettings

VERSION = 2
"""Raised when the same bytes would become another picture, so that the cache forgets the old ones."""


class Plan(NamedTuple):
    """How to get an image.

    Attributes:
      key: 16 bytes, the same for as long as the image can be expected to be the same.
      read: gives the file's bytes; raises ImageError.
    """

    key: bytes
    read: Callable[[], bytes]


class Sources:
    """Files below the feed's folder (or its prefix in an object store), the web, and object stores."""

    def __init__(self, settings: ImageSettings, folder: str, web: WebImages):
        self._settings = settings
        self._web = web
        self._prefix = folder.rstrip("/") if is_remote(folder) else None
        self._local = LocalImages(folder)

    def plan(self, reference: str) -> Plan:
        """Plans how to read a reference, without touching the network.

        Raises:
          ImageError: it is known already that there will be no image.
        """
        address = parse(reference, self._settings)
        limit, waiting = self._settings.max_bytes, patience(self._settings)
        if isinstance(address, StoredObject):
            return Plan(self._key("store", address.url), lambda: read_object(address.url, limit, waiting))
        if address is not None:
            return Plan(self._key("web", address.url), lambda: self._web.fetch(address))
        if self._prefix is None:
            file = self._local.find(reference)
            return Plan(self._key("file", file.path, file.version), lambda: self._local.read(file.path, limit))
        if reference.startswith("/") or ".." in reference.split("/"):
            raise ImageError(NOT_ALLOWED)
        url = f"{self._prefix}/{reference}"
        return Plan(self._key("store", url), lambda: read_object(url, limit, waiting))

    def _key(self, *parts: str) -> bytes:
        text = "\0".join((str(VERSION), str(self._settings.size), *parts))
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
