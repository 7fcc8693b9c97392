"""Writes predictions for other programs: CSV for people and spreadsheets, JSON Lines, Parquet."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from modules.errors import InputError, Problem
from modules.objectives import ObjectiveKind, kind_named
from modules.predictions.read import SPLIT, PredictionFiles, Query
from modules.taxonomy import Taxonomy

FORMATS = (".csv", ".jsonl", ".parquet")
TOP = 5
"""Categories per product and objective in JSON Lines; Parquet has all that were kept."""

BASE = ("id", "title", "retailer")
_SCORES = ("probability", "entropy", "margin", "least_confidence")
_ROW_GROUP = 1 << 16

_FORMULA = r"^[\s\x0b\x00\p{Z}]*[=+\-@＝＋－＠]|^[\t\r\n]"
"""Text that a spreadsheet may take for a formula (OWASP, CSV injection), also after white space or in full width."""


def export(files: PredictionFiles, query: Query, taxonomy: Taxonomy, output: str | Path) -> int:
    """Writes the products that the query asks for; the file appears when it is complete.

    CSV and JSON Lines have one row or object per product, with category paths in the place of class indices. In CSV
    a text that a spreadsheet would run as a formula gets an apostrophe in front. Parquet has the columns of the
    predictions themselves, embedding included, and ``split``.

    Args:
      taxonomy: of the run that made the predictions. output: a name that ends in one of :data:`FORMATS`.

    Returns:
      The number of products.

    Raises:
      InputError: another suffix, an unknown objective or split, or the file cannot be written.
    """
    output = Path(output)
    writers: dict[str, Callable[..., int]] = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
    if output.suffix not in writers:
        expected = f"a name that ends in {', '.join(FORMATS)}"
        raise InputError(Problem("", expected, key="--output", value=str(output)))
    try:
        handle, name = tempfile.mkstemp(output.suffix, f".{output.name}.", output.parent or Path())
        os.close(handle)
    except OSError as error:
        raise InputError(Problem(str(output), f"a file that can be written: {error.strerror}")) from None
    try:
        count = writers[output.suffix](files, query, taxonomy, name)
        # mkstemp lets nobody else read; the file is to be like any other that the user writes.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, output)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return count


def _parquet(files: PredictionFiles, query: Query, taxonomy: Taxonomy, name: str) -> int:
    columns = [column for column in files.schema.names if _wanted(files, query, column)]
    writer, count = None, 0
    try:
        for table in _grouped(files.select(query, columns)):
            writer = writer or pq.ParquetWriter(name, table.schema, compression="zstd")
            writer.write_table(table)
            count += table.num_rows
        if writer is None:
            fields = [(f.name, f.type) for f in (files.schema.field(c) for c in columns)]
            schema = pa.schema([(n, t.value_type if pa.types.is_dictionary(t) else t) for n, t in fields])
            writer = pq.ParquetWriter(name, schema.append(pa.field(SPLIT, pa.string())))
    finally:
        if writer is not None:
            writer.close()
    return count


def _wanted(files: PredictionFiles, query: Query, column: str) -> bool:
    objective = column.rpartition("/")[0]
    return query.objective is None or not objective or objective == query.objective


def _grouped(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables that make good row groups."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(t.num_rows for t in waiting) >= _ROW_GROUP:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _objectives(files: PredictionFiles, query: Query) -> dict[str, str]:
    return {name: kind for name, kind in files.kinds.items() if query.objective in (None, name)}


def _csv(files: PredictionFiles, query: Query, taxonomy: Taxonomy, name: str) -> int:
    objectives = _objectives(files, query)
    columns = list(BASE)
    for objective, kind in objectives.items():
        parts = ("category", "category_id", *_SCORES, kind_named(kind).answer_column)
        columns += [f"{objective}/{part}" for part in parts]
    schema = pa.schema(
        [(c, pa.float32() if c.rpartition("/")[2] in _SCORES else pa.string()) for c in (*columns, SPLIT)]
    )
    count = 0
    with pa_csv.CSVWriter(name, schema) as writer:
        for table in files.select(query, columns):
            for objective, kind in objectives.items():
                answers = f"{objective}/{kind_named(kind).answer_column}"
                table = _replace(table, answers, kind_named(kind).answer_texts(table.column(answers), taxonomy))
            for column in table.schema.names:
                if pa.types.is_string(table.schema.field(column).type):
                    table = _replace(table, column, guarded(table.column(column)))
            writer.write_table(table.cast(schema))
            count += table.num_rows
    return count


def guarded(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """An apostrophe before every text that a spreadsheet may take for a formula."""
    risky = pc.match_substring_regex(texts, _FORMULA)
    return pc.if_else(risky, pc.binary_join_element_wise(pa.scalar("'"), texts, ""), texts)


def _replace(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, values)


def _jsonl(files: PredictionFiles, query: Query, taxonomy: Taxonomy, name: str) -> int:
    objectives = _objectives(files, query)
    columns = list(BASE)
    for objective, kind in objectives.items():
        parts = ["category", "category_id", "ancestors", *_SCORES, "rest", "classes", "probabilities"]
        columns += [f"{objective}/{part}" for part in (*parts, kind_named(kind).answer_column)]
    count = 0
    with open(name, "wb") as stream:
        for table in files.select(query, columns):
            rows = [table.column(part).to_pylist() for part in (*BASE, SPLIT)]
            found = [dict(zip((*BASE, SPLIT), values, strict=True)) for values in zip(*rows, strict=True)]
            for objective, kind in objectives.items():
                parts_of = _objective_parts(table, objective, kind_named(kind), taxonomy)
                for row, answer in zip(found, parts_of, strict=True):
                    row[objective] = answer
            for row in found:
                stream.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
            count += table.num_rows
    return count


def _objective_parts(
    table: pa.Table, objective: str, kind: ObjectiveKind, taxonomy: Taxonomy
) -> Iterator[dict[str, Any]]:
    """Per row an objective's part of its JSON object; worked out column by column, which is many times faster."""

    def column(part: str) -> pa.ChunkedArray:
        return table.column(f"{objective}/{part}")

    k = min(TOP, column("classes").type.list_size)
    classes, probabilities = (_matrix(column(part))[:, :k] for part in ("classes", "probabilities"))
    paths = [category.text for category in kind.classes(taxonomy)]
    names = np.array(paths, object)[classes].tolist()
    top = (
        [{"category": c, "probability": p} for c, p in zip(some, their, strict=True)]
        for some, their in zip(names, _rounded(probabilities), strict=True)
    )
    values: dict[str, Any] = {part: column(part).to_pylist() for part in ("category", "category_id", "ancestors")}
    values |= {part: _rounded(column(part).to_numpy()) for part in (*_SCORES, "rest")}
    values["top"] = top
    values[kind.answer_column] = kind.answer_values(column(kind.answer_column), taxonomy)
    for row in zip(*values.values(), strict=True):
        yield dict(zip(values, row, strict=True))


def _matrix(column: pa.ChunkedArray) -> np.ndarray:
    """A column of lists of one length as (rows, length)."""
    return np.concatenate([np.asarray(chunk.flatten()) for chunk in column.chunks]).reshape(-1, column.type.list_size)


def _rounded(values: np.ndarray) -> list[Any]:
    return np.round(values.astype(np.float64), 6).tolist()
