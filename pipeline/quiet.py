"""Keeps what libraries print away from the user."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from rich.console import Console


@contextmanager
def everything_else_to(log: IO[str], console: Console) -> Iterator[None]:
    """Sends what libraries print and log (C++ included) to a log; only the console speaks to the user."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    # Beam makes thousands of argument parsers, and each looks for translations on the disk unless told not to.
    os.environ["LANGUAGE"] = "C"
    # Pinned: without a file of its own the console follows sys.stdout, which is about to be the log.
    console.file = console.file
    handler = logging.StreamHandler(log)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname).1s %(name)s: %(message)s"))
    root = logging.getLogger()
    before_handlers, before_level = root.handlers[:], root.level
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    out, err = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = log
    saved = os.dup(2) if _real(err) else None
    if saved is not None:
        os.dup2(log.fileno(), 2)
    try:
        yield
    finally:
        if saved is not None:
            os.dup2(saved, 2)
            os.close(saved)
        sys.stdout, sys.stderr = out, err
        root.handlers[:], root.level = before_handlers, before_level


def _real(stream: IO[str]) -> bool:
    try:
        stream.fileno()
    except (OSError, ValueError, AttributeError):
        return False
    return True
