"""The images of a stream of products, in the products' order, many at a time and in flat memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from modules.images.cache import ImageCache
from modules.images.decode import canonical
from modules.images.http import WebImages
from modules.images.outcome import BAD_REFERENCE, MISSING, OK, ImageError, Picture
from modules.images.sources import Plan, Sources
from modules.settings.images import ImageSettings

T = TypeVar("T")

_AHEAD = 64
"""Images under way or waiting for their turn, per thread: so many that a slow host holds up nobody else's."""
_MISSING = Picture(b"", MISSING)


class _Loaded(NamedTuple):
    """``lasting``: whether the next run may go by it."""

    picture: Picture
    digest: bytes | None
    lasting: bool


class _Waiting(NamedTuple):
    key: bytes
    future: Future[_Loaded]


class ImageLoader:
    """Fetches, checks and shrinks images, and keeps them in the cache; one per process.

    Args:
      folder: what relative paths start from.
      web: default: one made of the settings.

    Raises:
      OSError: the cache's folder cannot be used.
    """

    def __init__(self, settings: ImageSettings, folder: str, web: WebImages | None = None):
        self._settings = settings
        self._web = web or WebImages(settings)
        self._sources = Sources(settings, folder, self._web)
        policy = settings.model_dump_json(
            include={"hosts", "schemes", "ports", "allow_private", "max_bytes", "max_pixels"}
        )
        self._cache: ImageCache | None = None
        if settings.cache:
            retry_after = settings.retry_after_hours * 3600
            self._cache = ImageCache(settings.cache, policy, retry_after, settings.max_cache_bytes)
        self._pool = ThreadPoolExecutor(settings.threads, "images")
        self._under_way: dict[bytes, Future[_Loaded]] = {}

    def pictures(
        self, items: Iterable[T], reference_of: Callable[[T], str | None]
    ) -> Iterator[tuple[T, Picture | None]]:
        """Each item with its picture, in the items' order.

        Args:
          reference_of: the item's path or address, empty where it names none; None for an item that is no product.

        One stream at a time. Where it is left before its end, images that nobody waits for are not fetched.
        """
        queue: deque[tuple[T, _Waiting | Picture | None]] = deque()
        limit = self._settings.threads * _AHEAD
        try:
            for item in items:
                reference = reference_of(item)
                queue.append((item, None if reference is None else self._begin(reference)))
                while queue and (len(queue) > limit or not _busy(queue[0][1])):
                    yield self._end(*queue.popleft())
            while queue:
                yield self._end(*queue.popleft())
        finally:
            # Empty at the end of the products, unless that end is an error.
            for future in self._under_way.values():
                future.cancel()
            self._under_way.clear()
        if self._cache is not None:
            self._cache.flush()

    def _begin(self, reference: str) -> _Waiting | Picture:
        if not reference:
            return _MISSING
        try:
            plan = self._sources.plan(reference)
        except ImageError as error:
            return Picture(b"", error.reason)
        except ValueError:
            return Picture(b"", BAD_REFERENCE)
        future = self._under_way.get(plan.key)
        if future is None:
            known = self._cache.find(plan.key) if self._cache is not None else None
            if known is not None:
                return known
            future = self._under_way[plan.key] = self._pool.submit(self._load, plan)
        return _Waiting(plan.key, future)

    def _load(self, plan: Plan) -> _Loaded:
        try:
            data = canonical(plan.read(), self._settings.size, self._settings.max_pixels)
        except ImageError as error:
            return _Loaded(Picture(b"", error.reason), None, error.asked)
        digest = self._cache.store(data) if self._cache is not None else None
        return _Loaded(Picture(data, OK), digest, digest is not None)

    def _end(self, item: T, picture_or_wait: _Waiting | Picture | None) -> tuple[T, Picture | None]:
        if not isinstance(picture_or_wait, _Waiting):
            return item, picture_or_wait
        picture, digest, lasting = picture_or_wait.future.result()
        # The first of those that wait for the same image takes it out and records it.
        first = self._under_way.pop(picture_or_wait.key, None)
        if first is not None and self._cache is not None and lasting:
            self._cache.record(picture_or_wait.key, digest, picture.reason, len(picture.data))
        return item, picture

    def close(self) -> None:
        """Nothing can be loaded afterwards, and what is being fetched from the web is given up."""
        self._web.close()
        self._pool.shutdown(cancel_futures=True)
        if self._cache is not None:
            self._cache.close()


def _busy(picture_or_wait: _Waiting | Picture | None) -> bool:
    return isinstance(picture_or_wait, _Waiting) and not picture_or_wait.future.done()
