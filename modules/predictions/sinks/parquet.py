"""Parquet with the columns of the predictions themselves, embedding included, and ``split``."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from modules.predictions.columns import SPLIT, objective_of
from modules.predictions.sinks.base import Delivery, FileSink

_ROW_GROUP = 1 << 16


class ParquetSink(FileSink):
    """Batches are gathered until they make a good row group."""

    def __init__(self, target: str, delivery: Delivery):
        super().__init__(target, delivery)
        self._path = ""
        self._waiting: list[pa.Table] = []
        self._writer: pq.ParquetWriter | None = None

    def columns(self) -> list[str]:
        return [column for column in self.delivery.files.schema.names if self._is_wanted(column)]

    def _is_wanted(self, column: str) -> bool:
        objective, wanted = objective_of(column), self.delivery.query.objective
        return wanted is None or not objective or objective == wanted

    def open_file(self, path: str) -> None:
        # The schema is known with the first batch.
        self._path = path

    def write(self, table: pa.Table) -> None:
        self._waiting.append(table)
        if sum(table.num_rows for table in self._waiting) >= _ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            table = pa.concat_tables(self._waiting)
            self._writer = self._writer or pq.ParquetWriter(self._path, table.schema, compression="zstd")
            self._writer.write_table(table)
            self._waiting = []

    def finish(self) -> None:
        self._flush()
        self._writer = self._writer or pq.ParquetWriter(self._path, self._schema())
        super().finish()

    def _schema(self) -> pa.Schema:
        """The schema of a file without any product."""
        fields = [self.delivery.files.schema.field(column) for column in self.columns()]
        plain = [(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type) for f in fields]
        return pa.schema(plain).append(pa.field(SPLIT, pa.string()))

    def close_file(self) -> None:
        if self._writer is not None:
            self._writer.close()
