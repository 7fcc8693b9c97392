"""Guesses: categories that nobody has labelled a product of, and that the model knows by their names alone.

A run's own table of predictions has them, marked by their source, so that people can label from them. What leaves the
run (published predictions, sinks, similarity indexes) has no category in their place: nobody has taught it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from modules.predictions.columns import (
    ANCESTORS,
    CATEGORY,
    CATEGORY_ID,
    PROBABILITY,
    SOURCE,
    objective_column,
    objective_of,
)

LABELS: Final = "labels"
"""A source: the model was taught the category."""
NAMES: Final = "names"
"""A source: nobody has labelled a product of the category, and the model has guessed it from its name."""

ANSWER = (CATEGORY, CATEGORY_ID, ANCESTORS, PROBABILITY)
"""The parts of an objective that a guess leaves empty where it is left out."""

_GUESSED_CLASSES = b"shelfmark.guessed_classes"

_STORED_AS = {"UNCOMPRESSED": "NONE"}
"""How pyarrow's writer calls a compression that its reader calls otherwise."""

Rows = TypeVar("Rows", pa.Table, pa.RecordBatch)


def source_column(
    best: npt.NDArray[np.int32], guessed: Collection[int], null: npt.NDArray[np.bool_]
) -> pa.DictionaryArray:
    """The source of each product's category.

    Args:
      best: int32 (n,), the classes of the products' categories.
      guessed: the classes that the model knows by their names alone.
      null: bool (n,), the products without a category.
    """
    from_name = np.isin(best, np.fromiter(guessed, np.int32, len(guessed)))
    return pa.DictionaryArray.from_arrays(pa.array(from_name.astype(np.int32), mask=null), pa.array([LABELS, NAMES]))


def with_guessed_classes(rows: pa.RecordBatch, guessed: Mapping[str, Collection[int]]) -> pa.RecordBatch:
    """The batch with a note of each objective's guessed classes, which a file of such batches keeps."""
    if not any(guessed.values()):
        return rows
    note = json.dumps({name: sorted(classes) for name, classes in guessed.items()}).encode()
    return rows.replace_schema_metadata({_GUESSED_CLASSES: note})


def guessed_classes(schema: pa.Schema) -> dict[str, frozenset[int]]:
    """Objective to its guessed classes, as the note of a file says; empty of one without."""
    note = (schema.metadata or {}).get(_GUESSED_CLASSES)
    return {name: frozenset(classes) for name, classes in json.loads(note).items()} if note else {}


def sources_beside(columns: Iterable[str], there: Collection[str]) -> list[str]:
    """The columns, and with them the sources that :func:`without_guesses` needs, of those that are ``there``."""
    columns = list(columns)
    answers = {objective_column(objective_of(column), part) for column in columns for part in ANSWER}
    sources = [objective_column(objective_of(column), SOURCE) for column in columns if column in answers]
    return list(dict.fromkeys([*columns, *(source for source in sources if source in there)]))


def without_guesses(rows: Rows) -> Rows:
    """The rows without the categories that are guesses; their sources stay, and say why."""
    ending = objective_column("", SOURCE)
    for source in [name for name in rows.schema.names if name.endswith(ending)]:
        is_guess = pc.fill_null(pc.equal(rows.column(source), NAMES), False).to_numpy(zero_copy_only=False)
        if not is_guess.any():
            continue
        kept = pa.array(np.arange(len(is_guess)), mask=is_guess)
        for part in ANSWER:
            place = rows.schema.get_field_index(objective_column(objective_of(source), part))
            if place >= 0:
                rows = rows.set_column(place, rows.schema.field(place), _taken(rows.column(place), kept))
    return rows


def _taken(column: pa.Array | pa.ChunkedArray, places: pa.Array) -> pa.Array | pa.ChunkedArray:
    if isinstance(column, pa.ChunkedArray) and pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    return column.take(places)


def remove_guesses(folder: str | Path) -> None:
    """Leaves the guesses out of all files of predictions in a folder; those without any stay as they are."""
    for file in sorted(Path(folder).rglob("*.parquet")):
        with pq.ParquetFile(file) as opened:
            if any(guessed_classes(opened.schema_arrow).values()):
                part = file.with_suffix(".part")
                _copy_without_guesses(opened, part)
                os.replace(part, file)


def _copy_without_guesses(source: pq.ParquetFile, target: Path) -> None:
    """Row group by row group, so that memory does not grow with the products; every column is stored as it was."""
    groups = source.metadata.num_row_groups
    chunks = [source.metadata.row_group(0).column(i) for i in range(source.metadata.num_columns)] if groups else []
    compression = {chunk.path_in_schema: _STORED_AS.get(chunk.compression, chunk.compression) for chunk in chunks}
    repeated = [chunk.path_in_schema for chunk in chunks if chunk.has_dictionary_page]
    with pq.ParquetWriter(
        target, source.schema_arrow, use_dictionary=repeated, write_statistics=False, compression=compression or "NONE"
    ) as writer:
        for number in range(groups):
            writer.write_table(without_guesses(source.read_row_group(number)), row_group_size=2**20)
