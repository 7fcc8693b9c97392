"""Similar products, out of a run's table of neighbours, which is in another order than the predictions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from modules.parquet import readable

DIGITS = 4
_READ = 1 << 13
_CHUNK = 500
_COLUMNS = ["id", "neighbours", "scores"]


class NeighbourTable:
    """A context manager: a database on the disk for as long as it lasts, so that memory stays bounded.

    Args:
      file: of :data:`modules.similarity.neighbours.SCHEMA`. count: neighbours per product, at most.
      there: gives those of some ids whose products there still are; None: all are. The next ones of the table take the
        places of the others.

    Raises:
      InputError: the file is damaged.
    """

    def __init__(self, file: Path, count: int, there: Callable[[list[str]], set[str]] | None = None):
        self._count, self._there = count, there
        kept = count if there is None else None
        # An empty name is a temporary database, which SQLite deletes by itself.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("create table neighbours (id text primary key, nearest text not null) without rowid")
        with readable(file), pq.ParquetFile(file) as table:
            for batch in _batches(table):
                rows = zip(*(batch.column(name).to_pylist() for name in _COLUMNS), strict=True)
                self._database.execute("begin")
                self._database.executemany(
                    "insert or replace into neighbours values (?, ?)",
                    ((product, _json(ids[:kept], scores[:kept])) for product, ids, scores in rows),
                )
                self._database.execute("commit")

    def __enter__(self) -> NeighbourTable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Deletes the database."""
        self._database.close()

    def of(self, ids: list[str]) -> list[list[dict[str, Any]]]:
        """See :class:`modules.predictions.documents.Neighbours`; empty for a product that the table does not have."""
        known: dict[str, str] = {}
        for start in range(0, len(ids), _CHUNK):
            chunk = ids[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            query = f"select id, nearest from neighbours where id in ({marks})"  # noqa: S608 - of question marks alone
            known.update(self._database.execute(query, chunk))
        rows: list[list[dict[str, Any]]] = [orjson.loads(known[name]) if name in known else [] for name in ids]
        if self._there is None:
            return rows
        there = self._there(sorted({near["id"] for row in rows for near in row}))
        return [[near for near in row if near["id"] in there][: self._count] for row in rows]


def _batches(table: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    """The rows, group by group: Arrow joins no groups whose lists have dictionaries of their own."""
    for group in range(table.num_row_groups):
        yield from table.iter_batches(_READ, row_groups=[group], columns=_COLUMNS)


def _json(ids: list[str], scores: list[float]) -> str:
    rounded = np.round(np.asarray(scores, np.float64), DIGITS).tolist()
    return orjson.dumps([{"id": name, "score": s} for name, s in zip(ids, rounded, strict=True)]).decode()
