"""What is known about hosts: their addresses for a minute, and whether they answer at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from modules.images.outcome import ImageError

FAILURES = 20
"""Images in a row that a host fails to give, after which it is left alone for a while."""
PAUSE = 60.0
"""Seconds."""
_KNOWN = 60.0
_LIMIT = 10_000


class Hosts:
    """For many threads. ``look_up``: host and port to addresses that may be connected to; raises ImageError."""

    def __init__(self, look_up: Callable[[str, int], list[str]]):
        self._look_up = look_up
        self._addresses: dict[tuple[str, int], tuple[float, list[str]]] = {}
        self._failures: dict[str, tuple[int, float, str]] = {}
        self._lock = threading.Lock()

    def addresses(self, host: str, port: int) -> list[str]:
        """Raises ImageError."""
        key, now = (host, port), time.monotonic()
        known = self._addresses.get(key)
        if known is not None and known[0] > now:
            return known[1]
        ips = self._look_up(host, port)
        with self._lock:
            if len(self._addresses) >= _LIMIT:
                self._addresses.clear()
            self._addresses[key] = now + _KNOWN, ips
        return ips

    def check(self, host: str) -> None:
        """Raises ImageError, with the reason of the last failure, while a host is left alone.

        Without it a dead host with a hundred thousand images would cost a day of timeouts.
        """
        count, since, reason = self._failures.get(host, (0, 0.0, ""))
        if count >= FAILURES and time.monotonic() - since < PAUSE:
            raise ImageError(reason, asked=False)

    def failed(self, host: str, reason: str) -> None:
        """All attempts for an image failed for a reason that lies with the host."""
        with self._lock:
            if len(self._failures) >= _LIMIT:
                self._failures.clear()
            self._failures[host] = self._failures.get(host, (0, 0.0, ""))[0] + 1, time.monotonic(), reason

    def worked(self, host: str) -> None:
        """The host gave an image."""
        if host in self._failures:
            with self._lock:
                self._failures.pop(host, None)
