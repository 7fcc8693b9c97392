"""CSV with one row per product, for people and spreadsheets."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from modules.objectives import kind_named
from modules.predictions.columns import CATEGORY, CATEGORY_ID, SPLIT, objective_column
from modules.predictions.sinks.base import BASE, SCORES, Delivery, FileSink

_FORMULA = r"^[\s\x0b\x00\p{Z}]*[=+\-@＝＋－＠]|^[\t\r\n]"
"""Text that a spreadsheet may take for a formula (OWASP, CSV injection), also after white space or in full width."""


class CsvSink(FileSink):
    """Category paths stand in the place of class indices; a text that a spreadsheet would run gets an apostrophe."""

    def __init__(self, target: str, delivery: Delivery):
        super().__init__(target, delivery)
        numbers = {objective_column(objective, score) for objective in delivery.objectives for score in SCORES}
        names = (*self.columns(), SPLIT)
        self._schema = pa.schema([(name, pa.float32() if name in numbers else pa.string()) for name in names])
        self._writer: pa_csv.CSVWriter | None = None

    def columns(self) -> list[str]:
        columns = list(BASE)
        for objective, kind in self.delivery.objectives.items():
            told = self.delivery.told(objective)
            parts = (CATEGORY, CATEGORY_ID, *SCORES, kind_named(kind).answer_column, *told)
            columns += [objective_column(objective, part) for part in parts]
        return columns

    def open_file(self, path: str) -> None:
        self._writer = pa_csv.CSVWriter(path, self._schema)

    def write(self, table: pa.Table) -> None:
        assert self._writer is not None
        for objective, kind in self.delivery.objectives.items():
            answers = objective_column(objective, kind_named(kind).answer_column)
            texts = kind_named(kind).answer_texts(table.column(answers), self.delivery.taxonomy)
            table = _replace(table, answers, texts)
        for column in table.schema.names:
            if pa.types.is_string(table.schema.field(column).type):
                table = _replace(table, column, guarded(table.column(column)))
        self._writer.write_table(table.cast(self._schema))

    def close_file(self) -> None:
        if self._writer is not None:
            self._writer.close()


def guarded(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """An apostrophe before every text that a spreadsheet may take for a formula."""
    risky = pc.match_substring_regex(texts, _FORMULA)
    return pc.if_else(risky, pc.binary_join_element_wise(pa.scalar("'"), texts, ""), texts)


def _replace(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, values)
