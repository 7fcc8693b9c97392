"""The table of neighbours: every product's nearest ones in its partition, as Parquet, written as it is found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modules import progress
from modules.arrays import IntArray
from modules.counting import counted
from modules.similarity.float16_rows import to_float32
from modules.similarity.items import column
from modules.similarity.scann_index.index import Partition, ScannIndex
from modules.similarity.scann_index.results import without

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

_BATCH = 1 << 11
_ROW_GROUP = 1 << 13
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

    Without partitions, among all products. Partition after partition, and within one the products of a leaf of the
    tree beside each other: they look into the same leaves and find the same products, which the search, the file and
    the memory gain from. Memory is that of some thousand products.

    Raises:
      ValueError: products came or went since the index was built.
    """
    if index.rows.changed:
        raise ValueError("an index as it was built, without products added or removed")
    products = marked = 0
    with pq.ParquetWriter(
        path, SCHEMA, compression="ZSTD", use_dictionary=["neighbours.list.element"],
        dictionary_pagesize_limit=_DICTIONARY, write_statistics=False,
    ) as writer:  # fmt: skip
        for partition in index.partitions or [Partition("", 0, len(index.rows.base))]:
            rows = _by_leaf(index, partition)
            for start in range(0, len(rows), _ROW_GROUP):
                group = _group(index, partition, rows[start : start + _ROW_GROUP], k, near_duplicate)
                writer.write_table(group, row_group_size=len(group))
                products += len(group)
                marked += int(np.count_nonzero(group.column("near_duplicates").to_numpy()))
                progress.report(products, len(index.rows.base), f"neighbours of {counted(products, 'product')}")
    return Written(products, marked)


def _by_leaf(index: ScannIndex, partition: Partition) -> IntArray:
    """The partition's rows, those of a leaf beside each other, those that are in no tree last."""
    tree = index.tree_of(partition)
    if tree is None:
        return np.arange(partition.start, partition.end)
    rows = tree.by_leaf()
    rows = rows[(rows >= partition.start) & (rows < partition.end)]
    missing = np.ones(partition.end - partition.start, bool)
    missing[rows - partition.start] = False
    return np.concatenate([rows, np.flatnonzero(missing) + partition.start], dtype=rows.dtype)


def _group(index: ScannIndex, partition: Partition, rows: IntArray, k: int, near_duplicate: float) -> pa.Table:
    """The lines of some rows; their neighbours share one dictionary of ids."""
    counts, places, scores, near = [], [], [], []
    for start in range(0, len(rows), _BATCH):
        own = rows[start : start + _BATCH]
        vectors = to_float32(index.rows.base.vectors[own])
        result = without(index.search_partition(partition, vectors, k + 1), own)
        result.rows[~vectors.any(1)] = -1
        there = result.rows >= 0
        counts.append(there.sum(1))
        places.append(result.rows[there].astype(np.int32))
        scores.append(np.minimum(result.scores[there], 1.0))
        near.append((there & (result.scores >= near_duplicate)).sum(1).astype(np.int32))
    ids = column(index.rows.base.table, "id")
    shared = pa.array(np.concatenate(places)).dictionary_encode()
    offsets = pa.array(np.cumsum([0, *np.concatenate(counts)]).astype(np.int32))
    neighbours = pa.DictionaryArray.from_arrays(shared.indices, ids.take(shared.dictionary))
    return pa.Table.from_arrays(
        [
            ids.take(pa.array(rows)),
            pa.ListArray.from_arrays(offsets, neighbours),
            pa.ListArray.from_arrays(offsets, pa.array(np.concatenate(scores))),
            pa.array(np.concatenate(near)),
        ],
        schema=SCHEMA,
    )
