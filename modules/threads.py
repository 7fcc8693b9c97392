"""How many threads a computation may use."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import ThreadpoolController

_limited = threading.Lock()


def threads() -> int:
    """Cores that this process may use, at most OMP_NUM_THREADS."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, int(limit)) if limit.isdigit() and int(limit) else cores


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Matrix products in here take one thread.

    After a product, OpenBLAS' threads wait for the next one without leaving their cores, which other threads then lack,
    and products of several threads wait for each other. The number of threads is the process', so products elsewhere
    take one thread too meanwhile. Whoever comes first sets it, and sets it back; for others within that time it is as
    it is: theirs may end with more threads, which costs time alone. On a machine that does something else as well, the
    waiting makes several threads many times as slow as one.
    """
    if not _limited.acquire(blocking=False):
        yield
        return
    try:
        with _blas().limit(limits=1):
            yield
    finally:
        _limited.release()


@functools.cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")
