"""A log that nobody outside can fill: of lines of one kind only the first few are written, the others are counted."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Hashable
from dataclasses import dataclass

PER_KIND = 5
KINDS = 20
WINDOW = 60.0
"""Seconds."""


@dataclass
class _Kind:
    template: str
    count: int = 0


class SparingHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to standard error at most a few lines of one kind per window of time, and says how many more there were.

    Lines are of one kind if they come from one logger with one template, and with the same type of exception, raised at
    the same place. Beyond a number of kinds, the others count as one: a template may have been made of what a client
    sent.

    Args:
      per_kind: lines. kinds: at most. window: seconds.
    """

    def __init__(self, per_kind: int = PER_KIND, kinds: int = KINDS, window: float = WINDOW):
        super().__init__()
        self._per_kind, self._most_kinds, self._window = per_kind, kinds, window
        self._kinds: dict[Hashable, _Kind] = {}
        self._began = time.monotonic()
        self._counting = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Writes the line, or counts it."""
        self.report()
        key, template = _kind_of(record), str(record.msg).strip()[:80]
        with self._counting:
            if key not in self._kinds and len(self._kinds) >= self._most_kinds:
                key, template = None, "of other kinds"
            kind = self._kinds.setdefault(key, _Kind(template))
            kind.count += 1
            if kind.count > self._per_kind:
                return
        super().emit(record)

    def report(self, *, now: bool = False) -> None:
        """Says what was left out, as soon as the window is over (or ``now``), and begins the next one."""
        with self._counting:
            seconds = time.monotonic() - self._began
            if not now and seconds < self._window:
                return
            kinds, self._kinds, self._began = list(self._kinds.values()), {}, time.monotonic()
        for kind in kinds:
            if kind.count > self._per_kind:
                text = f"... {kind.count - self._per_kind:,} more like this in {seconds:.0f} s: {kind.template}"
                super().emit(logging.makeLogRecord({"msg": text, "levelname": "WARNING", "levelno": logging.WARNING}))


def _kind_of(record: logging.LogRecord) -> Hashable:
    place: Hashable = None
    if record.exc_info and record.exc_info[0] is not None:
        trace = record.exc_info[2]
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = (record.exc_info[0], trace and (trace.tb_frame.f_code.co_filename, trace.tb_lineno))
    return record.name, record.levelno, str(record.msg), place


def set_up() -> SparingHandler:
    """Lets all loggers of this process write through one sparing handler."""
    handler = SparingHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logging.getLogger().handlers = [handler]
    return handler
