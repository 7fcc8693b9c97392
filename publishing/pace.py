"""How fast a target gets products: not above a rate, and not at all while it asks for rest."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

FIRST = 1.0
LONGEST = 60.0
MOST = 300.0
"""Seconds of a ``Retry-After`` that are heeded at most."""


class Closed(Exception):
    """The publication ends: nothing is waited for any longer."""


class Pace:
    """A token bucket for all threads, which a batch empties: it holds as many tokens as a batch has products.

    Args:
      rate: products a second; None: as fast as the target takes them.
      clock: seconds that only grow. sleep: waits so many seconds; None: until :meth:`close` at most.
      jitter: a number between two others, in place of chance.
    """

    def __init__(
        self,
        rate: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
        jitter: Callable[[float, float], float] = random.uniform,
    ):
        self._rate, self._clock, self._jitter = rate, clock, jitter
        self._closed = threading.Event()
        self._sleep = sleep or self._closed.wait
        self._lock = threading.Lock()
        self._free_at = self._rest_until = clock()

    def take(self, products: int) -> None:
        """Waits until so many products may be sent.

        Raises:
          Closed: nobody waits any longer.
        """
        with self._lock:
            start = max(self._clock(), self._free_at, self._rest_until)
            if self._rate is not None:
                self._free_at = start + products / self._rate
        while True:
            if self._closed.is_set():
                raise Closed
            # The target may have asked for rest while this thread waited for its turn.
            wait = max(start, self._rest_until) - self._clock()
            if wait <= 0:
                return
            self._sleep(wait)

    def rest(self, attempt: int, after: float | None) -> None:
        """Nobody sends for a while: as long as the target asks for, else longer with each attempt, from 0 on.

        Chance spreads the latter, as other programs may wait for the same target.
        """
        if after is None:
            seconds = self._jitter(0.0, min(LONGEST, FIRST * 2.0**attempt))
        else:
            seconds = min(max(after, 0.0), MOST)
        with self._lock:
            self._rest_until = max(self._rest_until, self._clock() + seconds)

    def close(self) -> None:
        """Ends all waiting."""
        self._closed.set()
