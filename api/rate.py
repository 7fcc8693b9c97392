"""How many requests each client may send: a token bucket per client."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

BURST_SECONDS = 2.0
"""So many seconds' requests may come at once after a pause."""


@dataclass
class _Bucket:
    left: float
    since: float


class RateLimit:
    """Takes one unit per request from a bucket that fills steadily; there are as many buckets as clients.

    Args:
      rate: requests per second, above 0. clock: seconds, never going back.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic):
        self._rate, self._clock = rate, clock
        self._most = max(1.0, rate * BURST_SECONDS)
        self._buckets: dict[str, _Bucket] = {}

    def wait(self, client: str) -> int:
        """Counts a request of a client.

        Returns:
          0 if it may pass; else the whole seconds after which one may again, and the request is not counted.
        """
        now = self._clock()
        bucket = self._buckets.setdefault(client, _Bucket(self._most, now))
        bucket.left = min(self._most, bucket.left + (now - bucket.since) * self._rate)
        bucket.since = now
        if bucket.left >= 1.0:
            bucket.left -= 1.0
            return 0
        return max(1, math.ceil((1.0 - bucket.left) / self._rate))
