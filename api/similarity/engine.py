"""A run's indexes and model behind batched, restricted search; another run's take their place without a gap."""

from __future__ import annotations

import asyncio
import base64
import binascii
import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from api.refusals import Refused
from api.similarity.batching import Batcher, Full
from api.similarity.embedder import Embedder, Raw
from api.similarity.images import EXPECTED, canonical_image
from api.similarity.metrics import Metrics
from api.similarity.requests import Query, Similar
from modules.arrays import Float32Array
from modules.counting import counted
from modules.errors import InputError, Problem
from modules.predictions.columns import EMBEDDING, EMBEDDING_IMAGE
from modules.similarity.catalogue import Catalogue, SimilarityQuery, SimilarProduct, depth
from modules.similarity.changes import unit
from modules.similarity.items import Restriction


@dataclass(frozen=True, eq=False)
class Loaded:
    """What is served: a catalogue, and the model that made its embeddings (None: no texts, no images)."""

    catalogue: Catalogue
    embedder: Embedder | None = None


Source = Callable[[str | None], Loaded | None]
"""Opens what is to be served; None if that is still the version of the argument."""


@dataclass(frozen=True)
class Limits:
    """Of the batches. ``max_wait``: seconds; see :class:`api.similarity.batching.Batcher`."""

    max_batch: int = 256
    max_wait: float = 0.002
    max_waiting: int = 4096


class Engine:
    """Answers requests; all methods but :meth:`load` run in the event loop.

    Args:
      preload: load the model together with the index, not at the first text or image.
    """

    def __init__(self, source: Source, metrics: Metrics, limits: Limits = Limits(), preload: bool = False):
        self._source, self.metrics, self._preload = source, metrics, preload
        self.loaded: Loaded | None = None
        self._loading = threading.Lock()
        # One call at a time: the index itself uses all cores.
        self._searching = ThreadPoolExecutor(1, "search")
        self._embedding = ThreadPoolExecutor(1, "embed")
        self._decoding = ThreadPoolExecutor(2, "decode")
        common: Any = {"max_wait": limits.max_wait, "max_waiting": limits.max_waiting}
        self._search: Batcher[tuple[SimilarityQuery, int], list[SimilarProduct]] = Batcher(
            _search, self._searching, max_jobs=limits.max_batch, seen=metrics.batch.observe, **common
        )
        self._embed: Batcher[Raw, dict[str, Float32Array]] = Batcher(_embed, self._embedding, max_jobs=64, **common)

    def load(self) -> bool:
        """Opens what is to be served now, beside what is served, which it then replaces; False if that is the same.

        What was served stays until its last request is answered.

        Raises:
          InputError: the new one is broken; what was served goes on being served.
        """
        with self._loading:
            try:
                newer = self._source(self.loaded.catalogue.version if self.loaded is not None else None)
                if newer is None:
                    self.metrics.reloads.labels("unchanged").inc()
                    return False
                # What is done at the first need takes long; no request is to wait for it.
                newer.catalogue.prepare()
                if newer.embedder is not None:
                    newer.embedder.prepare(whole=self._preload)
                for by in newer.catalogue.methods:
                    vector = np.zeros(newer.catalogue.dimension(by), np.float32)
                    vector[:1] = 1.0
                    newer.catalogue.search(by, [SimilarityQuery(vector, "")], 1)
            except Exception:
                self.metrics.reloads.labels("failed").inc()
                raise
            self.loaded = newer
            self.metrics.reloads.labels("loaded").inc()
            self.metrics.serves(newer.catalogue)
            return True

    def close(self) -> None:
        """Lets go of the threads."""
        for pool in (self._searching, self._embedding, self._decoding):
            pool.shutdown(wait=False, cancel_futures=True)

    def current(self) -> Loaded:
        """What is served.

        Raises:
          Refused: nothing is, yet.
        """
        if self.loaded is None:
            raise Refused(503, "no index is loaded yet", "", "", "try again when /readyz answers 200")
        return self.loaded

    async def similar(self, request: Similar) -> dict[str, Any]:
        """The answer to a request.

        Raises:
          Refused: it cannot be answered.
        """
        loaded = self.current()
        catalogue = loaded.catalogue
        try:
            by = catalogue.method(request.by)
            within = _within(catalogue, request)
        except InputError as error:
            raise Refused.of(error) from None
        queries = request.all()
        locations = ["query"] if request.query is not None else [f"queries.{i}" for i in range(len(queries))]
        asked = await self._asked(loaded, by, queries, locations)
        # Those who want about as many products are answered in one call of the index.
        key = _Alike(catalogue, by, depth(request.k + 1), within)
        by_query = await self._answers(self._search, key, [(query, request.k) for query in asked])
        answers = [[_plain(neighbour) for neighbour in neighbours] for neighbours in by_query]
        facts = {"version": catalogue.version, "by": by, "products": len(catalogue.indexes[by])}
        if request.query is not None:
            return {"neighbours": answers[0], "index": facts}
        return {"results": [{"neighbours": neighbours} for neighbours in answers], "index": facts}

    async def _asked(
        self, loaded: Loaded, by: str, queries: Sequence[Query], locations: Sequence[str]
    ) -> list[SimilarityQuery]:
        catalogue = loaded.catalogue
        column = _column(loaded, by, queries, locations)
        asked: list[SimilarityQuery | None] = []
        raw: list[tuple[int, Raw]] = []
        for row, (query, where) in enumerate(zip(queries, locations, strict=True)):
            if query.id is not None:
                asked.append(_by_id(catalogue, query.id, by, where))
            elif query.vector is not None:
                asked.append(SimilarityQuery(_vector(query.vector, catalogue, by, f"{where}.vector")))
            elif column is None:
                asked.append(SimilarityQuery(title=query.text))
            else:
                asked.append(None)
                raw.append((row, await self._raw(query, where)))
        if column is not None and raw:
            outputs = await self._answers(self._embed, loaded.embedder, [product for _, product in raw])
            for (row, product), output in zip(raw, outputs, strict=True):
                vector = output.get(column)
                if vector is None or not vector.any():
                    expected = "a text or an image that the model can read"
                    raise Refused(
                        422, "the model sees nothing in it", locations[row], expected, "ask by another method"
                    )
                asked[row] = SimilarityQuery(vector, product.title)
        return [query for query in asked if query is not None]

    async def _answers(self, batcher: Batcher[Any, Any], key: Hashable, jobs: Sequence[Any]) -> list[Any]:
        try:
            return await batcher(key, jobs)
        except Full:
            raise Refused(503, "too many requests wait", "", "", "try again in a second") from None

    async def _raw(self, query: Query, where: str) -> Raw:
        if query.image is None:
            return Raw(query.text)
        loop = asyncio.get_running_loop()
        image = await loop.run_in_executor(self._decoding, _image, query.image, f"{where}.image")
        return Raw(query.text, image)


@dataclass(frozen=True)
class _Alike:
    """What searches that are answered in one call of the index have in common."""

    catalogue: Catalogue
    by: str
    depth: int
    within: Restriction | None


def _search(key: Hashable, jobs: list[tuple[SimilarityQuery, int]]) -> list[list[SimilarProduct]]:
    assert isinstance(key, _Alike)
    by_job = key.catalogue.search(key.by, [asked for asked, _ in jobs], max(k for _, k in jobs), key.within)
    return [neighbours[:k] for neighbours, (_, k) in zip(by_job, jobs, strict=True)]


def _embed(embedder: Any, products: list[Raw]) -> list[dict[str, Float32Array]]:
    embeddings = embedder(products)
    return [{name: rows[i] for name, rows in embeddings.items()} for i in range(len(products))]


def _within(catalogue: Catalogue, request: Similar) -> Restriction | None:
    asked = request.within
    try:
        restriction = catalogue.restriction(
            asked.category or (), asked.retailer or (), asked.availability or (), asked.price_from, asked.price_to
        )
    except InputError as error:
        raise Refused.of(error, "within") from None
    return None if restriction.nothing else restriction


def _vector(values: Sequence[float], catalogue: Catalogue, by: str, where: str) -> Float32Array:
    dimension = catalogue.dimension(by)
    if not catalogue.needs_vector(by):
        raise Refused(422, f"{by!r} compares texts", where, "an id or a text", f"ask by {catalogue.methods[0]!r}")
    if len(values) != dimension:
        expected = f"{dimension} numbers, the dimension of {by!r}"
        raise Refused(
            422, f"got {counted(len(values), 'number')}", where, expected, "embed it with the run's own model"
        )
    wide = np.asarray(values, np.float64)
    longest = np.abs(wide).max()
    if longest == 0.0:
        raise Refused(422, "got a vector of zeros", where, "a vector with a direction", "leave such products out")
    return unit(wide[None] / longest)[0]


def _column(loaded: Loaded, by: str, queries: Sequence[Query], locations: Sequence[str]) -> str | None:
    """:func:`column_of` of all queries that are texts or images."""
    column = None
    for query, where in zip(queries, locations, strict=True):
        if query.text or query.image:
            try:
                column = column_of(loaded, by, is_image=query.image is not None)
            except InputError as error:
                raise Refused.of(error, where) from None
    return column


def column_of(loaded: Loaded, by: str, *, is_image: bool) -> str | None:
    """The model's output that a method compares texts (or images) by; None where no model is needed.

    Raises:
      InputError: the method cannot use them, or there is no model that fits.
    """
    catalogue, kind = loaded.catalogue, "image" if is_image else "text"
    if not catalogue.needs_vector(by):
        if is_image:
            raise InputError(Problem("", f"an id or a text: {by!r} compares titles", key="image"))
        return None
    embedding = catalogue.embedding(by)
    if loaded.embedder is None:
        hint = "ask for an id or a vector, or name the run's model with --model"
        raise InputError(Problem("", "an id or a vector: there is no model to embed it with", key=kind, hint=hint))
    if embedding.model != loaded.embedder.model:
        hint = "ask for an id or a vector, or take the model that made the index"
        raise InputError(Problem("", "an id or a vector: the model is not the index' own", key=kind, hint=hint))
    if is_image and embedding.column not in (EMBEDDING, EMBEDDING_IMAGE):
        raise InputError(Problem("", f"a text: {by!r} knows nothing of images", key=kind))
    if not is_image and embedding.column == EMBEDDING_IMAGE:
        raise InputError(Problem("", f"an image: {by!r} knows nothing of texts", key=kind))
    return embedding.column


def _by_id(catalogue: Catalogue, name: str, by: str, where: str) -> SimilarityQuery:
    try:
        return catalogue.asked(name, by)
    except InputError as error:
        unknown = catalogue.product(name) is None
        raise Refused.of(error, where, 404 if unknown else 422) from None


def _image(text: str, where: str) -> bytes:
    """Base64 of anything as a canonical JPEG."""
    try:
        return canonical_image(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise Refused(422, "no base64", where, f"{EXPECTED}, in base64", "base64 -w0 FILE") from None
    except InputError as error:
        raise Refused.of(error, where) from None


def _plain(neighbour: SimilarProduct) -> dict[str, Any]:
    product = neighbour.product
    return {
        "id": product.id,
        "score": round(neighbour.score, 6),
        "title": product.title,
        "category": product.category,
        "retailer": product.retailer,
        "price": product.price,
        "availability": product.availability,
    }
