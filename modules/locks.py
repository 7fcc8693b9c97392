"""Files that one process at a time may write."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO


def lock(path: Path, *, shared: bool = False) -> IO[bytes] | None:
    """Holds the lock until the returned file is closed, be it by a kill; None: another process has it.

    Args:
      path: the lock's own file, which is made with its folder if it is not there.
      shared: others may hold it at the same time, if theirs are shared as well.

    Raises:
      OSError: the file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = path.open("ab")
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    return handle
