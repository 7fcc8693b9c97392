"""The images of a stream of products, in the products' order, many at a time and in flat memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from modules.images.decode import canonical
from modules.images.local import LocalImages
from modules.images.outcome import MISSING, NOT_ALLOWED, OK, ImageError, Picture
from modules.settings.images import ImageSettings

T = TypeVar("T")

_AHEAD = 4
"""Images under way or waiting for their turn, per thread."""
_MISSING = Picture(b"", MISSING)


class ImageLoader:
    """Fetches, checks and shrinks images; one per process.

    Args:
      folder: what relative paths start from.
    """

    def __init__(self, settings: ImageSettings, folder: str):
        self._settings = settings
        self._local = LocalImages(folder)
        self._pool = ThreadPoolExecutor(settings.threads, "images")

    def pictures(
        self, items: Iterable[T], reference_of: Callable[[T], str | None]
    ) -> Iterator[tuple[T, Picture | None]]:
        """Each item with its picture, in the items' order.

        Args:
          reference_of: the item's path or address, empty where it names none; None for an item that is no product.
        """
        waiting: deque[tuple[T, Future[Picture] | Picture | None]] = deque()
        limit = self._settings.threads * _AHEAD
        for item in items:
            reference = reference_of(item)
            found: Future[Picture] | Picture | None = None
            if reference is not None:
                found = self._pool.submit(self._picture, reference) if reference else _MISSING
            waiting.append((item, found))
            while waiting and (len(waiting) > limit or not isinstance(waiting[0][1], Future) or waiting[0][1].done()):
                yield _arrived(*waiting.popleft())
        while waiting:
            yield _arrived(*waiting.popleft())

    def _picture(self, reference: str) -> Picture:
        settings = self._settings
        try:
            if "://" in reference:
                raise ImageError(NOT_ALLOWED)
            data = self._local.read(self._local.find(reference).path, settings.max_bytes)
            return Picture(canonical(data, settings.size, settings.max_pixels), OK)
        except ImageError as error:
            return Picture(b"", error.reason)

    def close(self) -> None:
        """Nothing can be loaded afterwards."""
        self._pool.shutdown(cancel_futures=True)


def _arrived(item: T, found: Future[Picture] | Picture | None) -> tuple[T, Picture | None]:
    return item, found.result() if isinstance(found, Future) else found
