"""Full-text indexes of products that another index has already."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from modules.similarity.changes import Rows
from modules.similarity.daily import DAILY_FILE, base_of, layer_over
from modules.similarity.exact import ExactIndex, ExactSettings
from modules.similarity.folder import MANIFEST, files_of, indexes_in, new_folder
from modules.similarity.full_text.engine import FullTextIndex, FullTextSettings
from modules.similarity.items import Items
from modules.similarity.loading import load_index
from modules.similarity.make import PUSHED_MODEL
from modules.similarity.version import VERSION_FILE, version_text

WAYS: Mapping[str, FullTextSettings] = {
    "title": FullTextSettings(by="title", rank="engine"),
    "tokens": FullTextSettings(by="tokens"),
    "tokens_and_title": FullTextSettings(by="tokens_and_title"),
}
"""Name of a method to how it searches."""


def living(rows: Rows) -> Items:
    """The products of an index without those that were removed; nothing is copied where nothing changed."""
    if not rows.changed:
        return Items(rows.table, rows.base.vectors, rows.base.embedding)
    alive = np.flatnonzero(rows.alive)
    vectors = np.concatenate([rows.base.vectors, rows.added])[alive]
    return Items(rows.table.take(pa.array(alive)).combine_chunks(), vectors, rows.base.embedding)


def write_full_text(
    items: Items,
    folder: str | Path,
    ways: Mapping[str, FullTextSettings],
    beside: Path | None = None,
    model: Path | None = None,
) -> None:
    """Writes an index per way into a folder of its own below ``folder``, which is new.

    Args:
      beside: a folder of indexes by method; they and the taxonomy are copied, so that all can be searched together.
      model: SavedModel that embeds queries; copied, too.

    Raises:
      InputError: there is something in ``folder``.
    """
    target = new_folder(folder)
    base = base_of(beside) if beside is not None else None
    if base is not None and beside is not None:
        # A layer goes with its base alone: what both hold becomes one index.
        for name, path in indexes_in(base).items():
            if name not in ways:
                layered = layer_over(load_index(path), beside / name)
                ExactIndex.build(living(layered.rows), ExactSettings()).save(target / name)
        beside = base
    elif beside is not None:
        for name, path in indexes_in(beside).items():
            if name not in ways:
                shutil.copytree(path, target / name)
    if beside is not None:
        for path in sorted(beside.glob("*.json")):
            if path.is_file() and path.name not in (DAILY_FILE, MANIFEST, VERSION_FILE):
                shutil.copyfile(path, target / path.name)
    if model is not None:
        shutil.copytree(model, target / PUSHED_MODEL)
    for name, settings in ways.items():
        FullTextIndex.build(items, settings).save(target / name)
    (target / VERSION_FILE).write_text(version_text(files_of(target)), encoding="utf-8")
