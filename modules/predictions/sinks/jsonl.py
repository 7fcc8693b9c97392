"""JSON Lines with one object per product, and in it one per objective."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import IO, Any

import numpy as np
import orjson
import pyarrow as pa

from modules.objectives import ObjectiveKind, kind_named
from modules.predictions.columns import (
    ANCESTORS,
    CATEGORY,
    CATEGORY_ID,
    CLASSES,
    PROBABILITIES,
    PROBABILITY,
    REST,
    SPLIT,
    objective_column,
)
from modules.predictions.read import list_matrix
from modules.predictions.sinks.base import BASE, OPTIONAL, SCORES, Delivery, FileSink
from modules.taxonomy import Taxonomy

TOP = 5
"""Categories per product and objective; Parquet has all that were kept."""


class JsonLinesSink(FileSink):
    """Category paths stand in the place of class indices."""

    def __init__(self, target: str, delivery: Delivery):
        super().__init__(target, delivery)
        self._stream: IO[bytes] | None = None

    def columns(self) -> list[str]:
        columns = list(BASE)
        for objective, kind in self.delivery.objectives.items():
            parts = [CATEGORY, CATEGORY_ID, ANCESTORS, *SCORES, REST, CLASSES, PROBABILITIES]
            parts += self.delivery.told(objective)
            columns += [objective_column(objective, part) for part in (*parts, kind_named(kind).answer_column)]
        return columns

    def open_file(self, path: str) -> None:
        self._stream = open(path, "wb")  # noqa: SIM115 - close_file closes it

    def write(self, table: pa.Table) -> None:
        assert self._stream is not None
        columns = [table.column(part).to_pylist() for part in (*BASE, SPLIT)]
        rows = [dict(zip((*BASE, SPLIT), values, strict=True)) for values in zip(*columns, strict=True)]
        for objective, kind in self.delivery.objectives.items():
            guessed = self.delivery.files.guessed.get(objective, frozenset())
            answers = _objective_parts(table, objective, kind_named(kind), self.delivery.taxonomy, guessed)
            for row, answer in zip(rows, answers, strict=True):
                row[objective] = answer
        for row in rows:
            self._stream.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))

    def close_file(self) -> None:
        if self._stream is not None:
            self._stream.close()


def _objective_parts(
    table: pa.Table, objective: str, kind: ObjectiveKind, taxonomy: Taxonomy, guessed: Collection[int]
) -> Iterator[dict[str, Any]]:
    """Per row an objective's part of its JSON object; worked out column by column, which is many times faster."""

    def column(part: str) -> pa.ChunkedArray:
        return table.column(objective_column(objective, part))

    k = min(TOP, column(CLASSES).type.list_size)
    classes, probabilities = (list_matrix(column(part))[:, :k] for part in (CLASSES, PROBABILITIES))
    # Nobody has taught the model those that it guesses.
    paths = [None if i in guessed else category.text for i, category in enumerate(kind.classes(taxonomy))]
    names = np.array(paths, object)[classes].tolist()
    top = (
        [{CATEGORY: c, PROBABILITY: p} for c, p in zip(some, their, strict=True) if c is not None]
        for some, their in zip(names, _rounded(probabilities), strict=True)
    )
    values: dict[str, Any] = {part: column(part).to_pylist() for part in (CATEGORY, CATEGORY_ID, ANCESTORS)}
    if None in values[CATEGORY]:
        # Nobody has taught the model these categories.
        top = ([] if category is None else best for category, best in zip(values[CATEGORY], top, strict=True))
    values |= {part: _rounded(column(part).to_numpy()) for part in (*SCORES, REST)}
    values["top"] = top
    there = [part for part in OPTIONAL if objective_column(objective, part) in table.schema.names]
    values |= {part: column(part).to_pylist() for part in there}
    values[kind.answer_column] = kind.answer_values(column(kind.answer_column), taxonomy)
    for row in zip(*values.values(), strict=True):
        yield dict(zip(values, row, strict=True))


def _rounded(values: np.ndarray) -> list[Any]:
    return np.round(values.astype(np.float64), 6).tolist()
