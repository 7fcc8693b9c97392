"""Similar products by full-text search: by tokens of the embedding, by tokens and title, or by the title alone."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, model_validator

from modules.arrays import BoolArray, Float32Array, Int64Array
from modules.settings.base import Settings
from modules.similarity.changes import Rows, check_items, check_same, unit
from modules.similarity.exact import brute_force
from modules.similarity.float16_rows import to_float32
from modules.similarity.folder import Manifest, new_folder, read_manifest, settings_of, write_manifest
from modules.similarity.full_text import documents
from modules.similarity.full_text.documents import Asking
from modules.similarity.full_text.encoding import Encoding
from modules.similarity.items import Embedding, Items, Restriction
from modules.similarity.protocol import Queries, SearchResult, Within, check_search, mask_of

ENGINE = "engine"
_CHUNK = 4096
_ROWS_IN_QUERY = 4096
"""Up to so many rows of a mask are handed to the engine; of a larger one it is asked for more hits than are wanted."""


class FullTextSettings(Settings):
    """Of :class:`FullTextIndex`."""

    by: Literal["tokens", "tokens_and_title", "title"] = "tokens"
    """What is looked for: tokens of the embedding, title words, or either."""
    encoding: Encoding = Encoding()
    """How the embedding becomes tokens."""
    query_best: Annotated[int, Field(ge=1)] | None = 20
    """Queries look for the tokens of so many of their largest values alone; null: of all that are indexed."""
    title_weight: Annotated[float, Field(gt=0, le=100)] = 1.0
    """A title word's weight beside a token, with tokens_and_title."""
    rank: Literal["cosine", "engine"] = "cosine"
    """Whether candidates are ordered by their cosine with the query, the method's second phase, or as found."""
    candidates: Annotated[int, Field(ge=1)] = 1000
    """How many the engine finds for the second phase; at least as many as are wanted."""
    threads: Annotated[int, Field(ge=1, le=256)] = 2
    """Searches at a time."""

    @model_validator(mode="after")
    def _fits(self) -> FullTextSettings:
        best, all_ = self.query_best, self.encoding.best
        if best is not None and all_ is not None and best > all_ and self.by != "title":
            raise ValueError(
                f"query_best ({best}) looks for more values than encoding.best ({all_}) leaves in the index"
            )
        return self


class FullTextIndex:
    """Tantivy behind :class:`modules.similarity.protocol.Index`.

    The engine finds ``candidates`` by BM25, the second phase orders them by their exact cosine. With ``rank: engine``,
    scores are the engine's and queries need no vectors where only titles are looked for. A query that has nothing to
    look for, a title without a word or a vector of zeros, finds nothing.
    """

    kind: ClassVar[str] = "full_text"

    def __init__(self, rows: Rows, settings: FullTextSettings, saved: Path | None = None):
        self.rows = rows
        self._settings = settings
        self._folder = tempfile.TemporaryDirectory(prefix="shelfmark-full-text-", ignore_cleanup_errors=True)
        home = Path(self._folder.name)
        for file in _engine_files(saved):
            # The engine never changes a file, it writes new ones: what was saved stays as it was, even read-only.
            (home / file.name).symlink_to(file.resolve())
        self._engine = documents.open_engine(home)
        self._asking = Asking(self._engine)

    @classmethod
    def build(cls, items: Items, settings: FullTextSettings, seed: int = 0) -> FullTextIndex:
        """Writes a document per product; nothing is drawn, so that ``seed`` changes nothing."""
        index = cls(Rows.of(items), settings)
        documents.write(index._engine, 0, items.table, index._tokens(items.vectors))
        return index

    @classmethod
    def load(cls, folder: str | Path, embedding: Embedding | None = None) -> FullTextIndex:
        """See :meth:`modules.similarity.protocol.Index.load`; the engine's files are mapped where they lie."""
        manifest = read_manifest(folder, cls.kind, embedding)
        settings = settings_of(FullTextSettings, manifest, folder)
        return cls(Rows.map(Path(folder), manifest.embedding, manifest.dimension), settings, Path(folder) / ENGINE)

    def save(self, folder: str | Path) -> None:
        """See :meth:`modules.similarity.protocol.Index.save`."""
        target = new_folder(folder)
        self.rows.write(target)
        (target / ENGINE).mkdir()
        for file in _engine_files(Path(self._folder.name)):
            shutil.copyfile(file, target / ENGINE / file.name)
        base = self.rows.base
        settings = self._settings.model_dump(mode="json")
        write_manifest(target, Manifest(self.kind, base.embedding, base.dimension, len(self), settings))

    def search(self, queries: Queries, k: int, within: Within | None = None) -> SearchResult:
        """See :meth:`modules.similarity.protocol.Index.search`.

        Raises:
          ValueError: also where the queries lack the titles or vectors that the settings look for.
        """
        vectors = self._checked(queries, k)
        mask = mask_of(within, self.rows.table)
        few = mask is not None and np.count_nonzero(mask) <= max(k, self._settings.candidates)
        if few and mask is not None and vectors is not None and self._settings.rank == "cosine":
            # Comparing all of them is cheaper than finding candidates among them, and exact.
            # A title may be found without an embedding, tokens may not.
            there = self.rows.alive if self._settings.by != "tokens" else self.rows.comparable
            return brute_force(vectors, self._parts, k, mask if there is None else mask & there)
        shape = (len(queries), k)
        result = SearchResult(np.full(shape, -1, np.int64), np.full(shape, -np.inf, np.float32))
        words = self._query_words(queries, vectors)
        search = _Search(self, k, within, mask)
        with ThreadPoolExecutor(self._settings.threads) as pool:
            for i, (rows, scores) in enumerate(pool.map(search, words, _each(vectors, len(queries)))):
                result.rows[i, : len(rows)], result.scores[i, : len(rows)] = rows, scores
        return result

    def add(self, items: Items) -> None:
        """See :meth:`modules.similarity.protocol.Index.add`."""
        check_same(self.rows.base, items)
        check_items(items)
        tokens = list(self._tokens(items.vectors))  # nothing is changed if a vector has none
        start = len(self.rows.alive)
        self._delete(self.rows.add(items))
        documents.write(self._engine, start, items.table, tokens)

    def remove(self, ids: Sequence[str]) -> int:
        """See :meth:`modules.similarity.protocol.Index.remove`."""
        rows = self.rows.remove(ids)
        self._delete(rows)
        return len(rows)

    @property
    def ids(self) -> pa.Array:
        """Ids by row."""
        return self.rows.ids

    @property
    def settings(self) -> FullTextSettings:
        """The settings that the index was built with."""
        return self._settings

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def _parts(self) -> list[npt.NDArray[Any]]:
        return [self.rows.base.vectors, self.rows.added]

    def _delete(self, rows: Int64Array) -> None:
        if len(rows):
            documents.delete(self._engine, rows.tolist())

    def _tokens(self, vectors: npt.NDArray[Any]) -> Iterator[Sequence[str]]:
        """Each product's tokens, some thousand products at a time."""
        for start in range(0, len(vectors), _CHUNK):
            part = vectors[start : start + _CHUNK]
            yield from self._settings.encoding.words(part) if self._settings.by != "title" else [()] * len(part)

    def _checked(self, queries: Queries, k: int) -> Float32Array | None:
        """The queries' vectors, None where they are not needed."""
        by, rank = self._settings.by, self._settings.rank
        if by != "tokens" and queries.titles is None:
            raise ValueError("queries with titles")
        if by == "title" and rank == "engine":
            if k < 1:
                raise ValueError(f"k of at least 1, not {k}")
            return None
        vectors = check_search(queries, k, self.rows.base.dimension)
        if queries.titles is not None and len(queries.titles) != len(vectors):
            raise ValueError(f"{len(vectors)} titles, not {len(queries.titles)}")
        return unit(vectors)

    def _query_words(self, queries: Queries, vectors: Float32Array | None) -> list[tuple[Sequence[str], Sequence[str]]]:
        """Tokens and title words of each query."""
        by, encoding = self._settings.by, self._settings.encoding
        tokens: list[Sequence[str]] = [()] * len(queries)
        titles: list[Sequence[str]] = [()] * len(queries)
        if by != "title" and vectors is not None:
            best = self._settings.query_best or encoding.best
            tokens = list(encoding.model_copy(update={"best": best}).words(vectors))
        if by != "tokens" and queries.titles is not None:
            titles = [self._asking.title_words(title) for title in queries.titles]
        return list(zip(tokens, titles, strict=True))


class _Search:
    """One batch's searches; called from several threads."""

    def __init__(self, index: FullTextIndex, k: int, within: Within | None, mask: BoolArray | None):
        self._settings = index.settings
        self._asking = index._asking
        self._searcher = index._engine.searcher()
        self._parts = index._parts
        self._k = k
        self._wanted = max(k, index.settings.candidates) if index.settings.rank == "cosine" else k
        self._documents = int(self._searcher.num_docs)
        self._allowed: Any = None
        self._mask: BoolArray | None = None
        if isinstance(within, Restriction):
            self._allowed = self._asking.restriction(within)
        elif mask is not None and np.count_nonzero(mask) <= _ROWS_IN_QUERY:
            self._allowed = self._asking.rows(np.flatnonzero(mask).tolist())
        else:
            self._mask = mask

    def __call__(
        self, words: tuple[Sequence[str], Sequence[str]], vector: Float32Array | None
    ) -> tuple[Int64Array, Float32Array]:
        query = self._asking.any_of(*words, self._settings.title_weight if words[0] else 1.0)
        if query is None or not self._documents:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        if self._allowed is not None:
            query = self._asking.within(query, self._allowed)
        rows, scores = self._hits(query)
        if vector is not None and self._settings.rank == "cosine":
            scores = self._vectors(rows) @ vector
            order = np.lexsort((rows, -scores))[: self._k]
            return rows[order], scores[order]
        return rows[: self._k], scores[: self._k]

    def _hits(self, query: Any) -> tuple[Int64Array, Float32Array]:
        if self._mask is None:
            return documents.hits(self._searcher, query, self._wanted)
        share = max(np.count_nonzero(self._mask) / len(self._mask), 1 / len(self._mask))
        limit = int(1.2 * self._wanted / share)
        while True:
            rows, scores = documents.hits(self._searcher, query, min(limit, self._documents))
            good = self._mask[rows]
            if np.count_nonzero(good) >= self._wanted or len(rows) < limit:
                return rows[good][: self._wanted], scores[good][: self._wanted]
            limit *= 4

    def _vectors(self, rows: Int64Array) -> Float32Array:
        base, added = self._parts
        if not len(added):
            return to_float32(base[rows])
        vectors = np.empty((len(rows), base.shape[1]), np.float32)
        old = rows < len(base)
        vectors[old], vectors[~old] = to_float32(base[rows[old]]), added[rows[~old] - len(base)]
        return vectors


def _each(vectors: Float32Array | None, count: int) -> Sequence[Float32Array | None]:
    return [None] * count if vectors is None else list(vectors)


def _engine_files(folder: Path | None) -> list[Path]:
    """The engine's files without its locks."""
    if folder is None:
        return []
    return sorted(f for f in folder.iterdir() if f.is_file() and not f.name.endswith(".lock") and f.suffix != ".part")
