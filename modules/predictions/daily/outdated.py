"""The daily predictions of the products that a published index does not have as they are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from modules.arrays import BoolArray
from modules.parquet import readable
from modules.predictions.daily.files import DailyFiles, renewed
from modules.predictions.daily.state import DAILY, THEN, WHAT, database_of, part_of
from modules.similarity.changes import Rows
from modules.similarity.items import SCHEMA, Items, column
from modules.sqlite import usable

_BLOCK = 1 << 16
_HALF, _ATOL = 2.0**-10, 1e-5
"""Of a half the last binary digit, and what a sum in single precision may be off."""


class OutdatedFiles(DailyFiles):
    """The living rows of outdated products alone; of the files only the row groups that hold one are read.

    The caller has the lock, and there is at least one such product (:meth:`living`).
    """

    def __init__(self, place: Path):
        super().__init__(place, is_held=True)

    @staticmethod
    def living(place: Path) -> int:
        """How many outdated products there are in today's feed."""
        query = "select count(*) from outdated where id in (select id from products)"
        with usable(database_of(place), WHAT, THEN):
            database = sqlite3.connect(database_of(place))
            try:
                return int(database.execute(query).fetchone()[0])
            finally:
                database.close()

    def _find(self) -> dict[str, list[Path]]:
        with usable(self._path, WHAT, THEN):
            # SQLite keeps it on the disk where it is large.
            self._database.executescript(
                "create temp table its as select part, row, retailer, shown"
                " from outdated cross join products using (id);"
                "create index temp.its_places on its (part, row);"
            )
            numbers = self._database.execute("select distinct part from its order by part").fetchall()
        place = self._path.parent
        return {DAILY: [part_of(place, number) for (number,) in numbers]}

    def _read(self, file: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        query = "select row, retailer, shown from temp.its where part = ? and row >= ? and row < ? order by row"
        with readable(file):
            opened = pq.ParquetFile(file, pre_buffer=False)
        start = 0
        with opened:
            for group in range(opened.num_row_groups):
                end = start + opened.metadata.row_group(group).num_rows
                with usable(self._path, WHAT, THEN):
                    its = self._database.execute(query, (self._parts[file], start, end)).fetchall()
                if its:
                    with readable(file):
                        table = opened.read_row_group(group, columns=list(columns))
                    table = table.take(pa.array([row - start for row, _, _ in its])).combine_chunks()
                    (batch,) = table.to_batches()
                    yield renewed(batch, [retailer for _, retailer, _ in its], [shown for _, _, shown in its])
                start = end


def differing(items: Items, base: Rows) -> list[str]:
    """Ids of the products that are not the same in both: here or there alone, or with another vector or attribute."""
    rows = base.rows_of(items.ids)
    differs = rows < 0
    for start in range(0, len(items), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(items)))
        block = block[~differs[block]]
        theirs = base.table.take(pa.array(rows[block])).combine_chunks()
        own = items.table.take(pa.array(block)).combine_chunks()
        same = _same_vectors(items.vectors[block], base.base.vectors[rows[block]])
        for name in SCHEMA.names:
            same &= _same(column(own, name), column(theirs, name))
        differs[block] = ~same
    gone = base.alive.copy()
    gone[rows[rows >= 0]] = False
    return [*_texts(items.ids, differs), *_texts(base.ids, gone)]


def _texts(ids: pa.StringArray, mask: BoolArray) -> list[str]:
    texts: list[str] = ids.filter(pa.array(mask)).to_pylist()
    return texts


def _same_vectors(vectors: npt.NDArray[np.floating], others: npt.NDArray[np.floating]) -> BoolArray:
    """Per row whether both are the same but for rounding: a model answers by a hair otherwise in another batch."""
    wide, other = np.asarray(vectors, np.float32), np.asarray(others, np.float32)
    same: BoolArray = np.logical_and.reduce(np.isclose(wide, other, rtol=_HALF, atol=_ATOL), axis=1)
    return same


def _same(values: pa.Array, others: pa.Array) -> BoolArray:
    """Per row whether both are equal, both missing, or both no number."""
    if pa.types.is_dictionary(values.type):
        values, others = values.cast(values.type.value_type), others.cast(others.type.value_type)
    equal = pc.equal(values, others).fill_null(False)
    missing = pc.and_(pc.is_null(values, nan_is_null=True), pc.is_null(others, nan_is_null=True))
    return np.asarray(pc.or_(equal, missing))
