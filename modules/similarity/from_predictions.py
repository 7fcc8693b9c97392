"""Items out of a run's predictions, in the order of their partitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modules.arrays import Int64Array
from modules.errors import InputError, Problem
from modules.predictions.columns import (
    AVAILABILITY,
    CATEGORY_ID,
    ID,
    MODEL_EMBEDDINGS,
    PRICE,
    RETAILER,
    TITLE,
    embedding_column,
    embedding_name,
    embeddings_in,
    objective_column,
)
from modules.predictions.guesses import sources_beside, without_guesses
from modules.predictions.read import PredictionFiles
from modules.settings.similarity import TOWERS, IndexSettings
from modules.similarity.changes import unit
from modules.similarity.items import NO_CATEGORY, SCHEMA, Embedding, Items, column
from modules.taxonomy import Taxonomy

NO_PARTITION = ""
"""Name of the partition of the products whose category the taxonomy does not have."""


def read_items(
    files: PredictionFiles, taxonomy: Taxonomy, settings: IndexSettings, model: str, vectors: Path
) -> tuple[Items, list[tuple[str, int]]]:
    """All products of all splits, those of a partition side by side, and name and size of each partition.

    Texts are held in memory; the vectors are written to a file, batch by batch, and mapped.

    Args:
      model: fingerprint of the model that made the predictions.
      vectors: the file to write, float16 (n, d) as npy.

    Raises:
      InputError: the predictions have no such embedding or objective, or other categories than the taxonomy.
    """
    name = embedding_column(settings.embedding)
    if name not in files.schema.names:
        made = ", ".join(map(embedding_name, embeddings_in(files.schema.names)))
        hint = TOWERS if settings.embedding in MODEL_EMBEDDINGS else "train the model with this index in the workflow"
        key, expected = "similarity.indexes.*.embedding", f"an embedding that the model makes: {made}"
        raise InputError(Problem("", expected, key=key, value=settings.embedding, hint=hint))
    if settings.objective is not None and settings.objective not in files.kinds:
        expected = f"one of: {', '.join(files.kinds)}"
        raise InputError(Problem("", expected, key="similarity.indexes.*.objective", value=settings.objective))
    objective = files.objective(settings.objective)
    table = _table(files, taxonomy, objective_column(objective, CATEGORY_ID))
    of_node, names = partition_of_nodes(taxonomy, settings.partition_level)
    groups = of_node[np.asarray(column(table, "category"))]
    order = np.argsort(groups, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    _write_vectors(files, name, place, vectors)
    sizes = np.bincount(groups, minlength=len(names)).tolist()
    mapped = np.load(vectors, mmap_mode="r", allow_pickle=False)
    items = Items(table.take(pa.array(order)).combine_chunks(), mapped, Embedding(model, name))
    partitions = [(text, size) for text, size in zip(names, sizes, strict=True) if size]
    return items, partitions if settings.partition_level else []


def _table(files: PredictionFiles, taxonomy: Taxonomy, category: str) -> pa.Table:
    """Of :data:`modules.similarity.items.SCHEMA`, in the order of the files."""
    known = {c.id: c.index for c in taxonomy}
    parts = []
    # Predictions out of a cache may be older than some of the columns.
    wanted = [ID, TITLE, RETAILER, AVAILABILITY, PRICE, category]
    there = files.schema.names
    for guesses in files.scan(sources_beside([name for name in wanted if name in there], there)):
        batch = without_guesses(guesses)
        ids = batch.column(category)
        ids = ids if isinstance(ids, pa.DictionaryArray) else ids.dictionary_encode()
        nodes = np.array([*(known.get(id, NO_CATEGORY) for id in ids.dictionary.to_pylist()), NO_CATEGORY], np.int32)
        index = ids.indices.fill_null(len(nodes) - 1).to_numpy(zero_copy_only=False)
        columns = {
            "id": batch.column(ID),
            "title": batch.column(TITLE),
            "category": pa.array(nodes[index]),
            "retailer": _text(batch, RETAILER),
            "price": _column(batch, PRICE, pa.float64()).fill_null(np.nan),
            "availability": _text(batch, AVAILABILITY),
        }
        parts.append(pa.table(columns, schema=SCHEMA))
    if not parts:
        return SCHEMA.empty_table()
    return pa.concat_tables(parts).unify_dictionaries().combine_chunks()


def _column(batch: pa.RecordBatch, name: str, kind: pa.DataType) -> pa.Array:
    return batch.column(name).cast(kind) if name in batch.schema.names else pa.nulls(len(batch), kind)


def _text(batch: pa.RecordBatch, name: str) -> pa.DictionaryArray:
    """Texts, null where empty."""
    text = _column(batch, name, pa.string())
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text).dictionary_encode()


def partition_of_nodes(taxonomy: Taxonomy, level: int) -> tuple[Int64Array, list[str]]:
    """int64 (nodes + 1,): number of each category's partition, and last that of products without a category; and the
    partitions' names. A category above ``level`` is one of its own; with the level 0 all are in one."""
    names: list[str] = []
    number: dict[str, int] = {}
    of_node = np.zeros(len(taxonomy) + 1, np.int64)  # the last one stands for no category
    for node in taxonomy:
        line = [*taxonomy.ancestors(node), node]
        id = line[min(level, len(line)) - 1].id if level else NO_PARTITION
        if id not in number:
            number[id] = len(names)
            names.append(id)
        of_node[node.index] = number[id]
    if NO_PARTITION not in number:
        number[NO_PARTITION] = len(names)
        names.append(NO_PARTITION)
    of_node[-1] = number[NO_PARTITION]
    return of_node, names


def _write_vectors(files: PredictionFiles, name: str, place: Int64Array, path: Path) -> None:
    width = files.schema.field(name).type.list_size
    mapped = np.lib.format.open_memmap(path, "w+", np.float16, (len(place), width))
    start = 0
    for batch in files.scan([name]):
        values = batch.column(name).flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
        mapped[place[start : start + len(values)]] = unit(values)
        start += len(values)
    mapped.flush()
