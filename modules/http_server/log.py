"""A log that nobody outside can fill: of lines of one kind only the first few are written, the others are counted."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

PER_KIND = 5
PER_WINDOW = 100
WINDOW = 60.0
"""Seconds."""
LOGGERS = ("uvicorn", "asyncio", "shelfmark")


@dataclass
class _Kind:
    shown: str
    written: int = 0
    left_out: int = 0


class SparingHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to standard error at most a few lines of one kind, and a number of lines of all kinds, per window of time.

    Lines are of one kind if they come from one logger with one template, and with the same type of exception, raised at
    the same place.

    Args:
      per_kind, per_window: how many lines. window: seconds.
    """

    def __init__(self, per_kind: int = PER_KIND, per_window: int = PER_WINDOW, window: float = WINDOW):
        super().__init__()
        self._per_kind, self._per_window, self._window = per_kind, per_window, window
        self._kinds: dict[Hashable, _Kind] = {}
        self._began = time.monotonic()
        self._counting = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Writes the line, or counts it."""
        self.report()
        with self._counting:
            # Templates should be few; should one be made of what a client sends, they share a kind.
            key: Hashable = _key(record) if len(self._kinds) < self._per_window else None
            kind = self._kinds.setdefault(key, _Kind(str(record.msg).strip()[:80]))
            written = kind.written < self._per_kind and sum(one.written for one in self._kinds.values())
            if written is False or written >= self._per_window:
                kind.left_out += 1
                return
            kind.written += 1
        super().emit(record)

    def report(self, *, now: bool = False) -> None:
        """Says what was left out, as soon as the window is over (or ``now``), and begins the next one."""
        with self._counting:
            if not now and time.monotonic() - self._began < self._window:
                return
            left_out = [kind for kind in self._kinds.values() if kind.left_out]
            seconds = time.monotonic() - self._began
            self._kinds, self._began = {}, time.monotonic()
        for kind in left_out:
            text = f"left out {kind.left_out:,} more lines of this kind in {seconds:.0f} seconds: {kind.shown}"
            super().emit(logging.makeLogRecord({"msg": text, "levelname": "WARNING", "levelno": logging.WARNING}))


def _key(record: logging.LogRecord) -> Hashable:
    place: Any = None
    if record.exc_info and record.exc_info[0] is not None:
        place = record.exc_info[0]
        trace = record.exc_info[2]
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        if trace is not None:
            place = (place, trace.tb_frame.f_code.co_filename, trace.tb_lineno)
    return record.name, record.levelno, str(record.msg), place


def set_up() -> SparingHandler:
    """Lets the loggers of a server write through one sparing handler, and nowhere else."""
    handler = SparingHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.WARNING)
    return handler
