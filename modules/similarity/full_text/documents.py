"""Products as documents of tantivy, an embedded full-text engine with Lucene's scoring, and queries for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tantivy

from modules.similarity.items import Restriction, column

TITLE_WORDS = 64
"""Different words of a title that are looked for."""
TITLE_CHARACTERS = 2000
HEAP = 400 << 20
"""Bytes that a writer gathers before it writes a segment."""

_ANALYZER = "title_words"
_INDEX_OPTION = "freq"  # no positions: nobody asks for phrases
_MUST, _SHOULD = tantivy.Occur.Must, tantivy.Occur.Should


def schema() -> tantivy.Schema:
    """Fields of a document; nothing is stored, hits are told by their row."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("tokens", tokenizer_name="whitespace", index_option=_INDEX_OPTION)
    builder.add_text_field("title", tokenizer_name=_ANALYZER, index_option=_INDEX_OPTION)
    builder.add_unsigned_field("row", fast=True, indexed=True)
    builder.add_integer_field("category", indexed=True)
    builder.add_text_field("retailer", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("availability", tokenizer_name="raw", index_option="basic")
    builder.add_float_field("price", fast=True)
    return builder.build()


def analyzer() -> tantivy.TextAnalyzer:
    """Words of a title: letters and digits of any script, small, without accents; none of over 40 bytes."""
    words = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple()).filter(tantivy.Filter.remove_long(40))
    return words.filter(tantivy.Filter.lowercase()).filter(tantivy.Filter.ascii_fold()).build()


def open_engine(folder: Path) -> tantivy.Index:
    """The engine's index in ``folder``, made if it is not there."""
    index = tantivy.Index(schema(), str(folder))
    index.register_tokenizer(_ANALYZER, analyzer())
    return index


def write(index: tantivy.Index, start: int, table: pa.Table, words: Iterable[Sequence[str]]) -> None:
    """Adds the products of ``table`` (:data:`modules.similarity.items.SCHEMA`) under the rows from ``start`` on.

    Args:
      words: each product's tokens.
    """
    # One thread: documents stay in the order of their rows, and the same products give the same index.
    writer = index.writer(HEAP, 1)
    titles, prices = column(table, "title").to_pylist(), column(table, "price").to_pylist()
    categories = column(table, "category").to_pylist()
    texts = {name: column(table, name).cast(pa.string()).to_pylist() for name in ("retailer", "availability")}
    for i, tokens in enumerate(words):
        document = tantivy.Document()
        document.add_unsigned("row", start + i)
        document.add_integer("category", categories[i])
        if tokens:
            document.add_text("tokens", " ".join(tokens))
        if titles[i]:
            document.add_text("title", titles[i][:TITLE_CHARACTERS])
        for name, values in texts.items():
            if values[i] is not None:
                document.add_text(name, values[i])
        if prices[i] is not None and np.isfinite(prices[i]):
            document.add_float("price", prices[i])
        writer.add_document(document)
    writer.commit()
    writer.wait_merging_threads()
    index.reload()


def delete(index: tantivy.Index, rows: Sequence[int]) -> None:
    """Takes these rows out."""
    writer = index.writer(HEAP, 1)
    writer.delete_documents_by_query(tantivy.Query.term_set_query(index.schema, "row", list(rows)))
    writer.commit()
    writer.wait_merging_threads()
    index.reload()


class Asking:
    """Builds queries.

    Attributes:
      index: the engine's.
    """

    def __init__(self, index: tantivy.Index):
        self.index = index
        self._schema = index.schema
        self._analyzer = analyzer()

    def title_words(self, title: str | None) -> list[str]:
        """What of a title is looked for: its different words in their order, the first :data:`TITLE_WORDS`."""
        # Half a surrogate, which no index holds, is a mark between words.
        text = title[:TITLE_CHARACTERS].encode("utf-8", "replace").decode() if title else ""
        stems = self._analyzer.analyze(text) if text else []
        return list(dict.fromkeys(stems))[:TITLE_WORDS]

    def any_of(self, tokens: Sequence[str], title: Sequence[str], title_weight: float) -> Any:
        """Products with any of these tokens and title words, ranked by BM25; None if there is nothing to look for."""
        parts = [(_SHOULD, tantivy.Query.term_query(self._schema, "tokens", word, _INDEX_OPTION)) for word in tokens]
        for word in title:
            query = tantivy.Query.term_query(self._schema, "title", word, _INDEX_OPTION)
            parts.append((_SHOULD, query if title_weight == 1 else tantivy.Query.boost_query(query, title_weight)))
        return tantivy.Query.boolean_query(parts) if parts else None

    def rows(self, rows: Sequence[int]) -> Any:
        """These rows."""
        return tantivy.Query.term_set_query(self._schema, "row", list(rows))

    def restriction(self, wanted: Restriction) -> Any:
        """What the restriction lets through, by the engine's own fields; None: everything."""
        parts = []
        if wanted.categories is not None:
            parts.append(tantivy.Query.term_set_query(self._schema, "category", sorted(wanted.categories)))
        for name, values in (("retailer", wanted.retailers), ("availability", wanted.availability)):
            if values is not None:
                parts.append(tantivy.Query.term_set_query(self._schema, name, sorted(values)))
        low, high = wanted.price_from, wanted.price_to
        if low is not None or high is not None:
            parts.append(tantivy.Query.range_query(self._schema, "price", tantivy.FieldType.Float, low, high))
        return tantivy.Query.boolean_query([(_MUST, part) for part in parts]) if parts else None

    @staticmethod
    def within(query: Any, allowed: Any) -> Any:
        """``query`` among what ``allowed`` finds, which adds nothing to the score."""
        silent = tantivy.Query.const_score_query(allowed, 0.0)
        return tantivy.Query.boolean_query([(_MUST, query), (_MUST, silent)])


def hits(searcher: tantivy.Searcher, query: Any, limit: int) -> tuple[Any, Any]:
    """Rows (int64) and scores (float32) of the best ``limit`` documents, best first; equal scores by row."""
    documents = searcher.search(query, limit, count=False).hits
    rows = np.array(searcher.fast_field_values("row", [address for _, address in documents]), np.int64)
    scores = np.array([score for score, _ in documents], np.float32)
    order = np.lexsort((rows, -scores))
    return rows[order], scores[order]
