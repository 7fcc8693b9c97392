"""How much memory this process takes while it works."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import NamedTuple


class Memory(NamedTuple):
    """Bytes: ``private`` is the process' own (RssAnon), ``mapped`` pages of files (RssFile), ``resident`` all."""

    private: int
    mapped: int
    resident: int

    @classmethod
    def now(cls) -> Memory:
        """Of this process."""
        text = Path("/proc/self/status").read_text()
        found = {name: int(size) << 10 for name, size in re.findall(r"(\w*Rss\w*|VmRSS):\s+(\d+) kB", text)}
        return cls(found["RssAnon"], found["RssFile"], found["VmRSS"])

    def beyond(self, start: Memory) -> Memory:
        """What it is more than ``start``."""
        return Memory(*(now - before for now, before in zip(self, start, strict=True)))


class Watch:
    """The process' memory beyond what it had at the start, looked at every 20 ms.

    Args:
      start: None: now.
    """

    def __init__(self, start: Memory | None = None) -> None:
        self.start = start or Memory.now()
        self._most = Memory.now()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._done.wait(0.02):
            self._see()

    def _see(self) -> Memory:
        now = Memory.now()
        self._most = Memory(*map(max, self._most, now))
        return now

    def end(self) -> tuple[Memory, Memory]:
        """The most of each at any time, and what there is at the end."""
        self._done.set()
        self._thread.join()
        now = self._see()
        return self._most.beyond(self.start), now.beyond(self.start)
