"""The indexes of one run, opened together: look a product up, restrict, find its neighbours by any method."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from modules.arrays import Float32Array
from modules.errors import InputError, Problem
from modules.examples import TAXONOMY_FILE
from modules.predictions.columns import embedding_name
from modules.similarity.card import ProductCard, cards_of
from modules.similarity.daily import base_of, layer_over
from modules.similarity.folder import MANIFEST, indexes_in, read_manifest
from modules.similarity.items import Embedding, Restriction, below, column
from modules.similarity.loading import load_index, rows_of, vector_of
from modules.similarity.protocol import Queries, Searchable
from modules.similarity.row_of_id import RowOfId
from modules.similarity.version import check_version
from modules.taxonomy import Taxonomy

METHODS = ("joint", "image", "text", "title", "tokens")
"""Names of the methods, in the order in which people see them; others come after."""

_CATEGORIES = 256
"""Categories whose descendants are remembered."""

_TELLING = 2000
"""Products whose ids tell how ids are written."""
_WORD = frozenset({"", "a"})
"""Shapes that any word has, so that they tell nothing."""

_DEPTHS = (10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True)
class SimilarProduct:
    """A product that a search returned, and its score: the cosine, or the score of a full-text engine."""

    product: ProductCard
    score: float


@dataclass(frozen=True)
class SimilarityQuery:
    """The product or text whose neighbours a search returns.

    Attributes:
      vector: float32 (d,) of unit length, in the embedding that the method searches. title: a text.
      without: the id of the query's own product, which the search leaves out of the answer.
    """

    vector: Float32Array | None = None
    title: str | None = None
    without: str | None = None


class Catalogue:
    """Indexes by the name of their method.

    Attributes:
      version: tells one catalogue from another; the folder's name.
      taxonomy: of the categories; None: products show no category, and no search is restricted to one.
    """

    def __init__(self, indexes: Mapping[str, Searchable], taxonomy: Taxonomy | None = None, version: str = ""):
        order = {name: place for place, name in enumerate(METHODS)}
        self.indexes = dict(sorted(indexes.items(), key=lambda pair: order.get(pair[0], len(order))))
        self.taxonomy, self.version = taxonomy, version
        self._below = lru_cache(_CATEGORIES)(partial(_below, taxonomy))
        self._categories = [category.text for category in taxonomy] if taxonomy is not None else []
        self._row_of_id: dict[str, RowOfId] = {}

    @classmethod
    def open(cls, folder: str | Path, taxonomy: Taxonomy | None = None) -> Catalogue:
        """The index in ``folder``, or the indexes in its folders (their names are those of the methods).

        Of a layer that a day has put over a version, both together (:mod:`modules.similarity.daily`).

        Args:
          taxonomy: None: that of ``taxonomy.json`` in the folder, if there is one.

        Raises:
          InputError: there is no index, or one is damaged or of another version.
        """
        path = Path(folder)
        check_version(path)
        layer, base = path, base_of(path)
        if base is not None:
            check_version(base)
            path = base
        if (path / MANIFEST).is_file():
            manifest = read_manifest(path, verify=False)
            paths = {embedding_name(manifest.embedding.column): path}
        else:
            paths = indexes_in(path)
        if not paths:
            hint = "build one with `shelfmark run`"
            raise InputError(Problem(str(path), "a folder with an index; there is none", hint=hint))
        if taxonomy is None and (path / TAXONOMY_FILE).is_file():
            taxonomy = Taxonomy.load(path / TAXONOMY_FILE)
        loaded = {name: load_index(index_folder) for name, index_folder in paths.items()}
        if base is None:
            return cls(loaded, taxonomy, path.name)
        return cls({name: layer_over(index, layer / name) for name, index in loaded.items()}, taxonomy, layer.name)

    def __len__(self) -> int:
        return max(map(len, self.indexes.values()))

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods."""
        return tuple(self.indexes)

    def prepare(self) -> None:
        """Does now what the first looks for an id would wait for."""
        for method in self.methods:
            self._row(method, "")

    def method(self, name: str | None) -> str:
        """``name``, or the first method.

        Raises:
          InputError: there is no such method.
        """
        if name is None:
            return self.methods[0]
        if name not in self.indexes:
            raise InputError(Problem("", f"one of: {', '.join(self.methods)}", key="by", value=name))
        return name

    def embedding(self, by: str) -> Embedding:
        """What made the vectors that the method searches."""
        return rows_of(self.indexes[by]).base.embedding

    def dimension(self, by: str) -> int:
        """Numbers in a vector of the method."""
        return rows_of(self.indexes[by]).base.dimension

    def needs_vector(self, by: str) -> bool:
        """Whether the method compares vectors; if not, a title is all it takes."""
        settings = self.indexes[by].settings
        return not (getattr(settings, "by", "") == "title" and getattr(settings, "rank", "") == "engine")

    def product(self, name: str) -> ProductCard | None:
        """The product of this id, in whichever index it is; None: in none."""
        place = self._place(name)
        return None if place is None else self._cards(place[0], np.array([place[1]]))[0]

    def like_an_id(self, text: str) -> bool:
        """Whether a text is written as ids are: a number, or one word that has the shape of some product's id."""
        shape = _shape(text)
        return shape not in _WORD and (text.isdecimal() or shape in self._id_shapes)

    @cached_property
    def _id_shapes(self) -> frozenset[str]:
        ids = rows_of(self.indexes[self.methods[0]]).ids
        some = ids.take(pa.array(range(0, len(ids), max(1, len(ids) // _TELLING))))
        return frozenset(map(_shape, some.to_pylist()))

    def asked(self, name: str, by: str) -> SimilarityQuery:
        """A product as a query.

        Raises:
          InputError: no index has it, or it has nothing that the method could go by.
        """
        place = self._place(name)
        if place is None:
            near = self.near(name)
            hint = f"did you mean {near!r}?" if near is not None else "search /similar or the feed for its id"
            raise InputError(Problem("", "the id of a product in the index", key="id", value=name, hint=hint))
        vector = self._vector(name, by)
        if vector is None and self.needs_vector(by):
            others = [
                other for other in self.methods if not self.needs_vector(other) or self._vector(name, other) is not None
            ]
            hint = f"ask by {' or '.join(others)}" if others else ""
            expected = f"a product with an embedding for {by!r}; this one has none"
            raise InputError(Problem("", expected, key="id", value=name, hint=hint))
        method, row = place
        return SimilarityQuery(vector, column(self._table(method), "title")[row].as_py(), name)

    def _place(self, name: str) -> tuple[str, int] | None:
        """The method and the row of an index that has the product; None: none has."""
        for method in self.methods:
            row = self._row(method, name)
            if row is not None:
                return method, row
        return None

    def _row(self, method: str, name: str) -> int | None:
        """The row of a product in an index; None: it is not there."""
        return self._ids_of(method).row(name)

    def _ids_of(self, method: str) -> RowOfId:
        # Sorting some million ids takes seconds, and a single question needs those of one index.
        if method not in self._row_of_id:
            self._row_of_id[method] = RowOfId(rows_of(self.indexes[method]))
        return self._row_of_id[method]

    def _vector(self, name: str, by: str) -> Float32Array | None:
        """The product's vector for a method, None if it has none (or one of zeros)."""
        wanted = self.embedding(by)
        for method in (by, *self.methods):
            row = self._row(method, name) if self.embedding(method) == wanted else None
            if row is not None:
                vector = vector_of(rows_of(self.indexes[method]), row)
                if vector is not None and vector.any():
                    return vector
        return None

    def near(self, name: str) -> str | None:
        """The most similarly spelled id among those next to this one in alphabetical order; None if none is close."""
        from rapidfuzz import fuzz, process

        beside = [neighbouring_id for method in self.methods for neighbouring_id in self._ids_of(method).beside(name)]
        match = process.extractOne(name, beside, scorer=fuzz.ratio, score_cutoff=60.0)
        return match[0] if match is not None else None

    def titled(self, text: str, limit: int) -> list[ProductCard]:
        """Products whose title contains the text, in any case; those with the shortest titles first."""
        method = self.methods[0]
        titles = column(self._table(method), "title")
        hits = np.flatnonzero(pc.match_substring(titles, text, ignore_case=True).fill_null(False))
        hits = hits[rows_of(self.indexes[method]).alive[hits]][: 50 * limit]
        lengths = pc.utf8_length(titles.take(pa.array(hits))).to_numpy(zero_copy_only=False)
        return self._cards(method, hits[np.argsort(lengths, kind="stable")[:limit]])

    @cached_property
    def retailers(self) -> list[str]:
        """Of the first index, in alphabetical order."""
        return sorted(column(self._table(self.methods[0]), "retailer").dictionary.to_pylist())

    def restriction(
        self,
        categories: Sequence[str] = (),
        retailers: Sequence[str] = (),
        availability: Sequence[str] = (),
        price_from: float | None = None,
        price_to: float | None = None,
    ) -> Restriction:
        """Categories (paths or ids; all below them count, too), retailers and so on; nothing given: any.

        Raises:
          InputError: an unknown category or retailer, or bounds that exclude everything.
        """
        nodes = None
        if categories:
            node_sets = [self._below(category) for category in categories]
            nodes = node_sets[0] if len(node_sets) == 1 else node_sets[0].union(*node_sets[1:])
        for name in retailers:
            if name not in self.retailers:
                from modules.taxonomy.documents import did_you_mean

                hint = did_you_mean(name, self.retailers)
                raise InputError(Problem("", "a retailer in the index", key="retailer", value=name, hint=hint))
        if price_from is not None and price_to is not None and price_from > price_to:
            expected = f"not less than price_from, {price_from:g}"
            raise InputError(Problem("", expected, key="price_to", value=f"{price_to:g}"))
        return Restriction(
            nodes,
            frozenset(retailers) if retailers else None,
            frozenset(availability) if availability else None,
            price_from,
            price_to,
        )

    def search(
        self, by: str, asked: Sequence[SimilarityQuery], k: int, within: Restriction | None = None
    ) -> list[list[SimilarProduct]]:
        """The best ``k`` products of each query, best first; fewer where there are fewer.

        Answers depend on the query alone, not on those that are asked together with it.

        Raises:
          ValueError: a vector of another dimension, or none where the method needs one.
        """
        index = self.indexes[by]
        # One more, since the product that is asked about is left out.
        deep = min(depth(k + 1), max(len(index), 1))
        vectors = [query.vector for query in asked]
        titles = [query.title or "" for query in asked]
        given = None if any(v is None for v in vectors) else np.stack(vectors)  # type: ignore[arg-type]
        if given is None and self.needs_vector(by):
            raise ValueError("queries with vectors")
        result = index.search(Queries(given, titles), deep, within)
        rows = np.unique(result.rows[result.rows >= 0])
        shown = dict(zip(rows.tolist(), self._cards(by, rows), strict=True))
        return [
            [
                SimilarProduct(shown[row], score)
                for row, score in zip(its.tolist(), scores.tolist(), strict=True)
                if row >= 0 and shown[row].id != query.without
            ][:k]
            for query, its, scores in zip(asked, result.rows, result.scores, strict=True)
        ]

    def _table(self, by: str) -> pa.Table:
        return rows_of(self.indexes[by]).table

    def _cards(self, by: str, rows: npt.NDArray[Any]) -> list[ProductCard]:
        return cards_of(self._table(by), rows, self._categories)


def _shape(text: str) -> str:
    """A text with ``a`` in place of runs of letters and ``x`` in place of runs with digits; empty: several words."""
    if any(c.isspace() for c in text):
        return ""
    return re.sub(r"[^\W_]+", lambda run: "x" if any(map(str.isdigit, run[0])) else "a", text)


def _below(taxonomy: Taxonomy | None, category: str) -> frozenset[int]:
    if taxonomy is None:
        raise InputError(Problem("", "no category: the index has no taxonomy", key="category"))
    return below(taxonomy, [category])


def depth(k: int) -> int:
    """The number of products to search for where a client wants ``k``.

    Only a few depths are used: an approximate index returns other products at another depth, so that requests for 8
    and for 9 products are answered in one batch and alike.
    """
    return next((allowed for allowed in _DEPTHS if allowed >= k), k)
