"""How predictions are written. Needs no TensorFlow, whose import takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modules.examples import AVAILABILITY, RETAILER
from modules.predictions.columns import embeddings_in

ROW_GROUP = 8192
"""Rows per row group, at least: a reader of one column pays for each group."""


class TableWriter:
    """Parquet in row groups of at least ``ROW_GROUP`` rows; the columns that repeat are dictionaries."""

    def __init__(self, target: str, schema: pa.Schema):
        repeated = [
            RETAILER,
            AVAILABILITY,
            *(f"{f.name}.list.element" for f in schema if f.type == pa.list_(pa.string())),
        ]
        repeated += [f.name for f in schema if pa.types.is_dictionary(f.type)]
        # Numbers without repetition: nothing to win.
        plain = {f"{name}.list.element" for name in embeddings_in(schema.names)}
        leaves = [*_leaves(schema)]
        self.writer = pq.ParquetWriter(
            target, schema, use_dictionary=repeated, write_statistics=False,
            compression={leaf: "NONE" if leaf in plain else "ZSTD" for leaf in leaves},
        )  # fmt: skip
        self.waiting: list[pa.RecordBatch] = []

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.flush()
        self.writer.close()

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes a batch; writes when enough rows wait."""
        self.waiting.append(batch)
        if sum(batch.num_rows for batch in self.waiting) >= ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        """Writes what waits as one row group."""
        if self.waiting:
            self.writer.write_table(pa.Table.from_batches(self.waiting), row_group_size=2**20)
            self.waiting = []


def _leaves(schema: pa.Schema) -> Iterator[str]:
    for field in schema:
        nested = pa.types.is_list(field.type) or pa.types.is_fixed_size_list(field.type)
        yield f"{field.name}.list.element" if nested else field.name


def as_written(values: np.ndarray) -> np.ndarray:
    """32-bit floats as the 64-bit ones of the same shortest decimal: 19.99, not 19.989999771118164."""
    return values.astype(str).astype(np.float64)
