"""What an index reaches, as ML Metadata keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from components.record import unpack

QUALITY = "quality/"
"""Beginning of the record's properties; the index' name follows."""


def quality_of(
    name: str, index: Mapping[str, object], record: Mapping[str, object] | None
) -> tuple[list[dict[str, Any]], list[str]]:
    """Figures of the whole and then of each partition, and why the index is not blessed.

    Args:
      name: the index'.
      index: properties of the ``similarity_index``, which earlier versions kept all of it on.
      record: those of the record beside it; None: an earlier version wrote none.
    """
    if record is not None and QUALITY + name in record:
        measured = unpack(str(record[QUALITY + name]))
        return measured["quality"], measured["reasons"]
    earlier = f"{name}/partition/"
    quality = [json.loads(str(index[f"{name}/global"]))]
    quality += [
        {**json.loads(str(value)), "name": key.removeprefix(earlier)}
        for key, value in index.items()
        if key.startswith(earlier)
    ]
    return quality, json.loads(str(index.get(f"{name}/reasons", "[]")))
