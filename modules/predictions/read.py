"""Reads a run's predictions back: which products, in which order. Streams; the whole table is never in memory.

The files are those of :class:`modules.predictions.predict.PredictionColumns`, in one folder per split.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from modules.arrays import BoolArray, Float64Array, FloatArray
from modules.errors import InputError, Problem
from modules.examples import SPLIT_FOLDER
from modules.objectives import kind_by_columns, kind_named, single_label_names
from modules.parquet import readable
from modules.predictions.columns import ENTROPY, ID, MARGIN, SPLIT, objective_column, objectives_of
from modules.predictions.guesses import guessed_classes, sources_beside, without_guesses
from modules.predictions.withdrawn import Withdrawn
from modules.taxonomy import Category, Taxonomy

Uncertainty = Literal["entropy", "least_confidence", "margin"]

_BATCH = 1 << 16
_SCANNED = 1 << 13
_SPARE = 1 << 14
"""Candidates that are kept beyond the limit while the best ones are looked for."""


@dataclass(frozen=True)
class Query:
    """Which predictions.

    Attributes:
      split: only this one; None: all, in the order train, eval, test.
      objective: whose category and uncertainty count; None: the first single-label one.
      categories: ids of which a product must be predicted to be in one; None: any.
      min_uncertainty: least value of :func:`uncertainty_of` the ``sort`` score (entropy without one).
      sort: most uncertain first by this score; None: as they are stored.
      limit: how many; needed with ``sort``, so that memory stays bounded.
    """

    split: str | None = None
    objective: str | None = None
    categories: Collection[str] | None = None
    min_uncertainty: float | None = None
    sort: Uncertainty | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.sort is not None and self.limit is None:
            raise InputError(Problem("", "a limit beside a sort order", key="--sort", hint="add --limit N"))


def category_and_below(taxonomy: Taxonomy, text: str) -> tuple[Category, frozenset[str]]:
    """The category of this id or path, and the ids of it and of everything below it.

    Raises:
      InputError: the taxonomy has no such category.
    """
    category = taxonomy.find(text)
    return category, frozenset({category.id, *(below.id for below in taxonomy.descendants(category))})


def uncertainty_of(score: Uncertainty, values: FloatArray) -> Float64Array:
    """The score so that more is more uncertain: 1 - margin, the others as they are; float64 of the same shape."""
    wide = np.asarray(values, np.float64)
    return 1.0 - wide if score == MARGIN else wide


class PredictionFiles:
    """The Parquet files of one run's predictions.

    Attributes:
      files: split to its files.
      schema: of the files.
      kinds: objective to the name of its kind, in the order of the columns.
      guessed: objective to the classes that the model knows by their names alone.
      withdrawn: what is not accepted in what is read, whatever the files say.
    """

    def __init__(self, folder: str | Path):
        """Looks into ``folder``, which holds ``Split-<name>/*.parquet``.

        Raises:
          InputError: there is no prediction in it, or a file is damaged.
        """
        self.folder = Path(folder)
        self.files = self._find()
        if not self.files:
            hint = "predict again with `shelfmark run --from Predictor`"
            raise InputError(Problem(str(folder), "predictions (Split-*/*.parquet); there are none", hint=hint))
        first = next(iter(self.files.values()))[0]
        with readable(first):
            self.schema: pa.Schema = pq.read_schema(first)
        self.kinds = {name: kind_by_columns(name, self.schema.names) for name in objectives_of(self.schema.names)}
        self.guessed = guessed_classes(self.schema)
        self.withdrawn = Withdrawn()

    def _find(self) -> dict[str, list[Path]]:
        order = {"train": 0, "eval": 1, "test": 2}
        folders = [f for f in self.folder.glob(f"{SPLIT_FOLDER}*") if f.is_dir()]
        names = sorted((f.name[len(SPLIT_FOLDER) :] for f in folders), key=lambda name: (order.get(name, 3), name))
        files_by_split = {name: sorted((self.folder / f"{SPLIT_FOLDER}{name}").glob("*.parquet")) for name in names}
        return {name: files for name, files in files_by_split.items() if files}

    def objective(self, name: str | None) -> str:
        """``name``, or the first single-label objective, or the first one.

        Raises:
          InputError: there is no such objective.
        """
        if name is None:
            return (single_label_names(self.kinds) or list(self.kinds))[0]
        if name not in self.kinds:
            raise InputError(Problem("", f"one of: {', '.join(self.kinds)}", key="--objective", value=name))
        return name

    def products(self, split: str | None = None) -> int:
        """How many there are, from the files' footers alone."""
        count = 0
        for file in self._files(split):
            with readable(file):
                count += pq.read_metadata(file).num_rows
        return count

    def scan(self, columns: Sequence[str], split: str | None = None) -> Iterator[pa.RecordBatch]:
        """All products' ``columns``, batch by batch."""
        # Not as a dataset: that reads ahead, and holds the whole file.
        read = self.withdrawn.beside(columns) if self.withdrawn else columns
        for name in [split] if split is not None else list(self.files):
            for file in self.files.get(name, []):
                for batch in self._read(file, read):
                    yield self.withdrawn.applied(batch).select(list(columns)) if self.withdrawn else batch

    def _read(self, file: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        with readable(file):
            opened = pq.ParquetFile(file, pre_buffer=False)
        with opened:
            # pyarrow fails on a file without any: a split may have no product.
            groups = opened.num_row_groups
            batches = opened.iter_batches(batch_size=_SCANNED, columns=list(columns)) if groups else iter(())
            while True:
                # Only the reading: what a consumer raises is none of the file's faults.
                with readable(file):
                    batch = next(batches, None)
                if batch is None:
                    return
                yield batch

    def has_category(self) -> bool:
        """Whether a sink would write a category of the first single-label objective (or the first one): no guess is."""
        objective = self.objective(None)
        membership = objective_column(objective, kind_named(self.kinds[objective]).membership_column)
        columns = sources_beside([membership], self.schema.names)
        return any(_has_value(without_guesses(batch).column(membership)) for batch in self.scan(columns))

    def ids(self) -> Iterator[str]:
        """All products' ids."""
        for batch in self.scan([ID]):
            yield from batch.column(0).to_pylist()

    def select(self, query: Query, columns: Sequence[str]) -> Iterator[pa.Table]:
        """The products that the query asks for: tables of ``columns`` and ``split``, text columns as plain strings.

        Raises:
          InputError: the query names an unknown objective or split.
        """
        if query.split is not None and query.split not in self.files:
            expected = f"one of the splits that have products: {', '.join(self.files)}"
            raise InputError(Problem("", expected, key="--split", value=query.split))
        objective = self.objective(query.objective)
        if query.sort is not None:
            yield from self._most_uncertain(query, objective, columns)
            return
        left = query.limit
        for matching, _ in self._matching(query, objective, columns):
            table = matching if left is None else matching.slice(0, left)
            if left is not None:
                left -= table.num_rows
            if table.num_rows:
                yield table
            if left == 0:
                return

    def _matching(
        self, query: Query, objective: str, columns: Sequence[str]
    ) -> Iterator[tuple[pa.Table, Float64Array]]:
        """Tables of the products that pass the filters, and their uncertainties."""
        score: Uncertainty = query.sort or ENTROPY
        score_column = objective_column(objective, score)
        scored = query.sort is not None or query.min_uncertainty is not None
        membership = objective_column(objective, kind_named(self.kinds[objective]).membership_column)
        wanted = [name for name in columns if name != SPLIT]
        read = list(dict.fromkeys([*wanted, *([score_column] if scored else [])]))
        if query.categories is not None and membership not in read:
            read.append(membership)
        for split in self.files if query.split is None else [query.split]:
            for batch in self.scan(read, split):
                keep = np.ones(batch.num_rows, bool)
                values = np.zeros(batch.num_rows)
                if query.categories is not None:
                    keep &= _in_any(batch.column(membership), query.categories)
                if scored:
                    values = uncertainty_of(score, batch.column(score_column).to_numpy(zero_copy_only=False))
                    if query.min_uncertainty is not None:
                        keep &= values >= query.min_uncertainty
                kept = batch if keep.all() else batch.filter(pa.array(keep))
                table = pa.Table.from_batches([kept]).select(wanted)
                yield plain(table.append_column(SPLIT, pa.array([split] * kept.num_rows, pa.string()))), values[keep]

    def _most_uncertain(self, query: Query, objective: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """The ``limit`` most uncertain products, ties in stored order; memory for some more than ``limit`` rows."""
        limit = query.limit or 0
        kept: list[pa.Table] = []
        scores: list[Float64Array] = []
        least = -np.inf
        for table, values in self._matching(query, objective, columns):
            good = values > least
            kept.append(table if good.all() else table.filter(pa.array(good)))
            scores.append(values[good])
            if sum(map(len, scores)) > limit + _SPARE:
                best, largest = _first(kept, scores, limit)
                kept, scores, least = [best], [largest], largest[-1] if len(largest) else least
        if kept:
            best, _ = _first(kept, scores, limit)
            if best.num_rows:
                yield best

    def _files(self, split: str | None) -> list[Path]:
        return [file for name, files in self.files.items() if split in (None, name) for file in files]


def _first(kept: list[pa.Table], scores: list[Float64Array], limit: int) -> tuple[pa.Table, Float64Array]:
    values = np.concatenate(scores)
    order = np.argsort(-values, kind="stable")[:limit]
    return pa.concat_tables(kept).take(pa.array(order)), values[order]


def _in_any(column: pa.Array, categories: Collection[str]) -> BoolArray:
    """Per row whether its category (text), or one of its categories (list of text), is one of ``categories``."""
    wanted = pa.array(sorted(categories), pa.string())
    if isinstance(column, pa.DictionaryArray):
        known = pc.is_in(column.dictionary, value_set=wanted)
        return np.asarray(known.take(column.indices).fill_null(False))
    if pa.types.is_list(column.type):
        hit = pc.is_in(column.flatten(), value_set=wanted)
        rows = pc.list_parent_indices(column).filter(hit)
        hits = np.zeros(len(column), bool)
        hits[np.asarray(rows)] = True
        return hits
    return np.asarray(pc.is_in(column, value_set=wanted))


def _has_value(column: pa.Array) -> bool:
    """Whether a row has a category (text), or at least one (list of text)."""
    values = column.flatten() if pa.types.is_list(column.type) else column
    return len(values) > values.null_count


def plain(table: pa.Table) -> pa.Table:
    """The table with dictionary columns decoded, so that tables of different files go together."""
    for i, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(i, field.name, table.column(i).cast(field.type.value_type))
    return table


def list_matrix(column: pa.ChunkedArray) -> np.ndarray:
    """A column of lists of one length as an array of shape (rows, length)."""
    return np.concatenate([np.asarray(chunk.flatten()) for chunk in column.chunks]).reshape(-1, column.type.list_size)
