"""The writers of one process, one after the other; while another program keeps them from writing, only a few wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

STEP = 0.25
"""Seconds after which whoever waits looks whether it is for nothing."""


class Refused(Exception):
    """The turn did not come in time."""


class Line:
    """A line of writers.

    Attributes:
      stuck: whether the first one in line waits for another program. Set by that one.
    """

    def __init__(self, places: int):
        """
        Args:
          places: how many wait while the line is stuck; others are refused at once. So a server's threads stay free.
        """
        self.stuck = False
        self._places = places
        self._turn, self._count = threading.Lock(), threading.Lock()
        self._waiting = 0

    @contextmanager
    def turn(self, patience: float) -> Iterator[float]:
        """Waits for the turn, which lasts as long as the block; gives the seconds that are left of ``patience``.

        Raises:
          Refused: the turn did not come within ``patience`` seconds, or too many wait for nothing.
        """
        end = time.monotonic() + patience
        self._wait(end)
        try:
            yield max(0.0, end - time.monotonic())
        finally:
            self._turn.release()

    def _wait(self, end: float) -> None:
        if self._turn.acquire(blocking=False):
            return
        with self._count:
            self._waiting += 1
        try:
            while not self._turn.acquire(timeout=max(0.0, min(STEP, end - time.monotonic()))):
                with self._count:
                    # One at a time, so that no more leave than are too many.
                    if time.monotonic() >= end or (self.stuck and self._waiting > self._places):
                        raise Refused
        finally:
            with self._count:
                self._waiting -= 1
