"""Predictions in a form that a batch can be picked from without holding them all in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from modules.arrays import Float16Array, Float32Array, Int64Array
from modules.objectives import kind_named
from modules.predictions.columns import (
    CLASSES,
    DISAGREEMENT,
    EMBEDDING,
    ID,
    LABEL,
    MEMBERS,
    PROBABILITIES,
    UNCERTAINTIES,
    objective_column,
)
from modules.predictions.read import PredictionFiles

SCORES = (*UNCERTAINTIES, *DISAGREEMENT)


@dataclass(frozen=True)
class PredictionTable:
    """One objective's predictions of all splits: what is wide lies in files, in half precision, and is mapped.

    Attributes:
      ids: of the products. splits: index into ``split_names`` per product.
      classes: int32 (n, k), most probable first. probabilities: float16 (n, k). embeddings: float16 (n, d).
      members: float16 (n, members, m), each member's own probabilities of the first of ``classes``; None: one model.
      scores: name to float32 (n,). labels: int64 (n,), class or -1; all -1 for a multi-label objective.
      guessed: the classes that the model knows by their names alone.
    """

    ids: pa.ChunkedArray
    splits: npt.NDArray[np.int8]
    split_names: Sequence[str]
    classes: npt.NDArray[np.int32]
    probabilities: Float16Array
    embeddings: Float16Array
    scores: dict[str, Float32Array]
    labels: Int64Array
    _folder: Any
    members: Float16Array | None = None
    guessed: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self.ids)

    def rows_of(self, ids: Sequence[str]) -> Int64Array:
        """Rows of those of the products that there are."""
        import pyarrow.compute as pc

        listed = pc.is_in(self.ids, value_set=pa.array(list(ids), pa.string()))
        return np.flatnonzero(listed.to_numpy(zero_copy_only=False))


def read_table(files: PredictionFiles, objective: str, members: int = 0) -> PredictionTable:
    """Reads the predictions once, from disk to disk.

    Args:
      members: of the committee that made the predictions; 0: a single model.

    Half precision keeps three digits of a probability: enough to rank candidates, and the exact margins and entropies,
    which decide, are columns of their own.
    """
    kind = kind_named(files.kinds[objective])
    single_label, label = kind.single_label, objective_column(objective, kind.answer_column)
    scores = [name for name in SCORES if objective_column(objective, name) in files.schema.names]
    wide = {
        CLASSES: (objective_column(objective, CLASSES), np.int32),
        PROBABILITIES: (objective_column(objective, PROBABILITIES), np.float16),
        EMBEDDING: (EMBEDDING, np.float16),
    }
    if members and objective_column(objective, MEMBERS) in files.schema.names:
        wide[MEMBERS] = (objective_column(objective, MEMBERS), np.float16)
    columns = [ID, *(name for name, _ in wide.values()), *(objective_column(objective, name) for name in scores),
               *([label] if single_label else [])]  # fmt: skip
    folder = tempfile.TemporaryDirectory(prefix="shelfmark-sampling-")
    ids: list[pa.Array] = []
    splits: list[npt.NDArray[np.int8]] = []
    narrow: dict[str, list[np.ndarray]] = {name: [] for name in [*scores, LABEL]}
    widths = {}
    targets = {name: (Path(folder.name) / name).open("wb") for name in wide}
    try:
        for number, split in enumerate(files.files):
            for batch in files.scan(columns, split):
                ids.append(batch.column(ID))
                splits.append(np.full(batch.num_rows, number, np.int8))
                for name in scores:
                    narrow[name].append(batch.column(objective_column(objective, name)).to_numpy().astype(np.float32))
                if single_label:
                    narrow[LABEL].append(batch.column(label).to_numpy().astype(np.int64))
                for name, (column, dtype) in wide.items():
                    values = batch.column(column)
                    widths[name] = values.type.list_size
                    targets[name].write(values.flatten().to_numpy().astype(dtype).tobytes())
    finally:
        for target in targets.values():
            target.close()
    count = sum(len(batch_ids) for batch_ids in ids)

    def mapped(name: str) -> Any:
        shape = (count, widths.get(name, 1))
        return (
            np.zeros(shape, wide[name][1])
            if count == 0
            else np.memmap(Path(folder.name) / name, wide[name][1], "r", shape=shape)
        )

    return PredictionTable(
        pa.chunked_array(ids, pa.string()), np.concatenate([np.zeros(0, np.int8), *splits]), list(files.files),
        mapped(CLASSES), mapped(PROBABILITIES), mapped(EMBEDDING), {name: _joined(narrow[name]) for name in scores},
        _joined(narrow[LABEL]).astype(np.int64) if single_label else np.full(count, -1), folder,
        mapped(MEMBERS).reshape(count, members, -1) if MEMBERS in wide else None,
        files.guessed.get(objective, frozenset()),
    )  # fmt: skip


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """The batches' values one after the other; empty where there is no batch."""
    return np.concatenate([np.zeros(0, np.float32), *parts])
