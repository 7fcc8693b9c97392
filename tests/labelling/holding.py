"""Another program that holds a label store's file, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HOLDER = """
import fcntl, sqlite3, sys
file, kind = sys.argv[1:]
def lock(name, start, length):
    handle = open(name, "r+b")
    fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
    return handle
if kind == "wal write lock":
    held = lock(file + "-shm", 120, 1)
elif kind == "wal locks":
    held = lock(file + "-shm", 120, 3)
elif kind == "pending byte":
    held = lock(file, 0x40000000, 1)
else:
    held = sqlite3.connect(file, isolation_level=None, timeout=0)
    if kind == "exclusive mode":
        held.execute("PRAGMA locking_mode = EXCLUSIVE")
    held.execute("BEGIN IMMEDIATE" if kind == "immediate" else "BEGIN EXCLUSIVE")
    if kind == "exclusive mode":
        held.execute("CREATE TABLE IF NOT EXISTS held (a)")
        held.execute("COMMIT")
print("held", flush=True)
sys.stdin.read()
"""

WHILE_OPEN = ("immediate", "exclusive", "wal write lock", "wal locks", "pending byte")
"""Kinds of locks that can be had while another program has the store open."""


class Holder:
    """A program that holds the store until :meth:`let_go`."""

    def __init__(self, file: Path, kind: str = "exclusive"):
        command = [sys.executable, "-c", _HOLDER, str(file), kind]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n", f"{kind}: the lock could not be had"

    def let_go(self) -> None:
        self.process.communicate(timeout=30)


@contextmanager
def holding(file: Path, kind: str = "exclusive") -> Iterator[Holder]:
    holder = Holder(file, kind)
    try:
        yield holder
    finally:
        if holder.process.poll() is None:
            holder.let_go()
