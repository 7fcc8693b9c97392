"""The cache of images under threads: closed while others still use it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from modules.images.cache import ImageCache
from modules.images.outcome import OK


def opened(folder: Path) -> ImageCache:
    return ImageCache(str(folder), "policy", 3600.0, 10**9)


@pytest.mark.parametrize("attempt", range(10))
def test_closed_while_others_record(tmp_path: Path, attempt: int) -> None:
    """Some attempts, as it takes luck to close it within a transaction of another thread."""
    cache, over, errors = opened(tmp_path), threading.Event(), []
    begun = threading.Semaphore(0)

    def use(number: int) -> None:
        try:
            for step in range(100_000):
                key = b"%d-%d" % (number, step)
                cache.record(key, None, "no such address", 0)
                cache.flush()
                cache.find(b"0-%d" % step)
                if step == 20:
                    begun.release()
                if over.is_set():
                    return
        except Exception as error:
            errors.append(error)

    users = [threading.Thread(target=use, args=(number,), daemon=True) for number in range(3)]
    for user in users:
        user.start()
    for _ in users:
        assert begun.acquire(timeout=60)
    cache.close()
    cache.close()
    over.set()
    for user in users:
        user.join(60)
        assert not user.is_alive()
    assert not errors
    again = opened(tmp_path)
    assert [again.find(b"%d-0" % number).reason for number in range(3)] == ["no such address"] * 3
    again.close()


def test_what_is_recorded_is_found_again_after_closing(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    cache.record(b"key", cache.store(b"picture"), OK, 7)
    assert cache.find(b"key").data == b"picture" and cache.find(b"other") is None
    cache.close()
    cache.record(b"late", None, "no such address", 0)
    cache.flush()
    assert cache.find(b"unknown") is None
    again = opened(tmp_path)
    assert again.find(b"key").data == b"picture" and again.find(b"late") is None
    again.close()
