"""The tokens for an Elasticsearch or OpenSearch of one's own: a mapping, bulk files, and a query, all plain JSON.

``PUT /INDEX`` takes ``mapping.json``, ``POST /_bulk`` each ``bulk-*.ndjson``, ``GET /INDEX/_search`` the query. The
query does what :mod:`modules.similarity.full_text.engine` does: BM25 over tokens (and title words) finds candidates, a
rescore by cosine orders them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
from pydantic import Field

from modules.errors import InputError, Problem
from modules.settings.base import Settings
from modules.similarity.folder import new_folder
from modules.similarity.full_text.documents import TITLE_CHARACTERS, TITLE_WORDS
from modules.similarity.full_text.engine import FullTextSettings
from modules.similarity.items import Items, column

MAX_ID_BYTES = 512
"""Of a document's ``_id``, in either engine."""
MAX_DIMENSIONS = {"elasticsearch": 4096, "opensearch": 16_000}
"""Of a dense vector."""
MAX_WINDOW = 10_000
"""Of hits, and of candidates that are scored again: what both engines allow unless an index says otherwise."""
_INDEX_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,254}")
_CHUNK = 2048


class ExportSettings(Settings):
    """Of :func:`export`."""

    engine: Literal["elasticsearch", "opensearch"] = "elasticsearch"
    """Whose mapping and rescoring to write."""
    index: str = "products"
    """Name of the index: small letters, digits, ``-``, ``_`` and ``.``."""
    vectors: bool = True
    """Whether documents have the embedding itself, for the second phase."""
    file_bytes: Annotated[int, Field(ge=1 << 10, le=90 << 20)] = 10 << 20
    """A bulk file ends before it; the engines refuse requests of over 100 MB, and recommend 5 to 15."""


@dataclass(frozen=True)
class Exported:
    """What :func:`export` wrote."""

    mapping: Path
    query: Path
    bulk: Sequence[Path]
    products: int


def export(items: Items, search: FullTextSettings, settings: ExportSettings, folder: str | Path) -> Exported:
    """Writes ``mapping.json``, ``query.json`` (of the first product) and ``bulk-00000.ndjson`` and on; streams.

    Raises:
      InputError: a bad name for the index, an id or dimension over the engines' limits, or a folder with something in
        it.
    """
    _check(items, settings)
    target = new_folder(folder)
    mapping_file, query_file = target / "mapping.json", target / "query.json"
    mapping_file.write_bytes(_pretty(mapping(items.dimension, settings)))
    first = np.asarray(items.vectors[:1], np.float32)
    vector = first[0] if len(first) else np.zeros(items.dimension, np.float32)
    title = column(items.table, "title")[0].as_py() if len(items) else None
    query_file.write_bytes(_pretty(query(vector, title, search, settings)))
    files: list[Path] = []
    stream, size = None, 0
    try:
        for line in bulk_lines(items, search, settings):
            if stream is None or (size and size + len(line) > settings.file_bytes):
                if stream is not None:
                    stream.close()
                files.append(target / f"bulk-{len(files):05}.ndjson")
                stream, size = files[-1].open("wb"), 0
            stream.write(line)
            size += len(line)
    finally:
        if stream is not None:
            stream.close()
    return Exported(mapping_file, query_file, files, len(items))


def bulk_lines(items: Items, search: FullTextSettings, settings: ExportSettings) -> Iterator[bytes]:
    """Per product its action and its document, as two lines of the bulk API."""
    for start in range(0, len(items), _CHUNK):
        table = items.table.slice(start, _CHUNK)
        vectors = np.asarray(items.vectors[start : start + _CHUNK], np.float32)
        texts = ("id", "title", "retailer", "availability")
        columns = {name: column(table, name).cast(pa.string()).to_pylist() for name in texts}
        categories, prices = column(table, "category").to_pylist(), column(table, "price").to_pylist()
        for i, words in enumerate(search.encoding.words(vectors)):
            document: dict[str, Any] = {"tokens": " ".join(words), "category": categories[i]}
            for name in texts[1:]:
                if columns[name][i] is not None:
                    document[name] = columns[name][i]
            if prices[i] is not None and np.isfinite(prices[i]):
                document["price"] = prices[i]
            # Cosine is not defined for zeros: the engines refuse such a vector.
            if settings.vectors and vectors[i].any():
                document["embedding"] = vectors[i]
            action = {"index": {"_index": settings.index, "_id": columns["id"][i]}}
            yield _line(action) + _line(document)


def mapping(dimension: int, settings: ExportSettings) -> dict[str, Any]:
    """The body that makes the index: tokens are split at blanks alone, nothing is guessed from documents."""
    text = {"type": "text", "index_options": "freqs", "similarity": "BM25"}
    properties: dict[str, Any] = {
        "tokens": {**text, "analyzer": "embedding_tokens"},
        "title": {**text, "analyzer": "title_words"},
        "category": {"type": "integer"},
        "retailer": {"type": "keyword", "ignore_above": 1000},
        "availability": {"type": "keyword", "ignore_above": 1000},
        "price": {"type": "double"},
    }
    if settings.vectors and settings.engine == "elasticsearch":
        properties["embedding"] = {"type": "dense_vector", "dims": dimension, "index": False}
    elif settings.vectors:
        # Without the setting index.knn no graph is built; scoring by script needs none.
        properties["embedding"] = {"type": "knn_vector", "dimension": dimension}
    analyzers = {
        "embedding_tokens": {"type": "custom", "tokenizer": "whitespace"},
        "title_words": {"type": "custom", "tokenizer": "standard", "filter": ["lowercase", "asciifolding"]},
    }
    return {
        "settings": {"analysis": {"analyzer": analyzers}},
        "mappings": {
            "dynamic": "strict",
            # Neither is shown to anybody; without them an answer is small.
            "_source": {"excludes": ["tokens", "embedding"]},
            "properties": properties,
        },
    }


def query(
    vector: npt.NDArray[Any], title: str | None, search: FullTextSettings, settings: ExportSettings, size: int = 100
) -> dict[str, Any]:
    """The body of a search for one vector, title, or both, as ``search`` says; ``filter`` can be filled with terms.

    A title is looked for by its first words, as the embedded engine does. What has nothing to look for finds nothing.

    Args:
      vector: floats (d,).
      size: hits that are wanted, at most 10,000, the engines' limit.

    Raises:
      ValueError: a larger size.
    """
    if not 1 <= size <= MAX_WINDOW:
        raise ValueError(f"a size of 1 to {MAX_WINDOW:,}, not {size}")
    should: list[dict[str, Any]] = []
    if search.by != "title":
        best = search.query_best or search.encoding.best
        words = search.encoding.model_copy(update={"best": best}).words(np.asarray(vector)[None])[0]
        if words:
            should.append({"match": {"tokens": {"query": " ".join(words)}}})
    title = " ".join(title[:TITLE_CHARACTERS].split()[:TITLE_WORDS]) if title else ""
    if search.by != "tokens" and title:
        weight = search.title_weight if search.by == "tokens_and_title" else 1.0
        should.append({"match": {"title": {"query": title, "boost": weight}}})
    if not should:
        return {"size": size, "query": {"match_none": {}}}
    body: dict[str, Any] = {
        "size": size,
        "query": {"bool": {"should": should, "minimum_should_match": 1, "filter": []}},
    }
    if search.rank == "cosine" and settings.vectors:
        body["rescore"] = {
            "window_size": min(MAX_WINDOW, max(size, search.candidates)),
            "query": {
                "rescore_query": {
                    "script_score": {
                        "query": {"exists": {"field": "embedding"}},
                        "script": _cosine(np.asarray(vector, np.float32).tolist(), settings.engine),
                    }
                },
                "query_weight": 0,
                "rescore_query_weight": 1,
            },
        }
    return body


def _cosine(vector: list[float], engine: str) -> dict[str, Any]:
    if engine == "elasticsearch":
        # Scores must not be negative.
        return {"source": "cosineSimilarity(params.vector, 'embedding') + 1.0", "params": {"vector": vector}}
    params = {"field": "embedding", "query_value": vector, "space_type": "cosinesimil"}
    return {"source": "knn_score", "lang": "knn", "params": params}


def _check(items: Items, settings: ExportSettings) -> None:
    problems = []
    if not _INDEX_NAME.fullmatch(settings.index):
        expected = "1 to 255 small letters, digits, '-', '_' and '.', the first a letter or digit"
        problems.append(Problem("", expected, key="index", value=settings.index))
    most = MAX_DIMENSIONS[settings.engine]
    if settings.vectors and items.dimension > most:
        hint = "leave the vectors out, or use a smaller embedding"
        expected = f"at most {most:,} dimensions, {settings.engine}'s limit"
        problems.append(Problem("", expected, key="embedding", value=str(items.dimension), hint=hint))
    for name in items.ids.to_pylist():
        if not name or len(name.encode()) > MAX_ID_BYTES:
            expected = f"an id of 1 to {MAX_ID_BYTES} bytes, the engines' limit"
            problems.append(Problem("", expected, key="id", value=name))
            if len(problems) > 20:
                break
    if problems:
        raise InputError(problems)


def _line(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY)


def _pretty(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
