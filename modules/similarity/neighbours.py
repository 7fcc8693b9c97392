"""The table of neighbours: every product's nearest ones in its partition, as Parquet, written as it is found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modules import progress
from modules.similarity.halves import widened
from modules.similarity.items import column
from modules.similarity.protocol import Found, Queries
from modules.similarity.scann_index.index import Partition, ScannIndex

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("neighbours", pa.list_(pa.dictionary(pa.int32(), pa.string()))),
        ("scores", pa.list_(pa.float32())),
        ("near_duplicates", pa.int32()),
    ]
)
"""Per product the ids of its neighbours, nearest first, their cosines, and how many of the first ones are
near-duplicates. A product without embedding has none."""

_BATCH = 1 << 12
_ROW_GROUP = 1 << 15
_DICTIONARY = 1 << 28
"""Bytes up to which a row group's ids are written once."""


@dataclass(frozen=True)
class Written:
    """What a table holds."""

    products: int
    near_duplicates: int
    """Products that have at least one."""


def write_neighbours(index: ScannIndex, path: Path, k: int, near_duplicate: float) -> Written:
    """Writes the ``k`` nearest products of every product, itself excluded, within its partition.

    Without partitions, among all products. Memory is that of some thousand products and a partition's ids.
    """
    products = marked = 0
    with pq.ParquetWriter(
        path, SCHEMA, compression="ZSTD", use_dictionary=["neighbours.list.element"],
        dictionary_pagesize_limit=_DICTIONARY, write_statistics=False,
    ) as writer:  # fmt: skip
        for partition in index.partitions or [Partition("", 0, len(index.rows.base))]:
            whole = None if not index.partitions else partition
            for group in _groups(index, partition, whole, k, near_duplicate):
                writer.write_table(group, row_group_size=len(group))
                products += len(group)
                marked += int(np.count_nonzero(group.column("near_duplicates").to_numpy()))
                progress.report(products, len(index.rows.base), f"neighbours of {products:,} products")
    return Written(products, marked)


def _groups(
    index: ScannIndex, partition: Partition, whole: Partition | None, k: int, near_duplicate: float
) -> Iterator[pa.Table]:
    """Tables of at most ``_ROW_GROUP`` products, whose neighbours share the partition's ids as their dictionary."""
    ids = column(index.rows.base.table, "id").slice(partition.start, partition.end - partition.start)
    ids = pa.concat_arrays([ids])  # a copy of the partition's texts alone
    waiting: list[pa.RecordBatch] = []
    for start in range(partition.start, partition.end, _BATCH):
        rows = np.arange(start, min(start + _BATCH, partition.end))
        vectors = widened(index.rows.base.vectors[rows])
        found = (
            index.search(Queries(vectors), k + 1) if whole is None else index.search_partition(whole, vectors, k + 1)
        )
        found = _without_itself(found, rows, k)
        found.rows[~vectors.any(1)] = -1
        own = ids.slice(start - partition.start, len(rows))
        waiting.append(_batch(own, ids, found, partition.start, near_duplicate))
        if sum(map(len, waiting)) >= _ROW_GROUP:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


def _without_itself(found: Found, rows: np.ndarray, k: int) -> Found:
    itself = found.rows == rows[:, None]
    # Where a product is not among its own neighbours, there are so many equal ones; the last one goes.
    itself[~itself.any(1), -1] = True
    keep = ~itself
    shape = (len(rows), k)
    return Found(found.rows[keep].reshape(shape), found.scores[keep].reshape(shape))


def _batch(own: pa.Array, ids: pa.Array, found: Found, first: int, near_duplicate: float) -> pa.RecordBatch:
    there = found.rows >= 0
    offsets = pa.array(np.concatenate([[0], np.cumsum(there.sum(1))]).astype(np.int32))
    places = pa.array((found.rows[there] - first).astype(np.int32))
    scores = np.minimum(found.scores[there], 1.0)
    near = (there & (found.scores >= near_duplicate)).sum(1).astype(np.int32)
    return pa.RecordBatch.from_arrays(
        [
            own,
            pa.ListArray.from_arrays(offsets, pa.DictionaryArray.from_arrays(places, ids)),
            pa.ListArray.from_arrays(offsets, pa.array(scores)),
            pa.array(near),
        ],
        schema=SCHEMA,
    )
