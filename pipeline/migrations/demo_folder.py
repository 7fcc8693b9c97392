"""The demo catalogue of a workflow without ``feed.folder`` no longer lies beside the workflow file.

It is written to ``<name>-catalogue`` in ``runners.local.folder`` instead. A catalogue that an older version left beside
the workflow file may hold labels that people gave, so the workflow goes on reading it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.migrations.base import Addition, Change, Decision

_STAMP = ".demo.json"


def step(data: dict[str, Any], file: str) -> Iterator[Change | Decision]:
    """Names the workflow file's own folder where a catalogue is in it."""
    feed = data.get("feed")
    if not isinstance(feed, dict) or feed.get("demo") is None or feed.get("folder_env") is not None:
        return
    if feed.get("folder") is not None or not (Path(file).parent / _STAMP).is_file():
        return
    why = "the demo catalogue beside this file would not be read any more without one"
    if "folder" in feed:
        yield Decision(("feed", "folder"), f"expected a folder: {why}", ".")
    else:
        yield Addition(("feed", "folder"), ".", why)
