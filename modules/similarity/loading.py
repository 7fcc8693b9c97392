"""Opens an index of any kind, and looks into it."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np

from modules.arrays import Float32Array
from modules.errors import InputError, Problem, shorten
from modules.similarity.changes import Rows, unit
from modules.similarity.folder import MANIFEST, read_manifest
from modules.similarity.items import Embedding
from modules.similarity.protocol import Index, Searchable

KINDS = {
    "exact": "modules.similarity.exact:ExactIndex",
    "scann": "modules.similarity.scann_index.index:ScannIndex",
    "full_text": "modules.similarity.full_text.engine:FullTextIndex",
}
"""An index' kind to the class that loads it."""


def load_index(folder: str | Path, embedding: Embedding | None = None) -> Index:
    """The index in a folder, whatever its kind.

    Raises:
      InputError: as :meth:`modules.similarity.protocol.Index.load`, or the kind is unknown.
    """
    kind = read_manifest(folder, verify=False).kind
    if kind not in KINDS:
        expected = f"one of: {', '.join(KINDS)}"
        raise InputError(Problem(str(Path(folder) / MANIFEST), expected, key="kind", value=shorten(kind)))
    module, _, name = KINDS[kind].partition(":")
    loaded: Index = getattr(importlib.import_module(module), name).load(folder, embedding)
    return loaded


def rows_of(index: Searchable) -> Rows:
    """The products of an index; every kind keeps them as ``rows``."""
    rows: Rows = index.rows  # type: ignore[attr-defined]
    return rows


def vector_of(rows: Rows, row: int) -> Float32Array | None:
    """A row's vector as float32 of unit length, zeros if it has none; None if the index keeps none."""
    base = rows.base.vectors
    if not base.shape[1]:
        return None
    kept = base[row] if row < len(base) else rows.added[row - len(base)]
    return unit(np.asarray(kept)[None])[0]
