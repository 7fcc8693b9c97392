"""How long work says how far it is, without knowing who is listening."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Listener = Callable[[int, int, str], None]
"""Called with (steps done, steps in all or 0 if unknown, text)."""

_log = logging.getLogger("shelfmark.progress")


def _to_log(done: int, total: int, text: str) -> None:
    _log.info("%s/%s %s", done, total or "?", text)


_listener: Listener = _to_log


def report(done: int, total: int, text: str = "") -> None:
    """Tells whoever listens (the log, if nobody does)."""
    _listener(done, total, text)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Sends reports of this process to ``listener`` inside the block."""
    global _listener  # noqa: PLW0603 - one per process, as its standard output is
    before, _listener = _listener, listener
    try:
        yield
    finally:
        _listener = before
