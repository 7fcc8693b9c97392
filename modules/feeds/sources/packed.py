"""Records as a compressed file of JSON Lines, within a source's limits."""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from modules.feeds.sources.base import SourceSettings, write_to


def write_packed(lines: Iterable[bytes], raw: IO[bytes], settings: SourceSettings, deadline: float, file: Path) -> None:
    """Writes a gzip file. The same lines are the same bytes.

    Args:
      lines: blocks of whole lines. raw: ``file``, open to be written.
      deadline: of ``time.monotonic()``.

    Raises:
      InputError: the disk does not take it. Away: it is too large, or too late.
    """
    # Neither a name nor a time in the file's header: they would make another snapshot of the same rows.
    with gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
        for block in lines:
            if time.monotonic() >= deadline:
                raise settings.too_late()
            write_to(packed, block, file)
            if raw.tell() > settings.max_bytes:
                raise settings.too_large()
    raw.flush()
    os.fsync(raw.fileno())
    if raw.tell() > settings.max_bytes:
        raise settings.too_large()
