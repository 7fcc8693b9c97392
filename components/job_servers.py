"""Flink's job servers that this process has started: one for all components, not one each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

_lock = threading.Lock()
_started: dict[tuple[str, ...], Any] = {}


def shared(key: tuple[str, ...], make: Callable[[], Any]) -> Any:
    """The server of this key, made if there is none."""
    with _lock:
        if key not in _started:
            _started[key] = make()
        return _started[key]


def stop() -> None:
    """Ends those that run. Otherwise they end with this process."""
    with _lock:
        servers = list(_started.values())
        _started.clear()
    for server in servers:
        server.stop()
