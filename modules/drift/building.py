"""Makes profiles out of tables of predictions, in two passes and bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modules import progress
from modules.arrays import Float32Array, Int64Array
from modules.drift.profile import (
    CELLS,
    MAX_RETAILERS,
    PRICE_BINS,
    UNKNOWN_BINS,
    ColumnCounts,
    FeedProfile,
    RetailerProfile,
    price_bins,
)
from modules.drift.words import SLOTS, count_words, title_words
from modules.examples import PRICE, RETAILER, TITLE, is_product_column
from modules.objectives import kind_named
from modules.predictions.columns import EMBEDDING, objective_column
from modules.predictions.read import PredictionFiles

Scan = Callable[[Sequence[str]], Iterator[pa.RecordBatch]]
"""Gives all products' columns, batch by batch, in the same order each time."""
_BATCH = 1024


def profile_of(files: PredictionFiles, columns: ColumnCounts, reference: FeedProfile | None = None) -> FeedProfile:
    """The profile of predicted products; categories are those of the first objective with one category a product.

    Args:
      columns: of the feed that was predicted.
      reference: the profile that this one will be compared with; None: this is the training feed's.
    """
    objective = files.objective(None)
    category = objective_column(objective, kind_named(files.kinds[objective]).membership_column)
    embedding = EMBEDDING if EMBEDDING in files.schema.names else None
    return build_profile(files.scan, category, embedding, columns, reference)


def build_profile(
    scan: Scan, category: str, embedding: str | None, columns: ColumnCounts, reference: FeedProfile | None = None
) -> FeedProfile:
    """As :func:`profile_of`, of any table with titles, retailers and prices.

    Args:
      category: the column with the id of each product's category, or with a list of them.
      embedding: the column with vectors of one length, float; None: there is none.
    """
    sizes: Counter[str] = Counter()
    words = reference.words if reference is not None else np.zeros(SLOTS, np.uint8)
    sample = _Sample()
    first = [RETAILER] if reference is not None else [RETAILER, TITLE, *([embedding] if embedding else [])]
    for batch in _filled(scan(first)):
        for value in pc.value_counts(_texts(batch.column(RETAILER))).to_pylist():
            sizes[value["values"]] += value["counts"]
        if reference is None:
            count_words(words, title_words(_texts(batch.column(TITLE)))[1])
            if embedding is not None:
                sample.add(_matrix(batch.column(embedding)))
    names = [name for name, _ in sizes.most_common(MAX_RETAILERS)]
    prototypes = reference.prototypes if reference is not None else sample.rows
    # A word of the training feed is unknown where its product alone has it: so are words of fresh products.
    unknown_at = 0 if reference is not None else 1
    tables = _Tables(names, words == unknown_at, prototypes)
    for batch in _filled(scan([RETAILER, TITLE, PRICE, category, *([embedding] if embedding else [])])):
        tables.add(batch, category, embedding if len(prototypes) else None)
        progress.report(int(tables.products.sum()), sizes.total(), "products compared")
    return FeedProfile(tables.retailers(columns), len(names) == len(sizes), words, prototypes)


def count_columns(files: Sequence[str]) -> ColumnCounts:
    """Which columns products have, of a run's examples.

    Args:
      files: gzipped TFRecord files.
    """
    import tensorflow as tf
    from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

    counts, decoder = ColumnCounts(), ExamplesToRecordBatchDecoder()
    for batch in tf.data.TFRecordDataset(list(files), compression_type="GZIP", buffer_size=1 << 20).batch(_BATCH):
        decoded = decoder.DecodeBatch(batch.numpy().tolist())
        rows = {
            name: np.asarray(pc.fill_null(pc.list_value_length(column), 0)) > 0
            for name, column in zip(decoded.schema.names, decoded.columns, strict=True)
            if is_product_column(name) and not pa.types.is_null(column.type)
        }
        own = rows.pop(RETAILER, np.zeros(decoded.num_rows, bool))
        told = np.full(decoded.num_rows, "", object)
        if own.any():
            told[own] = [value[0].decode("utf-8", "replace") for value in decoded.column(RETAILER).to_pylist() if value]
        retailers, codes = np.unique(told.astype(str), return_inverse=True)
        for number, retailer in enumerate(retailers.tolist()):
            here = codes == number
            counts.add_many(retailer, int(here.sum()), {name: int((has & here).sum()) for name, has in rows.items()})
    return counts


class _Sample:
    """Rows drawn evenly out of batches: those with the smallest of random keys."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)
        self._keys = np.empty(0)
        self.rows: Float32Array = np.empty((0, 0), np.float32)

    def add(self, rows: Float32Array) -> None:
        keys = np.concatenate([self._keys, self._random.random(len(rows))])
        rows = np.concatenate([self.rows, rows]) if self.rows.size else rows
        smallest = np.argsort(keys)[:CELLS]
        self._keys, self.rows = keys[smallest], rows[smallest]


class _Tables:
    """Counts per retailer, added up batch by batch."""

    def __init__(self, names: list[str], is_unknown: np.ndarray, prototypes: Float32Array):
        self._names, self._array = names, pa.array(names, pa.string())
        self._is_unknown, self._prototypes = is_unknown, prototypes
        self._norms = (prototypes**2).sum(axis=1)
        self.products = np.zeros(len(names), np.int64)
        self._words, self._unknown_words = np.zeros(len(names), np.int64), np.zeros(len(names), np.int64)
        self._unknown = np.zeros((len(names), UNKNOWN_BINS), np.int64)
        self._prices = np.zeros((len(names), PRICE_BINS), np.int64)
        self._cells = np.zeros((len(names), CELLS), np.int64)
        self._categories: list[Counter[str]] = [Counter() for _ in names]

    def add(self, batch: pa.RecordBatch, category: str, embedding: str | None) -> None:
        codes = np.asarray(pc.fill_null(pc.index_in(_texts(batch.column(RETAILER)), self._array), -1), np.int64)
        self.products += np.bincount(codes[codes >= 0], minlength=len(self._names))
        prices = np.asarray(pc.fill_null(batch.column(PRICE), np.nan), np.float64)
        told = np.isfinite(prices)
        _count(self._prices, codes[told], price_bins(prices[told]))
        self._add_words(codes, _texts(batch.column(TITLE)))
        self._add_categories(codes, batch.column(category))
        if embedding is not None:
            vectors = _matrix(batch.column(embedding))
            nearest = (self._norms - 2.0 * vectors @ self._prototypes.T).argmin(axis=1)
            _count(self._cells, codes, nearest)

    def _add_words(self, codes: Int64Array, titles: pa.Array) -> None:
        rows, slots = title_words(titles)
        words = np.bincount(rows, minlength=len(codes))
        unknown = np.bincount(rows[self._is_unknown[slots]], minlength=len(codes))
        worded = words > 0
        share = unknown[worded] / words[worded]
        _count(self._unknown, codes[worded], np.ceil(share * (UNKNOWN_BINS - 1)).astype(np.int64))
        named = codes >= 0
        size = len(self._names)
        self._words += np.bincount(codes[named], words[named], minlength=size).astype(np.int64)
        self._unknown_words += np.bincount(codes[named], unknown[named], minlength=size).astype(np.int64)

    def _add_categories(self, codes: Int64Array, column: pa.Array) -> None:
        if pa.types.is_list(column.type):
            # Those in no category count, too.
            none = codes[np.asarray(pc.fill_null(pc.list_value_length(column), 0)) == 0]
            codes = np.concatenate([codes[np.asarray(pc.list_parent_indices(column))], none])
            column = pa.concat_arrays([_texts(column.flatten()), pa.array([""] * len(none), pa.string())])
        encoded = _texts(column).dictionary_encode()
        width = max(1, len(encoded.dictionary))
        named = codes >= 0
        pairs, counts = np.unique(codes[named] * width + np.asarray(encoded.indices)[named], return_counts=True)
        ids = encoded.dictionary.to_pylist()
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
            self._categories[pair // width][ids[pair % width]] += count

    def retailers(self, columns: ColumnCounts) -> dict[str, RetailerProfile]:
        return {
            name: RetailerProfile(
                int(self.products[i]), columns.products[name], dict(columns.present.get(name, {})),
                dict(self._categories[i]), int(self._words[i]), int(self._unknown_words[i]),
                self._unknown[i], self._prices[i], self._cells[i],
            )
            for i, name in enumerate(self._names)
        }  # fmt: skip


def _filled(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Those with rows: a split may have no product."""
    return (batch for batch in batches if batch.num_rows)


def _count(table: Int64Array, codes: Int64Array, bins: Int64Array) -> None:
    """Adds 1 to each (code, bin); a code of -1 is passed over."""
    named, width = codes >= 0, table.shape[1]
    table += np.bincount(codes[named] * width + bins[named], minlength=table.size).reshape(table.shape)


def _texts(column: pa.Array) -> pa.Array:
    return pc.fill_null(column.cast(pa.string()), "")


def _matrix(column: pa.Array) -> Float32Array:
    values = np.asarray(column.flatten(), np.float32).reshape(len(column), -1)
    return np.nan_to_num(values)
